"""Eigenvectors and polar factors that are the same bits on every machine, in float64."""

import numpy as np

from cgcython import kernels
from cgcython.codecs.scaling import power_beyond
from cgcython.parallel import each
from cgcython.types import Float64Array

ROWS = 64  # reduced at once: Ctrl-C is answered between them
COLUMNS = 256  # of eigenvectors made at once, which stay in the second cache
SHIFTS = (0.0, 1e-7, 1e-5)  # of matrices that are almost singular, times their norms
STEPS, ENOUGH = 6, 1e-10  # of Newton's iteration, and how orthogonal its result has to be


def eigen(matrix: Float64Array, num_threads: int = 1) -> tuple[Float64Array, Float64Array]:
    """Return the eigenvalues [n] of a symmetric matrix, the largest first, and vectors as columns.

    Only the upper half is read.

    >>> values, vectors = eigen(np.diag([1.0, 3.0]))
    >>> values, np.abs(vectors)
    (array([3., 1.]), array([[0., 1.],
           [1., 0.]]))
    """
    n, power = len(matrix), power_beyond(float(np.abs(matrix).max(initial=0)))
    reduced = np.ldexp(np.ascontiguousarray(matrix, np.float64), -power)
    factors, diagonal, off = np.zeros((3, n))
    work = np.zeros((2, n))
    for start in range(0, n, ROWS):
        stop = min(start + ROWS, n)
        kernels.eigen.tridiagonal(reduced, factors, diagonal, off, work, start, stop)

    def some(first: int) -> tuple[Float64Array, Float64Array]:
        columns, values = np.empty((n, min(COLUMNS, n - first))), diagonal.copy()
        kernels.eigen.vectors(reduced, factors, values, off.copy(), first, columns)
        return values, columns

    parts = each(some, range(0, n, COLUMNS), num_threads)
    values = parts[0][0] if parts else diagonal
    order = np.argsort(-values, kind="stable")
    vectors = np.concatenate([columns[order] for _, columns in parts], axis=1)
    return np.ldexp(values[order], power), np.ascontiguousarray(vectors.T)


def nearest_rotation(matrix: Float64Array, num_threads: int = 1) -> Float64Array:
    """Return the orthogonal matrix nearest to a square one: its polar factor.

    Where some directions become nothing they stay as they are, and all do where none is nearest.

    >>> nearest_rotation(np.array([[0.0, -3.0], [2.0, 0.0]])).round(6)
    array([[ 0., -1.],
           [ 1.,  0.]])
    """
    same, size = np.eye(len(matrix)), np.sqrt((matrix * matrix).sum())
    if size == 0:
        return same
    for shift in SHIFTS:
        found = _polar_factor(matrix / size + shift * same, num_threads)
        if found is not None:
            return found
    return same


def _polar_factor(matrix: Float64Array, num_threads: int) -> Float64Array | None:
    """Return the polar factor of a matrix, None of one that is almost singular."""
    values, vectors = eigen(multiplied(matrix.T, matrix), num_threads)
    lengths = np.sqrt(np.maximum(values, np.finfo(np.float64).tiny))
    rotation = multiplied(multiplied(matrix, vectors / lengths), vectors.T)
    same = np.eye(len(matrix))
    for _ in range(STEPS):
        squares = multiplied(rotation.T, rotation)
        error = float(np.abs(squares - same).max())
        if error < ENOUGH:
            return rotation
        if not error < 1:
            return None
        rotation = multiplied(rotation, 1.5 * same - 0.5 * squares)
    return None


def multiplied(a: Float64Array, b: Float64Array) -> Float64Array:
    """Return the product of two matrices."""
    out = np.empty((len(a), b.shape[1]))
    kernels.eigen.product(np.ascontiguousarray(a), np.ascontiguousarray(b), out)
    return out
