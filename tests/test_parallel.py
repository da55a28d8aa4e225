"""Ranges cover all rows in order, whatever their weights."""

import _thread
import threading
import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgcython import parallel
from cgcython.errors import InvalidInput
from cgcython.parallel import each, split_rows, split_weighted


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
    assert split_rows(span, 7, np.int64(2)) == [(0, 3), (3, 7)]
    assert split_rows(span, 0, 4) == [(0, 0)]


@pytest.mark.parametrize("split", [split_rows, split_weighted])
@pytest.mark.parametrize("num_threads", [0, 1.0, "2", True])
def test_threads_are_counted_from_one(split, num_threads):
    with pytest.raises(InvalidInput, match="num_threads"):
        split(span, 3 if split is split_rows else [1, 1, 1], num_threads)


def test_threads_are_any_whole_number():
    assert each(str, [1, 2, 3], num_threads=np.int64(2)) == ["1", "2", "3"]
    with pytest.raises(InvalidInput, match="num_threads"):
        split_rows(span, 3, True)


@given(rows=st.integers(0, 99), num_threads=st.integers(1, 4), first=st.integers(1, 50))
def test_pieces_cover_all_rows_in_order(rows, num_threads, first):
    pieces = split_rows(span, rows, num_threads, first)
    assert (pieces[0][0], pieces[-1][1]) == (0, rows)
    assert all(one[1] == two[0] for one, two in pairwise(pieces))


def test_a_piece_takes_about_as_long_as_one_is_to_take(monkeypatch):
    monkeypatch.setattr(parallel, "PIECE_SECONDS", 0.01)
    pieces = split_rows(lambda a, b: time.sleep((b - a) * 1e-3) or b - a, 100, first=4)
    assert max(pieces) <= 12  # of a millisecond each
    assert sum(pieces) == 100


@pytest.mark.usefixtures("hears_ctrl_c")
@pytest.mark.parametrize("num_threads", [1, 3])
def test_ctrl_c_is_answered_between_pieces_and_ends_all_threads(num_threads):
    running, late = set(), []

    def work(start, stop):
        running.add(start)
        time.sleep(0.01)
        running.discard(start)
        late.append(threading.current_thread())
        if start == 0:
            _thread.interrupt_main()

    began = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        split_rows(work, 3000, num_threads, first=1)
    assert time.perf_counter() - began < 1
    assert not running
    assert len(late) < 100


def test_the_error_of_the_first_range_is_raised_whichever_comes_first():
    def fail(start, stop):
        time.sleep(0.05 if start < 50 else 0)
        raise ValueError(start)

    with pytest.raises(ValueError, match=r"^0$"):
        split_rows(fail, 100, 2)
