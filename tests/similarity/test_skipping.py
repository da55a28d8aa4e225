"""Scores are the same with a screen and without, bit for bit, on hostile tokens too."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgcython import DimensionMismatch, InvalidInput, PreparedQuery, TokenArray, max_sim_batch
from cgcython.similarity.batch import mean
from cgcython.similarity.skipping import contenders

F32 = np.float32


def usual(rng, n):
    return rng.standard_normal((n, 16))


def near_ties(rng, n):
    return np.ones((n, 16)) + 1e-6 * rng.standard_normal((n, 16))


def one_huge_value(rng, n):
    values = rng.standard_normal((n, 16))
    values[np.arange(n), rng.integers(0, 16, n)] *= 1e6
    return values


def repeated(rng, n):
    return rng.integers(-1, 2, (n, 16))


def any_magnitude(rng, n):
    return rng.standard_normal((n, 16)) * 10.0 ** rng.integers(-44, 37, (n, 1))


KINDS = [usual, near_ties, one_huge_value, repeated, any_magnitude]


@settings(deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 2**32 - 1),
    counts=st.lists(st.integers(0, 9), min_size=1, max_size=30),
    num_query=st.integers(0, 40),
    k=st.integers(0, 12),
    reduction=st.sampled_from(["mean", "sum"]),
)
def test_scores_are_the_same_with_a_screen(kind, seed, counts, num_query, k, reduction):
    rng = np.random.default_rng(seed)
    tokens = TokenArray(kind(rng, sum(counts)).astype(F32), np.cumsum([0, *counts]))
    query = kind(rng, num_query).astype(F32)
    ids, best = max_sim_batch(query, tokens, reduction, k)
    scores = max_sim_batch(query, tokens, reduction)
    assert max_sim_batch(query, tokens.with_screen(), reduction).tolist() == scores.tolist()
    for threads in (1, 2):
        found = max_sim_batch(query, tokens.with_screen(), reduction, k, threads)
        assert found[0].tolist() == ids.tolist()
        assert found[1].tolist() == best.tolist()


@pytest.mark.parametrize("k", [None, 5])
def test_scores_are_the_same_on_every_level(level, k):
    rng = np.random.default_rng(4)
    tokens = TokenArray(usual(rng, 600).astype(F32), np.arange(0, 601, 12))
    query, some = usual(rng, 33).astype(F32), tokens.with_screen()[::-2]
    expected = max_sim_batch(query, tokens[::-2], k=k)
    np.testing.assert_array_equal(max_sim_batch(query, some, k=k), expected)


def test_few_documents_contend():
    rng = np.random.default_rng(5)
    topics = rng.standard_normal((50, 1, 64))
    documents = topics + 0.3 * rng.standard_normal((50, 20, 64))
    tokens = TokenArray.from_list(documents).with_screen()
    query = PreparedQuery.of(documents[7] + 0.3 * rng.standard_normal((20, 64)))
    assert contenders(query, tokens, tokens.screen, 1, mean).tolist() == [7]
    assert len(contenders(query, tokens, tokens.screen, 5, mean)) < 15


def test_arguments_are_checked_with_a_screen_too():
    tokens = TokenArray.from_list([np.ones((2, 8)), np.ones((2, 8))]).with_screen()
    with pytest.raises(DimensionMismatch):
        max_sim_batch(np.ones((2, 4)), tokens, k=1)
    with pytest.raises(InvalidInput, match="k: expected 0 or more"):
        max_sim_batch(np.ones((2, 8)), tokens, k=-1)
