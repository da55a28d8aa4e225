"""The best rows are those that sorting all scores would tell, ties of the last included."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgcython.codecs.float8 import Float8Codec
from cgcython.search.best import SOME, UNRANKED, best_rows, ordered
from cgcython.search.scans import make_scan

SCORES = st.lists(st.sampled_from([UNRANKED, -2.0, -0.0, 0.0, 0.5, 1.0, np.inf]), max_size=40)


def by_sorting(scores, k):
    ranked = np.sort(scores[scores > UNRANKED])
    return np.flatnonzero(scores >= ranked[-min(k, len(ranked))]) if len(ranked) else np.empty(0)


@given(SCORES, st.integers(1, 50), st.sampled_from([np.float32, np.float64]))
def test_few_scores(scores, k, dtype):
    scores = np.array(scores, dtype)
    assert sorted(best_rows(scores, k)) == by_sorting(scores, k).tolist()


@pytest.mark.parametrize("k", [1, 10, SOME, 9 * SOME])
@pytest.mark.parametrize("decimals", [8, 2, 0])
@pytest.mark.parametrize("ascending", [False, True])
def test_many_scores(k, decimals, ascending):
    rng = np.random.default_rng(k)
    scores = rng.standard_normal(30_000, dtype=np.float32).round(decimals)
    scores[rng.random(30_000) < 0.1] = UNRANKED
    scores = np.sort(scores) if ascending else scores
    np.testing.assert_array_equal(np.sort(best_rows(scores, k)), by_sorting(scores, k))


@given(SCORES)
def test_equal_scores_are_in_the_order_of_keys(scores):
    keys = np.random.default_rng(len(scores)).permutation(len(scores)).astype("S4")
    wanted = sorted(range(len(scores)), key=lambda row: (-scores[row], keys[row]))
    rows = np.arange(len(scores))
    assert ordered(keys, rows, np.array(scores)).tolist() == wanted
    assert ordered(keys, rows[::-1], np.array(scores[::-1])).tolist() == [
        len(scores) - 1 - row for row in wanted
    ]


@pytest.mark.parametrize("metric", ["cosine", "dot"])
def test_a_scan_tells_its_best_with_the_bits_of_its_scores(metric):
    values = np.random.default_rng(2).standard_normal((50, 24), dtype=np.float32)
    values[20:30] = values[3]
    codec = Float8Codec(24)
    scan = make_scan([codec.encode(one) for one in values], None)
    for query, best in zip(values[:5], scan.best_many(values[:5], 4, metric)):
        scores = scan.scores(query, metric)
        rows = np.sort(best.rows)
        np.testing.assert_array_equal(rows, by_sorting(scores, 4))
        np.testing.assert_array_equal(best.scores, scores[best.rows])
        assert best.read == len(scan)
