"""A cheap pass over documents of tokens leaves out none that is among the best."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgcython import TokenArray, kernels, max_sim_batch
from cgcython.search import token_scans
from cgcython.search.best import best_rows
from cgcython.search.token_passes import Pass, contenders, off_in_bfloat16, off_in_bytes
from cgcython.search.token_scans import E4M3TokenScan, IntegerTokenScan
from cgcython.similarity import PreparedQuery

RNG = np.random.default_rng(12)


@pytest.fixture(autouse=True)
def _with_passes_at_every_level(monkeypatch):
    monkeypatch.setattr(token_scans, "bfloat16_pays", lambda: True)
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
    rows = contenders(
        scan_of(documents, "e4m3")._passes(query),
        documents.starts * 64,
        documents.counts,
        10,
    )
    assert 10 <= len(rows) < 200


@pytest.mark.parametrize("dim", [8, 33, 128])
def test_no_cosine_is_further_off_than_is_said(dim):
    query, rounded = RNG.standard_normal((40, dim)), PreparedQuery.of
    fine, coarse = rounded(query, fine=True), rounded(query)
    documents = TokenArray.from_list(RNG.standard_normal((300, 3, dim)))
    for precision, off in [
        ("e4m3", off_in_bfloat16(coarse)),
        ("int4", off_in_bytes(fine.hadamard_integers, coarse.hadamard_integers, fine)),
    ]:
        coded = documents.quantize(precision)
        means = [_means(one, coded) for one in (fine, coarse)]
        apart = np.abs(means[0] - means[1]).max()
        assert 0 < apart <= off < 0.05


def test_threads_find_the_same():
    scan = scan_of(TokenArray.from_list(RNG.standard_normal((500, 3, 16))), "int4")
    query = RNG.standard_normal((5, 16))
    one, two = (set(scan.best(query, 4, num_threads=n).rows) for n in (1, 2))
    assert one == two


def test_without_a_pass_every_document_is_a_contender():
    spans = np.arange(3), np.ones(3, np.int64)
    assert contenders([], *spans, 1).tolist() == [0, 1, 2]
    certain = Pass(lambda starts, counts, sums: np.copyto(sums, starts), 0.04, 10)
    assert contenders([certain], *spans, 1).tolist() == [2]
    unsure = certain._replace(off=0.3)  # then the best may be 0, and others equal
    assert contenders([unsure], *spans, 1).tolist() == [0, 1, 2]


def _means(query, documents):
    return max_sim_batch(query, documents, "sum") / query.count
