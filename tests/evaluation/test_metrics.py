"""Metrics against their textbook formulas, written out once more with `math`."""

import math

import numpy as np
import pytest

from cgcython.errors import InvalidInput
from cgcython.evaluation import metrics

RNG = np.random.default_rng(3)


def plain_ndcg(ranking, relevant):
    def dcg(gains):
        return sum((2**gain - 1) / math.log2(rank + 1) for rank, gain in enumerate(gains, 1))

    found = [relevant.get(one, 0) for one in ranking[:10]]
    return dcg(found) / dcg(sorted(relevant.values(), reverse=True)[:10])


def test_ndcg_follows_its_definition():
    for _ in range(50):
        ranking = RNG.permutation(30).tolist()
        relevant = {
            int(d): int(g) for d, g in zip(RNG.permutation(30)[:14], RNG.integers(1, 5, 14))
        }
        assert metrics.ndcg(ranking, relevant) == pytest.approx(plain_ndcg(ranking, relevant))


def test_the_ideal_ranking_scores_one_and_a_useless_one_zero():
    relevant = {3: 4, 1: 2, 2: 1}
    assert metrics.ndcg([3, 1, 2, 0], relevant) == 1
    assert metrics.recall([3, 1, 2, 0], relevant) == 1
    assert metrics.ndcg([7, 8, 9], relevant) == metrics.recall([7, 8, 9], relevant) == 0


def test_top_is_a_stable_sort(level):
    scores = RNG.integers(0, 6, 100).astype(np.float32)
    np.testing.assert_array_equal(metrics.top(scores), np.argsort(-scores, kind="stable")[:10])


def test_top_of_fewer_scores_than_asked_returns_all():
    assert metrics.top([0.5, 0.7], k=10).tolist() == [1, 0]


def test_interval_brackets_the_drop_and_repeats():
    base = RNG.uniform(0.2, 1, 200)
    new = base - RNG.uniform(0, 0.2, 200)
    low, high = metrics.drop_interval(base, new)
    assert low < metrics.relative_drop(base, new) < high
    assert (low, high) == metrics.drop_interval(base, new)


def test_interval_of_no_change_is_exactly_zero():
    base = RNG.uniform(0.2, 1, 50)
    assert metrics.drop_interval(base, base) == (0, 0)


def test_interval_survives_draws_without_any_success():
    assert metrics.drop_interval([1.0, 0, 0], [0.5, 0, 0]) == (0.5, 0.5)


@pytest.mark.parametrize("rows", [[[0, 9, 1]], [[-1, 0, 1]], [[0, 1]], [[0.5, 1, 1]]])
def test_judgements_outside_the_data_are_refused(rows):
    with pytest.raises(InvalidInput, match="judgements"):
        metrics.judgements(rows, num_queries=2, num_documents=5)


def test_no_judgements_at_all_are_refused_by_shape_only():
    assert metrics.judgements(np.empty((0, 3), int), 2, 5) == [{}, {}]
