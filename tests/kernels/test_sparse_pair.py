"""Dot products of two sparse vectors against numpy.intersect1d in float64."""

import itertools

import numpy as np
import pytest
from kernel_levels import FUSING
from looping import looped
from sparse_rows import vector

from cgcython.kernels import dispatch

NNZ = [0, 1, 7, 8, 9, 16, 40, 333, 1500]


@looped(("nnz_a", "nnz_b"), list(itertools.product(NNZ, NNZ)))
@looped("dimension", [1600, 30522])
def test_pairs_are_those_of_numpy(kernel, dimension, nnz_a, nnz_b):
    a, b = vector(nnz_a, dimension, seed=1), vector(nnz_b, dimension, seed=2)
    _, i, j = np.intersect1d(a[0], b[0], return_indices=True)
    products = a[1][i].astype(float) * b[1][j]
    # Lanes and their tree add fewer than 400 times, and 7 more for the rest.
    error = 400 * 2.0**-24 * np.abs(products).sum()
    assert abs(kernel("sparse_products").dot_pair(*a, *b) - products.sum()) <= error


@looped("shift", range(-9, 10))
def test_every_place_meets_every_place(kernel, shift):
    indices, shifted = (
        np.arange(start, start + 24, dtype=np.uint32) for start in (100, 100 + shift)
    )
    ones, powers = np.ones(24, np.float32), 2.0 ** np.arange(24, dtype=np.float32)
    dot = kernel("sparse_products").dot_pair(indices, ones, shifted, powers)
    assert dot == sum(2.0**k for k in range(24) if 0 <= k + shift < 24)


def test_indices_of_all_32_bits_differ(kernel):
    a = np.sort(np.array([0, 1, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1, 5, 6, 7], np.uint32))
    ones = np.ones(9, np.float32)
    assert kernel("sparse_products").dot_pair(a, ones, a, ones) == 9
    assert kernel("sparse_products").dot_pair(a, ones, a ^ np.uint32(8), ones) == 0


def test_pairs_are_equal_on_every_level_that_fuses():
    a, b = vector(1500, 8000, seed=1), vector(1500, 8000, seed=2)
    dots = {dispatch.load("sparse_products", level).dot_pair(*a, *b) for level in FUSING}
    assert len(dots) <= 1


def test_pairs_take_only_plain_arrays(kernel):
    dot_pair, (indices, weights) = kernel("sparse_products").dot_pair, vector(20, 100)
    for wrong in ([1, 2], indices.astype(np.int64), indices.astype(">u4"), indices[::2]):
        with pytest.raises(ValueError, match="contiguous uint32 indices"):
            dot_pair(wrong, weights, indices, weights)
    with pytest.raises(ValueError, match="weights holds 19, indices holds 20"):
        dot_pair(indices, weights, indices, weights[1:])
