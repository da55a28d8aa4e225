"""Sums over tables are the same bits on every level, and so are the rows they choose."""

import numpy as np
import pytest
from looping import looped

from cgcython.kernels import dispatch


def test_scans_sum_in_order_so_that_all_levels_agree(kernel):
    rng = np.random.default_rng(15)
    for M in (1, 8, 13):
        table = rng.standard_normal((M, 256), np.float32)
        codes = rng.integers(0, 256, (100, M), np.uint8)
        found, expected = np.empty((2, 100), np.float32)
        kernel("adc").scan(table, codes, found)
        dispatch.load("adc", "reference").scan(table, codes, expected)
        np.testing.assert_array_equal(found, expected)


def test_cosines_of_zero_vectors_are_zero(kernel):
    dots, norms = np.ones((8, 256), np.float32), np.zeros((8, 256), np.float32)
    out = np.empty(3, np.float32)
    kernel("adc").cosine(dots, norms, 0.0, 0.0, np.zeros((3, 8), np.uint8), out)
    np.testing.assert_array_equal(out, 0)


@looped("n", [1, 63, 64, 65, 1000, 5000])
@looped("M", [8, 5])
@looped("tied", [False, True])
def test_top_rows_are_those_of_a_stable_sort(kernel, n, M, tied):
    rng = np.random.default_rng([n, M])
    table = rng.standard_normal((M, 256), np.float32)
    table = np.round(table) if tied else table
    codes = rng.integers(0, 256, (n, M), np.uint8)
    sums, k = np.empty(n, np.float32), min(n, 10)
    kernel("adc").scan(table, codes, sums)
    ids, best = np.empty(k, np.int64), np.empty(k, np.float32)
    kernel("adc").topk(table, codes, ids, best)
    np.testing.assert_array_equal(ids, np.argsort(sums, kind="stable")[:k])
    np.testing.assert_array_equal(best, sums[ids])


def blocked(kernel, codes):
    blocks = np.full((-(-len(codes) // 64), codes.shape[1], 64), 255, np.uint8)
    kernel("adc").block_codes(codes, blocks)
    return blocks


def top(kernel, table, codes, k):
    """Return what topk and topk_blocks write."""
    found = [(np.empty(k, np.int64), np.empty(k, np.float32)) for _ in range(2)]
    kernel("adc").topk(table, codes, *found[0])
    kernel("adc").topk_blocks(table, blocked(kernel, codes), len(codes), *found[1])
    return [(ids.tolist(), best.tobytes()) for ids, best in found]


@pytest.mark.parametrize("n", [0, 1, 64, 65, 200])
def test_blocks_hold_sixty_four_rows_side_by_side(kernel, n):
    codes = np.random.default_rng(n).integers(0, 256, (n, 5), np.uint8)
    blocks = blocked(kernel, codes)
    np.testing.assert_array_equal(blocks.transpose(0, 2, 1).reshape(-1, 5)[:n], codes)
    assert not blocks.transpose(0, 2, 1).reshape(-1, 5)[n:].any()


def tables(rng, M):
    """Return tables that screens find hard: tied, flat, negative, wide, endless."""
    normal = rng.standard_normal((M, 256), np.float32)
    uneven = normal * np.geomspace(1, 1e-6, M, dtype=np.float32)[:, None]
    endless = np.where(normal > 2.9, np.float32(np.inf), normal)
    near = (1000 + rng.integers(0, 3, normal.shape) * 2.0**-14).astype(np.float32)
    return [normal, normal**2, np.round(normal), 0 * normal, near, uneven, normal * 1e36,
            normal * 1e-44, endless, -np.exp(4 * normal)]  # fmt: skip


@looped(("n", "k"), [(1, 1), (64, 7), (4700, 10), (20000, 10), (9999, 700)])
@looped("M", [1, 5, 8, 24, 70, 200])
def test_blocks_give_the_rows_and_sums_of_the_plain_codes(kernel, n, k, M):
    rng = np.random.default_rng([n, M])
    codes = rng.integers(0, 256, (n, M), np.uint8)
    for table in tables(rng, M):
        plain, screened = top(kernel, table, codes, k)
        assert plain == screened


def test_sums_that_fall_along_the_rows_all_pass_the_screen(kernel):
    codes = np.repeat(np.arange(256, dtype=np.uint8)[::-1], 64)[:, None]
    table = np.geomspace(1e-20, 1, 256, dtype=np.float32)[None]
    plain, screened = top(kernel, table, codes, 100)
    assert plain == screened
    assert screened[0] == list(range(255 * 64, 256 * 64)) + list(range(254 * 64, 254 * 64 + 36))


def lengths_of(norms, constant, blocks):
    """Return the codes of the lengths of rows in blocks, and their edges."""
    codes = np.ascontiguousarray(blocks.transpose(0, 2, 1)).reshape(-1, blocks.shape[1])
    sums = np.empty(len(codes), np.float32)
    dispatch.load("adc", "reference").scan(norms, codes, sums)
    lengths = np.sqrt(np.maximum(constant + sums.astype(np.float64), 0))
    edges = np.linspace(0, np.nextafter(lengths.max(), 9e9), 257)
    edges = np.nextafter(edges.astype(np.float32), np.float32(np.inf))
    edges[0] = 0
    found = np.searchsorted(edges[1:-1], lengths, side="right").astype(np.uint8)
    return found.reshape(-1, 64), edges


@looped(("n", "k"), [(1, 1), (64, 7), (5200, 10), (7999, 200)])
@looped("M", [1, 8, 70, 200])
def test_the_nearest_by_cosine_are_those_of_all_cosines(kernel, n, k, M):
    rng, adc = np.random.default_rng([n, M]), kernel("adc")
    codes, norms = rng.integers(0, 256, (n, M), np.uint8), rng.exponential(1, (M, 256))
    blocks, norms = blocked(kernel, codes), (norms * rng.integers(0, 2, (M, 1))).astype(np.float32)
    for dots in tables(rng, M):
        for constant, offset in ((0.0, 0.0), (0.5, 40.0)):
            cosines = np.empty(n, np.float32)
            adc.cosine(dots, norms, offset, constant, codes, cosines)
            with np.errstate(all="ignore"):
                expected = np.fmin(1 - cosines, np.float32(np.inf))
            ids, best = np.empty(k, np.int64), np.empty(k, np.float32)
            lengths = lengths_of(norms, constant, blocks)
            adc.topk_cosine(dots, norms, offset, constant, blocks, *lengths, n, ids, best)
            order = np.argsort(expected, kind="stable")[:k]
            np.testing.assert_array_equal(ids, order)
            np.testing.assert_array_equal(best, expected[order])


def test_doors_refuse_arrays_that_do_not_fit(kernel):
    adc, table = kernel("adc"), np.empty((8, 256), np.float32)
    codes = np.empty((2, 8), np.uint8)
    with pytest.raises(ValueError, match="table is"):
        adc.scan(table, np.empty((2, 9), np.uint8), np.empty(2, np.float32))
    with pytest.raises(ValueError, match="out holds 3"):
        adc.scan(table, codes, np.empty(3, np.float32))
    with pytest.raises(ValueError, match="ids holds 3"):
        adc.topk(table, codes, np.empty(3, np.int64), np.empty(3, np.float32))
    blocks = np.empty((1, 8, 64), np.uint8)
    with pytest.raises(ValueError, match="blocks are"):
        adc.block_codes(np.empty((65, 8), np.uint8), blocks)
    with pytest.raises(ValueError, match="blocks are"):
        adc.topk_blocks(table, blocks, 65, np.empty(1, np.int64), np.empty(1, np.float32))
    with pytest.raises(ValueError, match="ids holds 3"):
        adc.topk_blocks(table, blocks, 2, np.empty(3, np.int64), np.empty(3, np.float32))
    lengths, edges = np.empty((1, 64), np.uint8), np.empty(257, np.float32)
    few = np.empty(1, np.int64), np.empty(1, np.float32)
    for wrong in ((lengths[:0], edges), (lengths[:, :9].copy(), edges), (lengths, edges[:9])):
        with pytest.raises(ValueError, match="lengths are"):
            adc.topk_cosine(table, table, 0.0, 0.0, blocks, *wrong, 2, *few)
    few = np.empty(3, np.int64), np.empty(3, np.float32)
    with pytest.raises(ValueError, match="ids holds 3"):
        adc.topk_cosine(table, table, 0.0, 0.0, blocks, lengths, edges, 2, *few)
