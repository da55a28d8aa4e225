"""Products of sparse vectors against scipy.sparse and numpy."""

import numpy as np
import pytest
from kernel_levels import FUSING
from looping import looped
from sparse_rows import COUNTS, matrix_of, rows

from cgcython.kernels import dispatch


@pytest.mark.parametrize("edges", [[-1, 5, 7], [0, 8, 7], [0, 5, 8], [0, 7], [0, 1, 2, 7], []])
def test_row_edges_must_lie_within_the_columns(kernel, edges):
    products, edges = kernel("sparse_products"), np.array(edges, np.int64)
    indices, weights = np.arange(7, dtype=np.uint32), np.ones(7, np.float32)
    out = np.empty(2, np.float32)
    with pytest.raises(ValueError, match="row edges"):
        products.dot_rows(np.ones(10, np.float32), edges, indices, weights, out)
    with pytest.raises(ValueError, match="row edges"):
        products.norms(edges, weights, out)


@pytest.mark.parametrize("counts", [COUNTS, COUNTS * 15, [900, 0, 900]])
@pytest.mark.parametrize("dimension", [1000, 30522])
def test_dots_are_those_of_scipy(kernel, dimension, counts):
    indptr, indices, weights = rows(counts, dimension)
    query = np.random.default_rng(3).standard_normal(dimension).astype(np.float32)
    out = np.empty(len(counts), np.float32)
    kernel("sparse_products").dot_rows(query, indptr, indices, weights, out)
    matrix = matrix_of(indptr, indices, weights, dimension)
    scale = abs(matrix) @ np.abs(query.astype(float))
    # At most 57 + 4 additions and a product, each half a unit of the sum of magnitudes.
    assert np.all(np.abs(out - matrix @ query.astype(float)) <= 62 * 2.0**-24 * scale)


@looped("few", [0, 1, 100, 128, 129])
@looped("count", [100, 64, 2000])
def test_a_query_of_few_meets_rows_as_any_other(kernel, few, count):
    counts = [count, 0, 7, 16] * 80
    indptr, indices, weights = rows(counts, 1000 if count < 1000 else 8000)
    query = np.zeros(1000 if count < 1000 else 8000, np.float32)
    rng = np.random.default_rng(few)
    query[rng.choice(len(query), few, replace=False)] = rng.standard_normal(few) - 2
    out, alone = np.empty(len(counts), np.float32), np.empty(1, np.float32)
    kernel("sparse_products").dot_rows(query, indptr, indices, weights, out)
    for row in range(len(counts)):  # too little work for marks to be worth it
        edges = indptr[row : row + 2]
        kernel("sparse_products").dot_rows(query, edges, indices, weights, alone)
        assert alone[0] == pytest.approx(out[row], rel=1e-5, abs=1e-5)
    expected = matrix_of(indptr, indices, weights, len(query)) @ query.astype(float)
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("place", [3, 1599])
def test_an_index_beyond_a_query_of_few_is_refused(kernel, place):
    indices = np.tile(np.arange(100, dtype=np.uint32), 16)
    indices[place] = 100
    columns = np.arange(0, 1601, 100), indices, np.ones(1600, np.float32)
    query = np.eye(1, 100, 5, dtype=np.float32)[0]
    with pytest.raises(ValueError, match="beyond the query's 100"):
        kernel("sparse_products").dot_rows(query, *columns, np.empty(16, np.float32))


def test_dots_of_unsorted_rows_are_right(kernel):
    indptr, indices, weights = rows([900, 100, 900], 30522)
    query = np.random.default_rng(3).standard_normal(30522).astype(np.float32)
    sums = []
    for order in (slice(None), slice(None, None, -1)):
        out = np.empty(3, np.float32)
        columns = (np.ascontiguousarray(one[order]) for one in (indices, weights))
        kernel("sparse_products").dot_rows(query, indptr, *columns, out)
        sums.append(out[order])
    np.testing.assert_allclose(*sums, rtol=1e-4)


def test_an_empty_query_takes_only_empty_rows(kernel):
    out, query = np.ones(2, np.float32), np.empty(0, np.float32)
    columns = np.zeros(1, np.uint32), np.ones(1, np.float32), out
    kernel("sparse_products").dot_rows(query, np.zeros(3, np.int64), *columns)
    assert out.tolist() == [0, 0]
    with pytest.raises(ValueError, match="beyond the query's 0"):
        kernel("sparse_products").dot_rows(query, np.array([0, 1, 1]), *columns)


def test_dots_are_equal_on_every_level_that_fuses():
    columns, query = (
        rows([*COUNTS * 15, *[900] * 150], 30522),
        np.random.default_rng(3).random(30522),
    )
    outs = [np.empty(300, np.float32) for _ in FUSING]
    for level, out in zip(FUSING, outs):
        dispatch.load("sparse_products", level).dot_rows(query.astype(np.float32), *columns, out)
    assert all(np.array_equal(out, outs[0]) for out in outs)


@looped("place", [0, 3, 15, 16, 20, 32])
@looped("index", [50, 2**31, 2**32 - 1])
def test_an_index_beyond_the_query_is_refused(kernel, place, index):
    indices = np.arange(33, dtype=np.uint32)
    indices[place] = index
    arguments = np.array([0, 33]), indices, np.ones(33, np.float32), np.empty(1, np.float32)
    with pytest.raises(ValueError, match="beyond the query's 50"):
        kernel("sparse_products").dot_rows(np.ones(50, np.float32), *arguments)


def test_norms_are_those_of_numpy(kernel):
    indptr, _, weights = rows(COUNTS, 1000)
    out = np.empty(len(COUNTS), np.float32)
    kernel("sparse_products").norms(indptr, weights, out)
    lengths = [np.linalg.norm(part.astype(float)) for part in np.split(weights, indptr[1:-1])]
    np.testing.assert_allclose(out, lengths, rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-30, 1e18])
def test_norms_neither_vanish_nor_overflow(kernel, scale):
    out = np.empty(1, np.float32)
    kernel("sparse_products").norms(np.array([0, 4]), np.full(4, scale, np.float32), out)
    np.testing.assert_allclose(out, 2 * np.float32(scale), rtol=1e-6)
