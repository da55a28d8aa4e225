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
from cgcython.parallel import each, each_alone, split_rows, split_weighted, threads_for


def span(start, stop):
    return start, stop


@given(weights=st.lists(st.integers(0, 50), max_size=40), num_threads=st.integers(1, 5))
def test_weighted_ranges_cover_all_rows_in_order(weights, num_threads):
    ranges = split_weighted(span, weights, num_threads)
    assert ranges[0][0] == 0
    assert ranges[-1][1] == len(weights)
    assert all(one[1] == two[0] for one, two in pairwise(ranges))
    assert all(start <= stop for start, stop in ranges)


def test_rows_without_anything_to_do_are_one_call():
    assert split_rows(span, 7) == [(0, 7)]
    assert split_rows(span, 0, 4) == split_weighted(span, [], 4) == [(0, 0)]


@pytest.fixture
def started(monkeypatch):
    """Return the list of the threads that parallel starts."""
    found = []

    def start(function, arguments):
        found.append(function)
        _thread.start_new_thread(function, arguments)

    monkeypatch.setattr(parallel, "start_new_thread", start)
    return found


def sleep_each(start, stop):
    time.sleep((stop - start) * 1e-4)
    return start, stop


@pytest.mark.parametrize(("num_threads", "expected"), [(1, 0), (2, 1), (4, 3)])
def test_long_work_is_shared(started, num_threads, expected):
    pieces = split_rows(sleep_each, 200, num_threads)
    assert len(started) == expected
    assert [pieces[0][0], pieces[-1][1]] == [0, 200]


def test_weighted_rows_are_judged_by_their_weights(started):
    weights = np.ones(100)
    weights[50] = 1e4
    split_weighted(lambda *rows: time.sleep(weights[slice(*rows)].sum() * 1e-6), weights, 2)
    assert len(started) == 1


def test_work_shorter_than_a_start_of_a_thread_is_done_by_the_caller(started):
    def pieces_and_starts():
        before = len(started)
        return len(split_rows(span, 100_000, 4)), len(started) - before

    # A small piece and the rest; another program may hold up one of the tries.
    assert min(pieces_and_starts() for _ in range(20)) == (2, 0)


def test_few_items_go_to_all_threads_at_once(started):
    assert each(lambda one: time.sleep(0.01) or one, [1, 2, 3], 2) == [1, 2, 3]
    assert len(started) == 1


def test_a_thread_that_never_starts_holds_up_nothing(monkeypatch):
    monkeypatch.setattr(parallel, "start_new_thread", lambda function, arguments: None)
    assert sum(stop - start for start, stop in split_rows(sleep_each, 100, 3)) == 100


def test_a_thread_that_starts_late_calls_nothing(monkeypatch):
    late = []
    monkeypatch.setattr(parallel, "start_new_thread", lambda function, _: late.append(function))
    called = []
    split_rows(lambda *rows: called.append(rows) or time.sleep(1e-4), 100, 2, first=1)
    before = len(called)
    assert len(late) == 1
    late[0]()
    assert len(called) == before


def test_a_system_without_more_threads_is_worked_on_alone(monkeypatch):
    def refuse(function, arguments):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(parallel, "start_new_thread", refuse)
    assert each(str, [1, 2, 3], 3) == ["1", "2", "3"]


def test_all_threads_work_and_the_others_end_before_the_call_does():
    who, running = set(), []

    def work(start, stop):
        running.append(start)
        who.add(threading.get_ident())
        time.sleep(0.002)
        running.remove(start)

    split_rows(work, 64, 2, first=1)
    assert len(who) == 2
    assert not running


def test_threads_are_as_many_as_work_is_worth():
    assert threads_for(0.0, 8) == threads_for(2 * parallel.START_SECONDS, 1) == 1
    assert threads_for(2 * parallel.START_SECONDS, 8) == 2
    assert threads_for(float("inf"), 2000) == parallel.MOST_THREADS
    with pytest.raises(InvalidInput, match="num_threads"):
        threads_for(1.0, 0)


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


@pytest.mark.parametrize("start_seconds", [1e9, 1e-9])
def test_the_first_of_many_has_all_threads_and_tells_what_others_are_worth(
    monkeypatch, start_seconds
):
    monkeypatch.setattr(parallel, "START_SECONDS", start_seconds)
    seen = []

    def work(item, num_threads):
        time.sleep(0.002)
        seen.append((num_threads, threading.get_ident()))
        return -item

    assert each_alone(work, range(6), 3) == [0, -1, -2, -3, -4, -5]
    assert [threads for threads, _ in seen] == [3, 1, 1, 1, 1, 1]
    assert (len({ident for _, ident in seen}) > 1) == (start_seconds < 1)
    assert each_alone(work, [], 3) == []
