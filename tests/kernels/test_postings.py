"""Inverted lists against scipy.sparse."""

import numpy as np
import pytest
from kernel_levels import FUSING
from sparse_rows import COUNTS, matrix_of, rows, vector

from cgcython.kernels import dispatch
from cgcython.search import inverted as lists_module
from cgcython.search.inverted import Rows, inverted, norms_of

BUILT = dispatch.available()[1:]
# More rows than meet a query together, and than a list is looked through without a guess.
MANY = [5, 0, 9, 30] * 10_000


def csc(products, columns, dimension):
    nnz = len(columns[1])
    found = np.empty(dimension + 1, np.int64), np.empty(nnz, np.uint32), np.empty(nnz, np.float32)
    products.invert(*columns, *found)
    return found


@pytest.mark.parametrize("counts", [[], [0], COUNTS, COUNTS * 30])
def test_inverted_lists_are_those_of_scipy(kernel, counts):
    columns = rows([0, *counts], 1000)
    starts, found, weights = csc(kernel("sparse_products"), columns, 1000)
    expected = matrix_of(*columns, 1000).tocsc()
    np.testing.assert_array_equal(starts, expected.indptr)
    np.testing.assert_array_equal(found, expected.indices)
    np.testing.assert_array_equal(weights, expected.data)


def test_an_index_beyond_the_lists_is_refused(kernel):
    with pytest.raises(ValueError, match="beyond the 9 of the inverted lists"):
        csc(kernel("sparse_products"), rows([3, 3], 10), 9)


def test_row_edges_must_cover_all_that_is_inverted(kernel):
    indptr, *columns = rows([3, 3], 10)
    for edges in (indptr[:-1], indptr[1:]):
        with pytest.raises(ValueError, match="row edges must cover all 6"):
            csc(kernel("sparse_products"), (edges, *columns), 10)


def test_lengths_must_agree(kernel):
    indptr, indices, weights = rows([3, 3], 10)
    with pytest.raises(ValueError, match="weights holds 5, indices holds 6"):
        csc(kernel("sparse_products"), (indptr, indices, weights[1:]), 10)


def halved(columns):
    """Return CSR columns whose weights f16 holds."""
    indptr, indices, weights = columns
    return indptr, indices, weights.astype(np.float16).astype(np.float32)


def lists_of(columns, dimension, dtype=np.float32, most_rows=1 << 16):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lists_module, "MOST_ROWS", most_rows)
        return inverted(Rows(*columns), norms_of(Rows(*columns)), dimension, dtype)


def scores_of(postings, query, lists):
    blocks = len(lists.edges) - 1
    out, scratch = np.full(lists.edges[-1], 7, np.float32), np.empty(65536, np.float32)
    postings.score(*query, *lists.arguments(), 0, blocks, out, scratch)
    return out


def best_of(postings, query, lists, k, norms=None):
    """Return the rows and scores that are best, or None."""
    count, blocks = int(lists.edges[-1]), len(lists.edges) - 1
    found, scores = np.empty(count, np.int64), np.empty(count, np.float32)
    scratch = np.empty(postings.best_scratch(len(query[0]), k), np.uint8)
    highest = lists.highest if norms is None else lists.highest_cosines
    norms = np.empty(0, np.float32) if norms is None else norms
    kept = postings.best(
        *query, *lists.arguments(), highest, norms, 0, blocks, k, found, scores, scratch
    )
    return None if kept < 0 else (found[:kept], scores[:kept])


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("most_rows", [3, 1 << 16])
@pytest.mark.parametrize(("nnz", "counts"), [(0, COUNTS), (2, []), (25, COUNTS), (700, COUNTS)])
def test_scores_are_those_of_scipy(kernel, nnz, counts, most_rows, dtype):
    columns, query = halved(rows([0, *counts], 1000)), vector(nnz, 1000, seed=9)
    lists = lists_of(columns, 1000, dtype, most_rows)
    out = scores_of(kernel("postings"), query, lists)
    dense = np.zeros(1000)
    dense[query[0]] = query[1]
    matrix = matrix_of(*columns, 1000)
    scale = abs(matrix) @ np.abs(dense)
    # A row of 100 non-zeros sums as many products, each rounded to half a unit of the sum.
    assert np.all(np.abs(out - matrix @ dense) <= 101 * 2.0**-24 * scale)
    some, wanted = np.empty(3, np.float32), np.array([0, len(counts) // 2, len(counts)])
    kernel("postings").score_rows(*query, *lists.arguments(), wanted, some)
    np.testing.assert_array_equal(some, out[wanted])


def test_halves_of_all_bits_are_widened_exactly(kernel):
    halves = np.arange(0x8000, dtype=np.uint16).view(np.float16)
    halves = np.concatenate([one := halves[np.isfinite(halves)], -one]).astype(np.float32)
    ends = np.arange(len(halves) + 1)
    lists = lists_of((ends, np.zeros(len(halves), np.uint32), halves), 1, np.float16)
    query = np.zeros(1, np.uint32), np.ones(1, np.float32)
    np.testing.assert_array_equal(scores_of(kernel("postings"), query, lists), halves)
    found = np.empty_like(halves)
    kernel("postings").score_rows(*query, *lists.arguments(), ends[:-1], found)
    np.testing.assert_array_equal(found, halves)


@pytest.fixture(scope="module")
def many():
    """Return rows, and a query whose terms are in many of them: some products are below 0."""
    return halved(rows(MANY, 500)), vector(400, 500, seed=9)


@pytest.fixture(scope="module")
def positive(many):
    """Return rows and a query without a product below 0, so that lists can be left out."""
    (indptr, indices, weights), (terms, query) = many[0], vector(90, 500, seed=9)
    return (indptr, indices, np.abs(weights)), (terms, np.abs(query))


def test_scores_are_equal_on_every_level_that_fuses(many):
    columns, query = many
    lists = lists_of(columns, 500, np.float16)
    outs = [scores_of(dispatch.load("postings", level), query, lists) for level in FUSING]
    assert all(np.array_equal(out, outs[0]) for out in outs)
    exact = scores_of(dispatch.load("postings", "reference"), query, lists)
    np.testing.assert_allclose(outs[0], exact, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("most_rows", [7000, 1 << 16])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("level", BUILT)
def test_rows_are_looked_up_bit_for_bit(many, level, dtype, most_rows):
    columns, query = many
    postings, lists = dispatch.load("postings", level), lists_of(columns, 500, dtype, most_rows)
    wanted = np.sort(np.random.default_rng(4).choice(len(MANY), 3000, replace=False))
    found = np.empty(len(wanted), np.float32)
    postings.score_rows(*query, *lists.arguments(), wanted, found)
    np.testing.assert_array_equal(found, scores_of(postings, query, lists)[wanted])


@pytest.mark.parametrize("data", ["many", "positive"])
@pytest.mark.parametrize("by_norm", [True, False])
@pytest.mark.parametrize(("k", "most_rows"), [(1, 7000), (10, 1 << 16), (300, 7000)])
@pytest.mark.parametrize("level", BUILT)
def test_the_best_are_those_of_all_scores(request, level, k, most_rows, by_norm, data):
    columns, query = request.getfixturevalue(data)
    postings, norms = dispatch.load("postings", level), norms_of(Rows(*columns))
    lists = lists_of(columns, 500, np.float16, most_rows)
    scores = scores_of(postings, query, lists)
    if by_norm:
        np.divide(scores, norms, out=scores, where=norms > 0)
    found, their_scores = best_of(postings, query, lists, k, norms if by_norm else None)
    expected = np.flatnonzero(scores >= np.sort(scores)[-k])
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(their_scores, scores[expected])


def test_all_that_equals_the_last_is_among_the_best(kernel):
    weights = np.tile(np.array([2, 1, 2, 3, 0], np.float32), 20)
    columns = np.arange(101), np.zeros(100, np.uint32), weights
    query = np.zeros(1, np.uint32), np.ones(1, np.float32)
    for k, expected in [(20, [3]), (21, [0, 2, 3]), (60, [0, 2, 3]), (90, [0, 1, 2, 3])]:
        found, scores = best_of(kernel("postings"), query, lists_of(columns, 1, most_rows=30), k)
        assert sorted(set((found % 5).tolist())) == expected
        assert len(found) == 20 * len(expected)
        np.testing.assert_array_equal(scores, weights[found])


def test_sums_that_may_overflow_have_no_best(kernel):
    columns = np.arange(4), np.zeros(3, np.uint32), np.full(3, 1e30, np.float32)
    query = np.zeros(1, np.uint32), np.full(1, 1e30, np.float32)
    assert best_of(kernel("postings"), query, lists_of(columns, 1), 2) is None


def arguments_of(columns=((0, 2, 4), (0, 1, 0, 1), (1, 2, 3, 4))):
    """Return what `score` takes of a query and two rows, and lists of it by name."""
    indptr, indices, weights = columns
    columns = np.array(indptr), np.array(indices, np.uint32), np.array(weights, np.float32)
    query = np.array([0, 1], np.uint32), np.ones(2, np.float32)
    return query, lists_of(columns, 2)


@pytest.mark.parametrize("bounds", [(0, -1, 4), (0, 2, 9), (0, 3, 2), (-5, 2, 4)])
def test_a_list_beyond_the_postings_is_refused(kernel, bounds):
    query, lists = arguments_of()
    broken = lists._replace(starts=np.array(bounds))
    for call in (scores_of, lambda *args: best_of(*args, 1)):
        with pytest.raises(ValueError, match="a list lies beyond the postings"):
            call(kernel("postings"), query, broken)
    with pytest.raises(ValueError, match="a list lies beyond the postings"):
        kernel("postings").score_rows(
            *query, *broken.arguments(), np.array([0, 1]), np.empty(2, np.float32)
        )


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"edges": np.array([0, 0])}, "block 0 has 0 rows"),
        ({"edges": np.array([0, 65537])}, "block 0 has 65537 rows"),
        ({"edges": np.array([1, 2])}, "block 0 has 1 rows"),
        ({"spans": np.array([0, 3])}, "spans leave 2 rows"),
        ({"spans": np.array([0, 1, 2])}, "spans holds 3, edges holds 2"),
        ({"starts": np.array([0, 2])}, "starts holds 2"),
        ({"rows": np.zeros(3, np.uint16)}, "weights holds 4, rows holds 3"),
    ],
)
def test_lists_that_do_not_fit_together_are_refused(kernel, change, match):
    query, lists = arguments_of()
    broken = lists._replace(**change).arguments()
    with pytest.raises(ValueError, match=match):
        kernel("postings").score_rows(
            *query, *broken, np.empty(0, np.int64), np.empty(0, np.float32)
        )


def test_rows_beyond_their_block_are_left_out(kernel):
    query, lists = arguments_of()
    rows_beyond = lists._replace(rows=np.array([0, 65535, 0, 9], np.uint16)).arguments()
    guarded = np.full(64, 7, np.float32)
    scratch = np.empty(65536, np.float32)
    kernel("postings").score(*query, *rows_beyond, 0, 1, guarded[30:32], scratch)
    assert guarded[30:32].tolist() == [3, 0]
    assert np.all(np.delete(guarded, [30, 31]) == 7)
