"""Sums over tables are the same bits on every level, and so are the rows they choose."""

import numpy as np
import pytest

from cgcython.kernels import dispatch


def test_scans_sum_in_order_so_that_all_levels_agree(kernel):
    rng = np.random.default_rng(15)
    for parts in (1, 8, 13):
        table = rng.standard_normal((parts, 256), np.float32)
        codes = rng.integers(0, 256, (100, parts), np.uint8)
        found, expected = np.empty((2, 100), np.float32)
        kernel("adc").scan(table, codes, found)
        dispatch.load("adc", "reference").scan(table, codes, expected)
        np.testing.assert_array_equal(found, expected)


def test_cosines_of_zero_vectors_are_zero(kernel):
    dots, norms = np.ones((8, 256), np.float32), np.zeros((8, 256), np.float32)
    out = np.empty(3, np.float32)
    kernel("adc").cosine(dots, norms, 0.0, 0.0, np.zeros((3, 8), np.uint8), out)
    np.testing.assert_array_equal(out, 0)


@pytest.mark.parametrize("n", [1, 63, 64, 65, 1000, 5000])
@pytest.mark.parametrize("parts", [8, 5])
@pytest.mark.parametrize("tied", [False, True])
def test_top_rows_are_those_of_a_stable_sort(kernel, n, parts, tied):
    rng = np.random.default_rng([n, parts])
    table = rng.standard_normal((parts, 256), np.float32)
    table = np.round(table) if tied else table
    codes = rng.integers(0, 256, (n, parts), np.uint8)
    sums, k = np.empty(n, np.float32), min(n, 10)
    kernel("adc").scan(table, codes, sums)
    ids, best = np.empty(k, np.int64), np.empty(k, np.float32)
    kernel("adc").topk(table, codes, ids, best)
    np.testing.assert_array_equal(ids, np.argsort(sums, kind="stable")[:k])
    np.testing.assert_array_equal(best, sums[ids])


def test_doors_refuse_arrays_that_do_not_fit(kernel):
    adc, table = kernel("adc"), np.empty((8, 256), np.float32)
    codes = np.empty((2, 8), np.uint8)
    with pytest.raises(ValueError, match="table is"):
        adc.scan(table, np.empty((2, 9), np.uint8), np.empty(2, np.float32))
    with pytest.raises(ValueError, match="out holds 3"):
        adc.scan(table, codes, np.empty(3, np.float32))
    with pytest.raises(ValueError, match="ids holds 3"):
        adc.topk(table, codes, np.empty(3, np.int64), np.empty(3, np.float32))
