"""Fusion is the plain sum of weight / (60 + rank), however few documents it looks at."""

import numpy as np
import pytest

from cgcython.errors import InvalidInput
from cgcython.search import fusion
from cgcython.search.fusion import Ranking, fuse


def ranking(scores, weight=1.0):
    """Return a Ranking of `{key: score}`."""
    keys = sorted(scores)
    return Ranking(np.array(keys, "S16"), np.array([scores[key] for key in keys]), weight)


def by_definition(rankings, k):
    sums = {}
    for keys, scores, weight, _ in rankings:
        for key, score in zip(keys.tolist(), scores):
            if weight > 0:
                rank = 1 + int(np.sum(scores > score))
                sums[key] = sums.get(key, 0) + weight / (60 + rank)
    return sorted(sums, key=lambda key: (-sums[key], key))[:k]


def test_a_ranking_without_a_document_adds_nothing():
    # b: 1/62 + 1/62, a and c: 1/61
    assert fuse([ranking({b"a": 0.9, b"b": 0.5}), ranking({b"b": 0.1, b"c": 0.2})], k=3) == [
        b"b",
        b"a",
        b"c",
    ]


def test_ranks_count_from_one():
    # 1.033 / 63 of the third is more than 1 / 61 of the first; 1.033 / 62 is less than 1 / 60
    one, two = ranking({b"a": 1.0}), ranking({b"b": 1.0, b"x": 3.0, b"y": 2.0}, 1.033)
    assert fuse([one, two], k=4) == [b"x", b"y", b"b", b"a"]


def test_equal_scores_share_a_rank_and_come_in_the_order_of_keys():
    assert fuse([ranking({b"b": 1.0, b"a": 1.0, b"c": 0.5})], k=3) == [b"a", b"b", b"c"]
    # c is third there, as two share the first rank: 1/63 + 1/62 < 1/61 + 1/63
    other = ranking({b"a": 0.0, b"c": 0.5, b"d": 1.0})
    one = ranking({b"b": 1.0, b"a": 1.0, b"c": 0.5})
    assert fuse([one, other], k=4) == by_definition([one, other], 4)


def test_weights_scale_and_those_of_zero_or_less_ignore():
    one, two = {b"a": 1.0, b"b": 0.0}, {b"a": 0.0, b"b": 1.0}
    assert fuse([ranking(one), ranking(two, 3.0)], k=1)[0] == b"b"
    for weight in (0.0, -5.0):
        assert fuse([ranking(one), ranking(two, weight)], k=2) == fuse([ranking(one)], k=2)


@pytest.mark.parametrize("seed", range(8))
def test_it_equals_the_definition_over_all_documents(seed):
    rng = np.random.default_rng(seed)
    keys = np.array([b"%05d" % i for i in range(3000)], "S16")
    rankings = []
    for weight in rng.uniform(0.1, 3, rng.integers(1, 5)):
        have = np.sort(rng.choice(3000, rng.integers(1, 3000), replace=False))
        scores = rng.standard_normal(len(have)).round(rng.integers(1, 6)).astype(np.float32)
        rankings.append(Ranking(keys[have], scores, weight))
    for k in (1, 10, 100):
        assert fuse(rankings, k) == by_definition(rankings, k)


@pytest.mark.parametrize("seed", range(4))
def test_it_equals_the_definition_where_most_ranks_are_not_known(seed):
    rng = np.random.default_rng(seed)
    n = 100_000
    keys = np.array([b"%06d" % i for i in range(n)], "S16")
    scores = rng.standard_normal((3, n)).astype(np.float32)
    if seed == 1:
        scores = scores.round(2)  # ties everywhere
    if seed == 2:
        scores[0, rng.integers(0, n, 99_990)] = -np.inf  # most of one do not rank
    if seed == 3:
        scores[1] = 0  # one that tells nothing
    rankings = [Ranking(keys, one, weight) for one, weight in zip(scores, (1, 0.5, 0.01))]
    sums = np.zeros(n)
    for _, one, weight, _ in rankings:
        ranks = 1 + n - np.searchsorted(np.sort(one), one, side="right")
        sums += np.where(one > -np.inf, weight / (60 + ranks), 0)
    for k in (1, 10, 1000):
        best = np.argsort(-sums, kind="stable")[:k]
        assert fuse(rankings, k) == keys[best].tolist()


def test_nothing_to_rank_gives_nothing():
    assert fuse([], k=5) == []
    assert fuse([ranking({})], k=5) == []


@pytest.mark.parametrize("k", [0, -1, 1.5, None])
def test_k_is_a_positive_whole_number(k):
    with pytest.raises(InvalidInput, match="k: expected 1 or more"):
        fuse([ranking({b"a": 1.0})], k)


@pytest.mark.parametrize("threads", [2, 5])
def test_threads_change_nothing(monkeypatch, threads):
    monkeypatch.setattr(fusion, "TOP_SECONDS", 1.0)
    monkeypatch.setattr(fusion, "COUNT_SECONDS", 1.0)
    rng = np.random.default_rng(1)
    keys = np.array([b"%05d" % i for i in range(20_000)], "S16")
    rankings = [Ranking(keys, rng.standard_normal(20_000, dtype=np.float32)) for _ in range(4)]
    assert fuse(rankings, 50, threads) == fuse(rankings, 50)


def test_short_work_starts_no_threads(monkeypatch):
    asked = []
    monkeypatch.setattr(fusion, "each", lambda work, items, threads: asked.append(threads) or [])
    one = ranking({b"a": 1.0, b"b": 0.5})
    with pytest.raises(ValueError, match="concatenate"):  # of the tops, which nobody made
        fuse([one, one], 1, num_threads=8)
    assert asked == [1]


def test_the_heaviest_ranking_may_be_too_short_to_decide():
    # x0 is the 30th of both others: 0.1 / 90 + 0.1 / 90 is more than 0.1 / 61 of their first.
    heavy = ranking({b"h": 1.0})
    one = {b"b%03d" % i: -float(i) for i in range(29)} | {b"x%d" % i: -29.0 - i for i in range(9)}
    two = {b"c%03d" % i: -float(i) for i in range(29)} | {b"x%d" % i: -29.0 - i for i in range(9)}
    rankings = [heavy, ranking(one, 0.1), ranking(two, 0.1)]
    assert fuse(rankings, k=10) == by_definition(rankings, 10)
