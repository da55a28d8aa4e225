"""Fusion is the plain sum of weight / (60 + rank), however few documents it looks at."""

import numpy as np
import pytest

from cgcython.errors import InvalidInput
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
    return sorted(sums.items(), key=lambda item: (-item[1], item[0]))[:k]


def test_ranks_count_from_one_and_a_ranking_without_a_document_adds_nothing():
    found = fuse([ranking({b"a": 0.9, b"b": 0.5}), ranking({b"b": 0.1, b"c": 0.2})], k=3)
    expected = [(b"b", 1 / 62 + 1 / 62), (b"a", 1 / 61), (b"c", 1 / 61)]
    assert found == [(key, pytest.approx(value)) for key, value in expected]


def test_equal_scores_share_a_rank_and_come_in_the_order_of_keys():
    found = fuse([ranking({b"b": 1.0, b"a": 1.0, b"c": 0.5})], k=3)
    assert found == [(b"a", 1 / 61), (b"b", 1 / 61), (b"c", 1 / 63)]


def test_weights_scale_and_those_of_zero_or_less_ignore():
    one, two = {b"a": 1.0, b"b": 0.0}, {b"a": 0.0, b"b": 1.0}
    assert fuse([ranking(one), ranking(two, 3.0)], k=1)[0][0] == b"b"
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
        found, expected = fuse(rankings, k), by_definition(rankings, k)
        assert [key for key, _ in found] == [key for key, _ in expected]


def test_nothing_to_rank_gives_nothing():
    assert fuse([], k=5) == []
    assert fuse([ranking({})], k=5) == []


@pytest.mark.parametrize("k", [0, -1, 1.5, None])
def test_k_is_a_positive_whole_number(k):
    with pytest.raises(InvalidInput, match="k: expected 1 or more"):
        fuse([ranking({b"a": 1.0})], k)
