"""A cheap pass over documents of tokens leaves out none that is among the best."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgcython import TokenArray, kernels
from cgcython.search.best import best_rows
from cgcython.search.token_passes import Pass, contenders
from cgcython.search.token_scans import E4M3TokenScan, IntegerTokenScan
from cgcython.similarity import PreparedQuery

RNG = np.random.default_rng(12)


@pytest.fixture(autouse=True)
def _with_passes_at_every_level(monkeypatch):
    monkeypatch.setattr(kernels.maxsim_codes, "pays", lambda: True)
    monkeypatch.setattr(kernels.maxsim_screen, "pays", lambda: True)


def scan_of(tokens, precision):
    """Return the scan of documents of tokens, as their records would have it."""
    coded = tokens.quantize(precision)
    if precision == "e4m3":
        codes, dim = coded.values.reshape(-1), coded.dim
        return E4M3TokenScan(codes, coded.starts * dim, coded.counts, dim)
    bits = int(precision[-1])
    spans = coded.starts, coded.counts
    return IntegerTokenScan(coded.values, coded.inverse_norms, *spans, coded.dim, bits)


def alike(documents, dim, spread, rng):
    """Return documents around one another, nearer than a cheap pass can tell apart."""
    centre = rng.standard_normal((6, dim))
    return [
        centre[: rng.integers(7)] + spread * rng.standard_normal((1, dim)) for _ in range(documents)
    ]


@pytest.mark.parametrize("precision", ["e4m3", "int4", "int2"])
@given(seed=st.integers(0, 2**32), spread=st.sampled_from([1e-4, 1e-2, 1.0]), k=st.integers(1, 9))
@settings(max_examples=12, deadline=None)
def test_the_best_are_those_of_all_scores(precision, seed, spread, k):
    rng = np.random.default_rng(seed)
    scan = scan_of(TokenArray.from_list(alike(90, 40, spread, rng), 40), precision)
    query = rng.standard_normal((35, 40)) + 1
    scores, best = scan.scores(query), scan.best(query, k)
    assert set(best_rows(scores, k)) == set(best.rows)
    np.testing.assert_array_equal(best.scores, scores[best.rows])
    assert best.read == 90


@pytest.mark.parametrize("precision", ["e4m3", "int4"])
def test_documents_that_score_0_are_all_returned_where_the_last_does(precision):
    tokens = TokenArray.from_list([[[1.0] * 8]] * 2 + [[[-1.0] * 8]] * 98)
    best = scan_of(tokens, precision).best([[1.0] * 8], 3)
    assert sorted(best.rows) == list(range(100))


@pytest.mark.parametrize("query", [np.zeros((3, 8)), np.zeros((0, 8))])
def test_a_query_without_direction_finds_all_equal(query):
    scan = scan_of(TokenArray.from_list(RNG.standard_normal((40, 2, 8))), "e4m3")
    assert len(scan.best(query, 2).rows) == 40


def test_most_documents_need_no_second_look():
    documents = TokenArray.from_list(RNG.standard_normal((2000, 4, 64)))
    query = PreparedQuery.of(RNG.standard_normal((32, 64)))
    scan = scan_of(documents, "e4m3")
    rows = contenders(scan._passes(query), np.arange(2000), scan.starts, scan.counts, 10)
    assert 10 <= len(rows) < 500


@pytest.mark.parametrize("dim", [8, 33, 128])
@pytest.mark.parametrize("precision", ["e4m3", "int4", "int2"])
def test_no_score_is_further_off_than_is_said(dim, precision):
    scan = scan_of(TokenArray.from_list(RNG.standard_normal((300, 3, dim))), precision)
    query = scan._prepare(RNG.standard_normal((40, dim)) + 0.3, "cosine")
    (one,) = scan._passes(query)
    sums = np.empty(300, np.float32)
    one.sum(scan.starts, scan.counts, sums)
    apart = np.abs((sums / one.tokens).clip(0, 1) - scan.scores(query.tokens))
    assert np.all(apart <= one.off)
    assert 0 < apart.max() <= np.max(one.off) < 0.1


def test_the_best_of_some_rows_are_found_among_them():
    scan = scan_of(TokenArray.from_list(RNG.standard_normal((400, 3, 32))), "e4m3")
    query, rows = RNG.standard_normal((9, 32)), RNG.permutation(400)[:150]
    best, scores = scan.best_of(rows, query, 6), scan.scores(query)
    assert set(best.rows) == set(rows[np.argsort(-scores[rows])[:6]])
    np.testing.assert_array_equal(best.scores, scores[best.rows])
    assert best.read == 150


def test_threads_find_the_same():
    scan = scan_of(TokenArray.from_list(RNG.standard_normal((500, 3, 16))), "int4")
    query = RNG.standard_normal((5, 16))
    one, two = (set(scan.best(query, 4, num_threads=n).rows) for n in (1, 2))
    assert one == two


def test_without_a_pass_every_document_is_a_contender():
    rows, spans = np.arange(3), (np.arange(3), np.ones(3, np.int64))
    assert contenders([], rows, *spans, 1).tolist() == [0, 1, 2]
    certain = Pass(lambda starts, counts, sums: np.copyto(sums, starts), 0.04, 10)
    assert contenders([certain], rows, *spans, 1).tolist() == [2]
    unsure = certain._replace(off=0.3)  # then the best may be 0, and others equal
    assert contenders([unsure], rows, *spans, 1).tolist() == [0, 1, 2]
