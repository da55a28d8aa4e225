"""Lays a product-quantization codebook out once, the same on every level."""

from typing import NamedTuple

import numpy as np

NUM_CENTROIDS = 256
STRIP = 64  # columns side by side; a multiple of every level's vector
BLOCK = 48  # rows the kernels project at once
MAX_PART, MAX_WIDTH = 4096, 16384  # what the kernels keep on their stack


class PreparedCodebook(NamedTuple):
    """The arrays of a codebook as the kernels want them (f32, contiguous).

    Without a rotation the last five are None (and `column_norm` 1.0).
    """

    centroids: np.ndarray  # [M, 256, dsub]
    strips: np.ndarray  # [M, 4, dsub, 64]: centroids, 64 side by side
    half_norms: np.ndarray  # [M, 256]: |c|**2 / 2
    max_norms: np.ndarray  # [M]: the longest centroid's length, rounded up
    column_norm: float  # the longest column of the rotation, rounded up
    mean: np.ndarray | None = None  # [dim]
    rotation: np.ndarray | None = None  # [dim, d_out]
    forward_strips: np.ndarray | None = None  # [ceil(d_out / 64), dim, 64]: rotation
    back_strips: np.ndarray | None = None  # [ceil(dim / 64), d_out, 64]: its transpose

    @property
    def dim(self):
        """The number of values of a vector before projection."""
        if self.rotation is not None:
            return self.rotation.shape[0]
        return self.centroids.shape[0] * self.centroids.shape[2]


def prepare(centroids, mean=None, rotation=None):
    """Return the PreparedCodebook of centroids [M, 256, dsub], mean [dim], rotation [dim, d_out].

    Raises ValueError where shapes disagree.
    """
    centroids = np.ascontiguousarray(centroids, np.float32)
    if centroids.ndim != 3 or centroids.shape[1] != NUM_CENTROIDS:
        raise ValueError(f"centroids are {centroids.shape}, expected [M, {NUM_CENTROIDS}, dsub]")
    if centroids.shape[2] > MAX_PART or centroids.shape[0] * centroids.shape[2] > MAX_WIDTH:
        raise ValueError(f"centroids are {centroids.shape}: over {MAX_PART} or {MAX_WIDTH} values")
    squares = (centroids.astype(np.float64) ** 2).sum(axis=2)
    with np.errstate(over="ignore"):  # the kernels meet infinite bounds with float64
        half_norms = (squares / 2).astype(np.float32)
    prepared = PreparedCodebook(
        centroids,
        np.stack([_strips(one.T) for one in centroids]),
        half_norms,
        _rounded_up(np.sqrt(squares.max(axis=1))),
        1.0,
    )
    if mean is None and rotation is None:
        return prepared
    mean, rotation = (np.ascontiguousarray(x, np.float32) for x in (mean, rotation))
    d_out = centroids.shape[0] * centroids.shape[2]
    if rotation.ndim != 2 or mean.shape != rotation.shape[:1] or rotation.shape[1] != d_out:
        raise ValueError(
            f"rotation is {rotation.shape}, mean {mean.shape}, expected [dim, {d_out}] and [dim]"
        )
    columns = np.sqrt((rotation.astype(np.float64) ** 2).sum(axis=0).max())
    return prepared._replace(
        column_norm=float(_rounded_up(columns)),
        mean=mean,
        rotation=rotation,
        forward_strips=_strips(rotation),
        back_strips=_strips(rotation.T),
    )


def scratch(prepared):
    """Return the memory that the kernels want while they encode or decode rows."""
    if prepared.rotation is None:
        return np.empty(0, np.float32)
    widest = max(prepared.rotation.shape)
    return np.empty(BLOCK * -(-widest // STRIP) * STRIP, np.float32)


def _strips(matrix):
    """Return [ceil(columns / 64), rows, 64] of a matrix [rows, columns], zeros at the end."""
    rows, columns = matrix.shape
    padded = np.zeros((rows, -(-columns // STRIP) * STRIP), np.float32)
    padded[:, :columns] = matrix
    return np.ascontiguousarray(padded.reshape(rows, -1, STRIP).transpose(1, 0, 2))


def _rounded_up(length):
    return (np.asarray(length) * (1 + 2.0**-20)).astype(np.float32)
