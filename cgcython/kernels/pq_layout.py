"""Lays a product-quantization codebook out once, the same on every level."""

from typing import NamedTuple

import numpy as np

from cgcython.arrays import aligned_copy, aligned_empty
from cgcython.types import ArrayLike, Float32Array, Float64Array, Int8Array

NUM_CENTROIDS = 256
STRIP = 64  # columns side by side; a multiple of every level's vector
BLOCK = 48  # rows the kernels project at once
MAX_DSUB, MAX_D_OUT = 4096, 16384  # what the kernels keep on their stack
LARGEST_CODE = 127
LEAST_SCALE = 1e-30  # below, float32 no longer holds it well; such centroids round to zero


class PreparedCodebook(NamedTuple):
    """The arrays of a codebook as the kernels want them: contiguous.

    Centroids are kept twice: as they are, and as 8-bit codes times a scale of their difference from
    their subspace's mean, a quarter of the size. Without a rotation the last four are None and
    `column_norm` is 1.0.
    """

    centroids: Float32Array  # [M, 256, dsub]
    centres: Float32Array  # [M, dsub]: the mean centroid
    codes: Int8Array  # [M, 4, ceil(dsub / 2), 64, 2]: (centroid - centre) / scale
    scales: Float32Array  # [M, 256]
    half_norms: Float32Array  # [M, 256]: |centroid - centre|**2 / 2
    bounds: Float32Array  # [M, 4], as _bounds explains
    column_norm: float  # the longest column of the rotation, rounded up
    mean: Float32Array | None = None  # [dim]
    rotation: Float32Array | None = None  # [dim, d_out], where d_out = M * dsub
    forward_strips: Float32Array | None = None  # [ceil(d_out / 64), dim, 64]: rotation
    back_strips: Float32Array | None = None  # [ceil(dim / 64), d_out, 64]: its transpose

    @property
    def dim(self) -> int:
        """The number of values of a vector before projection."""
        if self.rotation is not None:
            return len(self.rotation)
        M, _, dsub = self.centroids.shape
        return int(M * dsub)


@np.errstate(all="ignore")  # the kernels meet infinite bounds with float64
def prepare(
    centroids: ArrayLike, mean: ArrayLike | None = None, rotation: ArrayLike | None = None
) -> PreparedCodebook:
    """Return the PreparedCodebook of centroids [M, 256, dsub], mean [dim], rotation [dim, d_out].

    Raises ValueError where shapes disagree.
    """
    centroids = np.ascontiguousarray(centroids, np.float32)
    if centroids.ndim != 3 or centroids.shape[1] != NUM_CENTROIDS or centroids.size == 0:
        raise ValueError(f"centroids are {centroids.shape}, expected [M, {NUM_CENTROIDS}, dsub]")
    if centroids.shape[2] > MAX_DSUB or centroids.shape[0] * centroids.shape[2] > MAX_D_OUT:
        raise ValueError(f"centroids are {centroids.shape}: over {MAX_DSUB} or {MAX_D_OUT} values")
    prepared = PreparedCodebook(centroids, *_screen(centroids), 1.0)
    if mean is None and rotation is None:
        return prepared
    mean, rotation = (np.ascontiguousarray(x, np.float32) for x in (mean, rotation))
    d_out = centroids.shape[0] * centroids.shape[2]
    if rotation.ndim != 2 or mean.shape != rotation.shape[:1] or rotation.shape[1] != d_out:
        raise ValueError(
            f"rotation is {rotation.shape}, mean {mean.shape}, expected [dim, {d_out}] and [dim]"
        )
    columns = np.sqrt((rotation.astype(np.float64) ** 2).sum(axis=0).max(keepdims=True))
    return prepared._replace(
        column_norm=float(_rounded_up(columns)[0]),
        mean=mean,
        rotation=rotation,
        forward_strips=strips(rotation),
        back_strips=strips(rotation.T),
    )


def subspace(prepared: PreparedCodebook, m: int) -> PreparedCodebook:
    """Return the layout of one subspace of a codebook without its rotation; nothing is copied."""
    rows = slice(m, m + 1)
    return PreparedCodebook(
        prepared.centroids[rows],
        prepared.centres[rows],
        prepared.codes[rows],
        prepared.scales[rows],
        prepared.half_norms[rows],
        prepared.bounds[rows],
        1.0,
    )


def squared_norms(
    centroids: Float32Array, mean: Float32Array | None, rotation: Float32Array | None
) -> tuple[Float64Array, float]:
    """Return (table [M, 256], constant) whose sum over a vector's codes is its squared length.

    Codes decode to mean + rotated centroids: the product of the two parts also depends on one
    code at a time.
    """
    centroids = centroids.astype(np.float64)
    table = (centroids**2).sum(axis=2)
    if mean is None or rotation is None:
        return table, 0.0
    exact = mean.astype(np.float64)
    parts = (exact @ rotation).reshape(len(centroids), 1, -1)
    return table + 2 * (centroids * parts).sum(axis=2), float(exact @ exact)


def scratch(prepared: PreparedCodebook) -> Float32Array:
    """Return the memory that the kernels want while they encode or decode rows."""
    if prepared.rotation is None:
        return np.empty(0, np.float32)
    widest = max(prepared.rotation.shape)
    return aligned_empty((BLOCK * -(-widest // STRIP) * STRIP,))


def _screen(
    centroids: Float32Array,
) -> tuple[Float32Array, Int8Array, Float32Array, Float32Array, Float32Array]:
    """Return centres, codes, scales, half norms and bounds of centroids."""
    exact = centroids.astype(np.float64)
    centres = exact.mean(axis=1).astype(np.float32)
    exact -= centres[:, None]
    peaks = np.abs(exact).max(axis=2, initial=0)
    scales = np.maximum(peaks / LARGEST_CODE, LEAST_SCALE).astype(np.float32)
    half_norms = ((exact**2).sum(axis=2) / 2).astype(np.float32)
    steps = np.rint(exact / scales[..., None]).clip(-LARGEST_CODE, LARGEST_CODE)
    bounds = _bounds(exact, steps * scales[..., None].astype(np.float64), scales, half_norms)
    codes = _paired(steps.astype(np.int8))
    return centres, codes, aligned_copy(scales), aligned_copy(half_norms), bounds


def _bounds(
    exact: Float64Array, rounded: Float64Array, scales: Float32Array, half_norms: Float32Array
) -> Float32Array:
    """Return what bounds the error of a score, for each subspace [M, 4], rounded up.

    These are the most that a centroid's rounding error measures in steps of its scale, the most
    that the rounded centroid and that error measure together, the largest half norm and the
    largest scale.
    """
    errors = np.linalg.norm(exact - rounded, axis=2)
    reaches = np.linalg.norm(exact, axis=2) + 2 * errors
    steps = [(lengths / scales).max(axis=1) for lengths in (errors, reaches)]
    return _rounded_up(np.stack([*steps, half_norms.max(axis=1), scales.max(axis=1)], axis=1))


def _paired(codes: Int8Array) -> Int8Array:
    """Return codes [M, 256, dsub] as [M, 4, ceil(dsub / 2), 64, 2], zeros at the end."""
    M, ksub, dsub = codes.shape
    padded = np.pad(codes, [(0, 0), (0, 0), (0, dsub % 2)])
    pairs = padded.reshape(M, ksub // STRIP, STRIP, (dsub + 1) // 2, 2)
    return aligned_copy(pairs.transpose(0, 1, 3, 2, 4))


def strips(matrix: Float32Array) -> Float32Array:
    """Return [ceil(columns / 64), rows, 64] of a matrix [rows, columns], zeros at the end."""
    rows, columns = matrix.shape
    strips = -(-columns // STRIP)
    padded = np.zeros((rows, strips * STRIP), np.float32)
    padded[:, :columns] = matrix
    return aligned_copy(padded.reshape(rows, strips, STRIP).transpose(1, 0, 2))


def _rounded_up(length: Float64Array) -> Float32Array:
    return (length * (1 + 2.0**-20)).astype(np.float32)
