"""Inverted lists against scipy.sparse."""

import numpy as np
import pytest
from sparse_rows import COUNTS, matrix_of, rows, vector

from cgcython.kernels import dispatch

FUSING = [level for level in dispatch.available() if level in ("v3", "v4", "v4n", "v4x")]
# More documents than meet a query together, more terms than advance together.
MANY = [5, 0, 9, 30] * 10_000


def inverted(products, columns, dimension):
    nnz = len(columns[1])
    lists = np.empty(dimension + 1, np.int64), np.empty(nnz, np.uint32), np.empty(nnz, np.float32)
    products.invert(*columns, *lists)
    return lists


@pytest.mark.parametrize("counts", [[], [0], COUNTS, COUNTS * 30])
def test_inverted_lists_are_those_of_scipy(kernel, counts):
    columns = rows([0, *counts], 1000)
    starts, docs, weights = inverted(kernel("sparse_products"), columns, 1000)
    expected = matrix_of(*columns, 1000).tocsc()
    np.testing.assert_array_equal(starts, expected.indptr)
    np.testing.assert_array_equal(docs, expected.indices)
    np.testing.assert_array_equal(weights, expected.data)


@pytest.mark.parametrize(("nnz", "counts"), [(0, COUNTS), (2, []), (25, COUNTS), (700, COUNTS)])
def test_scores_are_those_of_scipy(kernel, nnz, counts):
    columns, (terms, query) = rows([0, *counts], 1000), vector(nnz, 1000, seed=9)
    out = np.full(len(counts) + 1, 7, np.float32)
    lists = inverted(kernel("sparse_products"), columns, 1000)
    kernel("sparse_products").score_postings(terms, query, *lists, 0, out)
    dense = np.zeros(1000)
    dense[terms] = query
    matrix = matrix_of(*columns, 1000)
    scale = abs(matrix) @ np.abs(dense)
    # A document of 100 non-zeros sums as many products, each rounded to half a unit of the sum.
    assert np.all(np.abs(out - matrix @ dense) <= 101 * 2.0**-24 * scale)


@pytest.fixture(scope="module")
def many():
    return rows(MANY, 500), vector(400, 500, seed=9)


@pytest.mark.parametrize("level", dispatch.available()[1:])
def test_scores_do_not_depend_on_how_documents_are_cut(many, level):
    columns, query = many
    products = dispatch.load("sparse_products", level)
    lists = inverted(products, columns, 500)
    whole, cut = np.empty(len(MANY), np.float32), np.empty(len(MANY), np.float32)
    products.score_postings(*query, *lists, 0, whole)
    for start, stop in [(0, 1), (1, 1), (1, 33_000), (33_000, 39_999), (39_999, 40_000)]:
        products.score_postings(*query, *lists, start, cut[start:stop])
    np.testing.assert_array_equal(cut, whole)
    exact = np.empty(len(MANY), np.float32)
    dispatch.load("sparse_products", "reference").score_postings(*query, *lists, 0, exact)
    np.testing.assert_allclose(whole, exact, rtol=1e-4, atol=1e-3)


def test_scores_are_equal_on_every_level_that_fuses(many):
    columns, query = many
    outs = [np.empty(len(MANY), np.float32) for _ in FUSING]
    for level, out in zip(FUSING, outs):
        products = dispatch.load("sparse_products", level)
        products.score_postings(*query, *inverted(products, columns, 500), 0, out)
    assert all(np.array_equal(out, outs[0]) for out in outs)


@pytest.mark.parametrize("term", [10, 2**31, 2**32 - 1])
def test_a_term_beyond_the_lists_is_refused(kernel, term):
    terms, query = np.array([0, term], np.uint32), np.ones(2, np.float32)
    lists = inverted(kernel("sparse_products"), rows([3, 3], 10), 10)
    with pytest.raises(ValueError, match=f"term {term} is beyond the 10 inverted lists"):
        kernel("sparse_products").score_postings(terms, query, *lists, 0, np.empty(2, np.float32))


@pytest.mark.parametrize("edges", [(-1, 2), (2, 1), (0, 7)])
def test_a_list_beyond_the_postings_is_refused(kernel, edges):
    query = np.array([4], np.uint32), np.ones(1, np.float32)
    starts, *postings = inverted(kernel("sparse_products"), rows([3, 3], 10), 10)
    starts[4:6] = edges
    with pytest.raises(ValueError, match="the list of term 4 lies beyond"):
        kernel("sparse_products").score_postings(
            *query, starts, *postings, 0, np.empty(2, np.float32)
        )


@pytest.mark.parametrize("doc", [2, 2**31, 2**32 - 1])
def test_documents_beyond_the_scores_are_left_out(kernel, doc):
    starts, docs = np.array([0, 2]), np.array([1, doc], np.uint32)
    guarded, weights = np.full(64, 7, np.float32), np.ones(2, np.float32)
    query = np.zeros(1, np.uint32), np.ones(1, np.float32)
    kernel("sparse_products").score_postings(*query, starts, docs, weights, 0, guarded[30:32])
    assert guarded[30:32].tolist() == [0, 1]
    assert np.all(np.delete(guarded, [30, 31]) == 7)


@pytest.mark.parametrize("first", [-1, 2**32 - 1])
def test_documents_without_numbers_are_refused(kernel, first):
    query = np.zeros(0, np.uint32), np.ones(0, np.float32)
    lists = inverted(kernel("sparse_products"), rows([3, 3], 10), 10)
    with pytest.raises(ValueError, match="numbers below"):
        kernel("sparse_products").score_postings(*query, *lists, first, np.empty(2, np.float32))


def test_an_index_beyond_the_lists_is_refused(kernel):
    with pytest.raises(ValueError, match="beyond the 9 of the inverted lists"):
        inverted(kernel("sparse_products"), rows([3, 3], 10), 9)


def test_row_edges_must_cover_all_that_is_inverted(kernel):
    indptr, *columns = rows([3, 3], 10)
    for edges in (indptr[:-1], indptr[1:]):
        with pytest.raises(ValueError, match="row edges must cover all 6"):
            inverted(kernel("sparse_products"), (edges, *columns), 10)


def test_lengths_must_agree(kernel):
    products, (indptr, indices, weights) = kernel("sparse_products"), rows([3, 3], 10)
    with pytest.raises(ValueError, match="weights holds 5, indices holds 6"):
        inverted(products, (indptr, indices, weights[1:]), 10)
    lists = inverted(products, (indptr, indices, weights), 10)
    with pytest.raises(ValueError, match="query_weights holds 5, query_indices holds 6"):
        products.score_postings(indices, weights[1:], *lists, 0, np.empty(2, np.float32))
