"""Row ranges on the caller's threads: nothing global, nothing left behind, safe to fork.

A range is worked off in pieces of about PIECE_SECONDS. Between two pieces Python handles signals,
so that Ctrl-C is answered soon however many rows a call has; the other threads then stop at the
end of their pieces.
"""

import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from threading import Event, Thread
from typing import Generic, TypeVar

import numpy as np

from cgcython.checks import require_whole
from cgcython.types import ArrayLike

PIECE_SECONDS = 0.04
FIRST_ROWS = 1024  # of a piece, before it is known how long a row takes
FIRST_WEIGHTED_ROWS = 64  # rows of their own weight, documents perhaps, take longer
GROWTH = 4
MOST_THREADS = 512  # of one call, however many are asked for: more would starve other programs

T = TypeVar("T")
Item = TypeVar("Item")


def split_rows(
    function: Callable[[int, int], T], rows: int, num_threads: int = 1, first: int = FIRST_ROWS
) -> list[T]:
    """Call `function(start, stop)` on consecutive row ranges and return the results in order.

    A function must give the same for a row whatever range it is in. Kernels release the GIL, so
    the ranges of several threads run at the same time. `first` is the number of rows of the
    first piece.
    """
    threads = max(1, min(require_threads(num_threads), rows, MOST_THREADS))
    return _run(function, [rows * part // threads for part in range(threads + 1)], first)


def split_weighted(
    function: Callable[[int, int], T], weights: ArrayLike, num_threads: int = 1
) -> list[T]:
    """Call `function(start, stop)` as `split_rows` does, on ranges of about equal weight.

    >>> split_weighted(lambda *rows: rows, [1, 1, 1, 1, 8], num_threads=2)
    [(0, 4), (4, 5)]
    """
    weights = np.asarray(weights)
    threads = max(1, min(require_threads(num_threads), len(weights), MOST_THREADS))
    ends = np.cumsum(weights)
    wanted = ends[-1:] * np.arange(1, threads) / threads
    # An edge goes where the weight before it is closest to its share.
    inner = np.searchsorted(ends - weights / 2, wanted)
    return _run(function, [0, *inner.tolist(), len(weights)], FIRST_WEIGHTED_ROWS)


def each(function: Callable[[Item], T], items: Sequence[Item], num_threads: int = 1) -> list[T]:
    """Return what a function returns for each item, some at the same time."""
    found = split_rows(
        lambda start, stop: [function(one) for one in items[start:stop]], len(items), num_threads
    )
    return [one for some in found for one in some]


def require_threads(num_threads: object) -> int:
    """Return a number of threads. Raises InvalidInput unless it is a whole one from 1 on."""
    return require_whole(num_threads, "num_threads", least=1)


def _run(function: Callable[[int, int], T], edges: list[int], first: int) -> list[T]:
    """The caller works on the first range itself: a thread costs a tenth of a millisecond."""
    if len(edges) == 2 and edges[1] <= first:
        return [function(*edges)]
    stopped = Event()
    ranges = [_Range(function, rows, first, stopped) for rows in pairwise(edges)]
    threads = [Thread(target=one.run) for one in ranges[1:]]
    try:
        started = _start(threads)
        for one in [ranges[0], *ranges[1 + len(started) :]]:
            one.run()
        for thread in started:
            thread.join()
    finally:  # after Ctrl-C while waiting, nothing may write into the caller's arrays any more
        stopped.set()
        for thread in threads:
            if thread.ident is not None:
                thread.join()
    for one in ranges:
        if one.error is not None:
            raise one.error
    return [result for one in ranges for result in one.results]


def _start(threads: list[Thread]) -> list[Thread]:
    """Start threads and return them; without the last ones where the system has no more."""
    for number, thread in enumerate(threads):
        try:
            thread.start()
        except RuntimeError:
            return threads[:number]
    return threads


class _Range(Generic[T]):
    """Calls on the pieces of a range of rows, and what came of them."""

    def __init__(
        self, function: Callable[[int, int], T], rows: tuple[int, int], first: int, stopped: Event
    ) -> None:
        self._function, self._rows, self._first, self._stopped = function, rows, first, stopped
        self.results: list[T] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self._work()
        except BaseException as error:
            self.error = error
            if not isinstance(error, Exception):  # Ctrl-C; an error of an earlier range comes first
                self._stopped.set()

    def _work(self) -> None:
        (start, end), size = self._rows, self._first
        while not self._stopped.is_set():
            stop = end if end - start <= size else start + size
            began = time.perf_counter()
            self.results.append(self._function(start, stop))
            if stop == end:
                return
            seconds = time.perf_counter() - began
            size = max(1, min(GROWTH * size, int(size * PIECE_SECONDS / max(seconds, 1e-9))))
            start = stop
