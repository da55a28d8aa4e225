"""Eigenvectors are those of the matrix, and the same bits on every level."""

import numpy as np
import pytest

from cgcython.kernels import dispatch

RNG = np.random.default_rng(31)


def symmetric(n, rank=None):
    half = RNG.standard_normal((n, rank or n))
    return half @ half.T


def solved(kernel, matrix, block=7, rows=5):
    """Return the eigenvalues and the eigenvectors, one in each row, found in small parts."""
    n, reduced = len(matrix), matrix.copy()
    factors, diagonal, off = np.zeros((3, n))
    work = np.zeros((2, n))
    for start in range(0, n, rows):
        stop = min(start + rows, n)
        kernel.tridiagonal(reduced, factors, diagonal, off, work, start, stop)
    parts = []
    for first in range(0, n, block):
        values, columns = diagonal.copy(), np.full((n, min(block, n - first)), np.nan)
        kernel.vectors(reduced, factors, values, off.copy(), first, columns)
        parts.append(columns)
    return values, np.concatenate(parts, axis=1)


@pytest.mark.parametrize(
    "matrix",
    [
        np.full((1, 1), 3.0),
        np.zeros((6, 6)),
        np.diag([3.0, 1.0, 1.0, -2.0]),
        np.ones((9, 9)),
        symmetric(33),
        symmetric(40, rank=6),
        symmetric(20) * 1e-40,
    ],
    ids=["one", "zeros", "diagonal", "ones", "whole", "low rank", "tiny"],
)
def test_vectors_are_orthogonal_and_give_back_the_matrix(kernel, matrix):
    values, vectors = solved(kernel("eigen"), matrix)
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(len(matrix)), atol=1e-13)
    size = np.abs(matrix).max()
    np.testing.assert_allclose((vectors.T * values) @ vectors, matrix, atol=1e-13 * size)
    np.testing.assert_allclose(np.sort(values), np.linalg.eigvalsh(matrix), atol=1e-13 * size)


@pytest.mark.parametrize("n", [2, 7, 8, 30, 45])
def test_the_bits_are_the_same_on_every_level_and_in_parts_of_any_size(kernel, n):
    matrix = symmetric(n)
    expected = solved(dispatch.load("eigen", "reference"), matrix, block=n, rows=n)
    for found, known in zip(solved(kernel("eigen"), matrix), expected):
        np.testing.assert_array_equal(found, known)


def test_only_the_upper_half_is_read(kernel):
    matrix = symmetric(12)
    expected = solved(kernel("eigen"), matrix)
    found = solved(kernel("eigen"), np.triu(matrix))
    np.testing.assert_array_equal(found[1], expected[1])


def test_what_does_not_converge_is_refused(kernel):
    with pytest.raises(ValueError, match="no eigenvalue after 60 steps"):
        solved(kernel("eigen"), np.full((4, 4), np.nan))


@pytest.mark.parametrize("shape", [(3, 5, 4), (2, 9, 1), (0, 2, 3), (2, 0, 3)])
def test_products_are_summed_in_order(kernel, shape):
    n, d, c = shape
    a, b = RNG.standard_normal((n, d)), RNG.standard_normal((d, c))
    out, sums = np.full((n, c), np.nan), np.zeros((n, c))
    kernel("eigen").product(a, b, out)
    for k in range(d):
        sums += a[:, k, None] * b[k]
    np.testing.assert_array_equal(out, sums)


def test_doors_refuse_arrays_that_do_not_fit(kernel):
    eigen, matrix, work = kernel("eigen"), np.eye(4), np.zeros((2, 4))
    factors, diagonal, off = np.zeros((3, 4))
    with pytest.raises(ValueError, match="rows 2 to 5 are not among 4"):
        eigen.tridiagonal(matrix, factors, diagonal, off, work, 2, 5)
    with pytest.raises(ValueError, match="a row of work holds 3"):
        eigen.tridiagonal(matrix, factors, diagonal, off, np.zeros((2, 3)), 0, 4)
    with pytest.raises(ValueError, match="off holds 3"):
        eigen.tridiagonal(matrix, factors, diagonal, np.zeros(3), work, 0, 4)
    with pytest.raises(ValueError, match="columns 2 to 5"):
        eigen.vectors(matrix, factors, diagonal, off, 2, np.zeros((4, 3)))
    wide = np.eye(300), *np.zeros((3, 300))
    with pytest.raises(ValueError, match="columns 0 to 257 are over 256"):
        eigen.vectors(*wide, 0, np.zeros((300, 257)))
    with pytest.raises(ValueError, match="b holds 3, a row of a holds 4"):
        eigen.product(matrix, np.zeros((3, 2)), np.zeros((4, 2)))
