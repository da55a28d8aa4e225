"""Finds residual codes: one product of rows with all centroids, then tables and a beam.

What two centroids add to a squared distance is kept as a whole number for each pair, so that a
beam extends by adding up rows of tables; a row of values is multiplied only once.
"""

from typing import Final, NamedTuple

import numpy as np

from cgcython import kernels
from cgcython.codecs.scaling import power_beyond
from cgcython.kernels.pq_layout import NUM_CENTROIDS, STRIP, strips
from cgcython.types import Float32Array, Int16Array, UInt8Array

MOST_STAGES: Final = 32
LARGEST: Final = 32767  # of a whole number in a table
BEAM: Final = 16
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
    squares = squared(centroids)
    unit, columns = unit_of(squares), [columns_of(one) for one in centroids]
    pairs = [(m, i) for m in range(len(centroids)) for i in range(m)]
    cross = np.empty((len(pairs), NUM_CENTROIDS, NUM_CENTROIDS), np.int16)
    shifts = np.array([shift_of(squares[m], squares[i], unit) for m, i in pairs], np.uint8)
    for pair, (m, i) in enumerate(pairs):
        cross[pair] = cross_of(centroids[i], columns[m], unit / (1 << int(shifts[pair])))
    return Stages(np.concatenate(columns), squares.reshape(-1), cross, shifts, unit)


def columns_of(centroids: Float32Array) -> Float32Array:
    """Return centroids [256, width] as the columns of strips [4, padded width, 64]."""
    return strips(np.ascontiguousarray(padded(centroids).T))


def squared(centroids: Float32Array) -> Float32Array:
    """Return the squares [...] of centroids [..., width], summed in order."""
    sums = np.zeros(centroids.shape[:-1])
    for k in range(centroids.shape[-1]):
        sums += centroids[..., k].astype(np.float64) ** 2
    return sums.astype(np.float32)


def unit_of(squares: Float32Array) -> float:
    """Return the power of two by which no distance of a row from a sum exceeds 31 bits.

    Rows lie within REACH of the largest centroid's length, sums within M.
    """
    most = (REACH + len(squares)) ** 2
    return float(np.ldexp(1.0, 31 - int(np.frexp(most)[1]) - int(np.frexp(squares.max())[1])))


def shift_of(squares: Float32Array, others: Float32Array, unit: float) -> int:
    """Return by how many bits twice the products of two stages, in whole units, exceed 16."""
    most = 2 * unit * np.sqrt(float(squares.max()) * float(others.max()))
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


def best_codes(products: Float32Array, stages: Stages, beam: int) -> UInt8Array:
    """Return the codes [n, M] that a beam finds for rows of products with all centroids."""
    shape = len(products), beam
    codes = np.zeros((*shape, len(stages.norms) // NUM_CENTROIDS), np.uint8)
    scores = np.zeros(shape, np.int32)
    kernels.residual.search(products, *stages[1:], 0, codes, scores)
    return np.ascontiguousarray(codes[:, 0])


class Encoder:
    """Encodes rows by one codebook: its arrays laid out, scaled to where squares are safe."""

    def __init__(self, centroids: Float32Array, rotation: Float32Array, mean: Float32Array) -> None:
        self._mean, self._rotation = mean, strips(rotation)
        self._origin = np.zeros_like(mean)
        self._power = power_beyond(float(np.abs(centroids).max()))
        scaled = np.ldexp(centroids, -self._power) if self._power else centroids
        self._stages = lay_stages(scaled)
        self._reach = REACH * float(np.sqrt(self._stages.norms.max()))

    def encode(self, rows: Float32Array, codes: UInt8Array) -> None:
        """Write the codes [n, M] of finite rows [n, dim]."""
        for start in range(0, len(rows), BLOCK):
            some = slice(start, start + BLOCK)
            turned = multiplied(self._within_reach(rows[some]), self._rotation)
            codes[some] = best_codes(multiplied(turned, self._stages.columns), self._stages, BEAM)

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
