"""Finds residual codes: one product of rows with all centroids, then tables and a beam.

What two centroids add to a squared distance is kept as a whole number for each pair, so that a
beam extends by adding up rows of tables; a row of values is multiplied only once.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from cgcython import kernels
from cgcython.codecs.scaling import power_beyond
from cgcython.kernels.pq_layout import NUM_CENTROIDS, STRIP, strips
from cgcython.types import Float32Array, Int16Array, UInt8Array

MOST_STAGES: Final = 32
STRIPS: Final = NUM_CENTROIDS // STRIP  # of a stage
LARGEST: Final = 32767  # of a whole number in a table
BEAMED: Final = 160  # entries of a beam times stages, for 60 us a row of 8 bytes, 150 us of 24
MOST_BEAM: Final = 20
BLOCK: Final = 64  # rows whose products stay in the second cache
REACH: Final = 8.0  # times the largest centroid: beyond, only the direction of a row counts


class Stages(NamedTuple):
    """Some stages of a residual quantizer as the kernels want them.

    `cross` [pairs, 256, 256] holds twice the products of the centroids of two stages in units of
    2**shift / unit, for stage m and an earlier stage i at m * (m - 1) / 2 + i.
    """

    columns: Float32Array  # [4 * stages, width, 64]: centroids as columns; width padded to strips
    norms: Float32Array  # [stages * 256]: squares of centroids
    cross: Int16Array
    shifts: UInt8Array  # [pairs]
    unit: float


def lay_stages(centroids: Float32Array) -> Stages:
    """Return the Stages of centroids [M, 256, width]."""
    M, _, width = centroids.shape
    stages = empty_stages(M, width, float(squared(centroids).max()))
    for m in range(M):
        lay_stage(stages, centroids, m)
    return stages


def empty_stages(M: int, width: int, largest: float) -> Stages:
    """Return Stages to be laid one after another; `largest` is the square of a centroid."""
    pairs = M * (M - 1) // 2
    return Stages(
        np.empty((M * STRIPS, width + -width % STRIP, STRIP), np.float32),
        np.empty(M * NUM_CENTROIDS, np.float32),
        np.empty((pairs, NUM_CENTROIDS, NUM_CENTROIDS), np.int16),
        np.zeros(pairs, np.uint8),
        unit_of(largest, M),
    )


def lay_stage(stages: Stages, centroids: Float32Array, m: int) -> None:
    """Lay stage m of centroids, after those before it."""
    stages.columns[m * STRIPS : (m + 1) * STRIPS] = columns_of(centroids[m])
    own, norms = stage_of(stages, m)
    norms[:] = squared(centroids[m])
    for i in range(m):
        pair = m * (m - 1) // 2 + i
        shift = shift_of(norms.max(), stage_of(stages, i)[1].max(), stages.unit)
        stages.shifts[pair] = shift
        stages.cross[pair] = cross_of(centroids[i], own, stages.unit / (1 << shift))


def stage_of(stages: Stages, m: int) -> tuple[Float32Array, Float32Array]:
    """Return the columns [4, width, 64] and the norms [256] of one stage."""
    columns = stages.columns[m * STRIPS : (m + 1) * STRIPS]
    return columns, stages.norms[m * NUM_CENTROIDS : (m + 1) * NUM_CENTROIDS]


def columns_of(centroids: Float32Array) -> Float32Array:
    """Return centroids [256, width] as the columns of strips [4, padded width, 64]."""
    return strips(np.ascontiguousarray(padded(centroids).T))


def squared(centroids: Float32Array) -> Float32Array:
    """Return the squares [...] of centroids [..., width], summed in order."""
    sums = np.zeros(centroids.shape[:-1])
    for k in range(centroids.shape[-1]):
        sums += centroids[..., k].astype(np.float64) ** 2
    return sums.astype(np.float32)


def unit_of(largest: float, M: int) -> float:
    """Return the power of two by which no distance of a row from a sum exceeds 31 bits.

    Rows lie within REACH of the largest centroid's length, sums within M.
    """
    most = (REACH + M) ** 2
    return float(np.ldexp(1.0, 31 - int(np.frexp(most)[1]) - int(np.frexp(largest)[1])))


def shift_of(square: np.float32, other: np.float32, unit: float) -> int:
    """Return by how many bits twice a product of such centroids, in whole units, exceeds 16."""
    most = 2 * unit * np.sqrt(float(square) * float(other))
    return max(0, int(np.frexp(most / LARGEST)[1]))


def cross_of(earlier: Float32Array, columns: Float32Array, unit: float) -> Int16Array:
    """Return twice the products [256, 256] of an earlier stage with one, in whole units."""
    products = multiplied(padded(earlier), columns)
    whole: Int16Array = np.rint(products * np.float32(2 * unit)).clip(-LARGEST, LARGEST)
    return whole.astype(np.int16)


def padded(rows: Float32Array) -> Float32Array:
    """Return rows [n, width], zeros behind them up to whole strips."""
    return np.pad(rows, [(0, 0), (0, -rows.shape[1] % STRIP)])


def multiplied(values: Float32Array, columns: Float32Array) -> Float32Array:
    """Return the products [n, c] of values [n, d] with the columns of strips."""
    out = np.empty((len(values), len(columns) * STRIP), np.float32)
    kernels.residual.product(values, columns, out)
    return out


def blocks(start: int, stop: int) -> Iterator[slice]:
    """Yield the blocks of a range of rows."""
    for first in range(start, stop, BLOCK):
        yield slice(first, min(first + BLOCK, stop))


def best_codes(products: Float32Array, stages: Stages) -> UInt8Array:
    """Return the codes [n, M] that a beam finds for rows of products with all centroids."""
    M = len(stages.norms) // NUM_CENTROIDS
    shape = len(products), min(MOST_BEAM, BEAMED // M)
    codes, scores = np.zeros((*shape, M), np.uint8), np.zeros(shape, np.int32)
    kernels.residual.search(products, *stages[1:], 0, codes, scores)
    return codes[:, 0]


class Encoder:
    """Encodes rows by one codebook: its arrays laid out, scaled to where squares are safe.

    `forward` is the rotation in strips.
    """

    def __init__(self, centroids: Float32Array, forward: Float32Array, mean: Float32Array) -> None:
        self._mean, self._forward = mean, forward
        self._origin = np.zeros_like(mean)
        self._power = power_beyond(float(np.abs(centroids).max()))
        scaled = np.ldexp(centroids, -self._power) if self._power else centroids
        self._stages = lay_stages(scaled)
        self._reach = REACH * float(np.sqrt(self._stages.norms.max()))

    def encode(self, rows: Float32Array, codes: UInt8Array) -> None:
        """Write the codes [n, M] of finite rows [n, dim]."""
        for some in blocks(0, len(rows)):
            turned = multiplied(self._within_reach(rows[some]), self._forward)
            codes[some] = best_codes(multiplied(turned, self._stages.columns), self._stages)

    @np.errstate(all="ignore")
    def _within_reach(self, rows: Float32Array) -> Float32Array:
        """Return rows less the mean.

        Of those very far from all centroids only the direction counts: they are brought nearer.
        """
        centred = rows - self._mean
        if self._power:
            centred = np.ldexp(centred, -self._power)
        squares = np.full(len(rows), np.finfo(np.float32).max, np.float32)
        kernels.kmeans.shrink_distances(centred, self._origin, squares)
        if squares.max(initial=0) > self._reach**2:
            lengths = np.maximum(np.sqrt(squares), np.abs(centred).max(axis=1))
            powers = np.frexp(lengths / np.float32(self._reach))[1].clip(0)
            centred = np.ldexp(centred, -powers[:, None])
        return centred
