"""Ranges cover all rows in order, whatever their weights."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgcython.errors import InvalidInput
from cgcython.parallel import split_rows, split_weighted


def span(start, stop):
    return start, stop


@given(weights=st.lists(st.integers(0, 50), max_size=40), num_threads=st.integers(1, 5))
def test_weighted_ranges_cover_all_rows_in_order(weights, num_threads):
    ranges = split_weighted(span, weights, num_threads)
    assert ranges[0][0] == 0
    assert ranges[-1][1] == len(weights)
    assert all(one[1] == two[0] for one, two in pairwise(ranges))
    assert all(start <= stop for start, stop in ranges)


@given(weights=st.lists(st.integers(1, 50), min_size=2, max_size=40))
def test_two_ranges_differ_by_no_more_than_the_row_between_them(weights):
    (_, edge), _ = split_weighted(span, weights, 2)
    assert abs(sum(weights[:edge]) - sum(weights[edge:])) <= max(weights)


def test_rows_are_split_by_their_number():
    assert split_rows(span, 7, 2) == [(0, 3), (3, 7)]
    assert split_rows(span, 0, 4) == [(0, 0)]


@pytest.mark.parametrize("split", [split_rows, split_weighted])
@pytest.mark.parametrize("num_threads", [0, 1.0, "2"])
def test_threads_are_counted_from_one(split, num_threads):
    with pytest.raises(InvalidInput, match="num_threads"):
        split(span, 3 if split is split_rows else [1, 1, 1], num_threads)
