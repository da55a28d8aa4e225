"""Eigenvectors and polar factors: sorted, of any size, the same whatever the threads."""

import numpy as np
import pytest

from cgcython.codecs import eigen as module
from cgcython.codecs.eigen import eigen, multiplied, nearest_rotation

RNG = np.random.default_rng(41)


@pytest.mark.parametrize("power", [0, 60, -60])
def test_eigenvalues_descend_beside_their_vectors(power):
    half = RNG.standard_normal((70, 70))
    matrix = np.ldexp(half @ half.T, power)
    values, vectors = eigen(matrix)
    np.testing.assert_allclose(values, np.linalg.eigvalsh(matrix)[::-1], rtol=1e-8)
    np.testing.assert_allclose(matrix @ vectors, vectors * values, atol=1e-12 * values[0])


def test_parts_and_threads_never_change_a_bit(monkeypatch):
    half = RNG.standard_normal((50, 50))
    expected = eigen(half @ half.T)
    monkeypatch.setattr(module, "COLUMNS", 16)
    for found, known in zip(eigen(half @ half.T, num_threads=3), expected):
        np.testing.assert_array_equal(found, known)


@pytest.mark.parametrize("n", [1, 5, 64])
def test_the_polar_factor_is_that_of_the_singular_vectors(n):
    matrix = RNG.standard_normal((n, n)) * np.geomspace(1, 1e-3, n)
    left, _, right = np.linalg.svd(matrix)
    np.testing.assert_allclose(nearest_rotation(matrix), left @ right, atol=1e-8)


@pytest.mark.parametrize("rank", [0, 1, 7])
def test_a_singular_matrix_has_an_orthogonal_factor_too(rank):
    matrix = RNG.standard_normal((20, rank)) @ RNG.standard_normal((rank, 20))
    found = nearest_rotation(matrix)
    np.testing.assert_allclose(multiplied(found.T, found), np.eye(20), atol=1e-9)
    # What an orthogonal matrix reaches at most is the sum of the singular values.
    best = np.linalg.svd(matrix)[1].sum()
    assert np.trace(found.T @ matrix) >= (1 - 1e-3) * best
