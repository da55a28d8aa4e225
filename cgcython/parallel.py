"""Row ranges on the caller's threads: nothing global, nothing left behind, safe to fork.

Threads take piece after piece of the rows, so that one which starts late, or shares its core with
other programs, holds up none. The caller works alone on a small first piece, and where the rest is
shorter than threads take to start, it works alone to the end. A piece takes about
PIECE_SECONDS. Between two pieces Python handles signals, so that Ctrl-C is answered soon however
many rows a call has; the other threads then stop at the end of their pieces.
"""

import time
from _thread import start_new_thread
from collections.abc import Callable, Sequence
from threading import Condition, Lock
from typing import Generic, TypeVar

import numpy as np

from cgcython.checks import require_whole
from cgcython.types import Array, ArrayLike

PIECE_SECONDS = 0.04
# What a thread must find to do: starting one takes 15 to 100 us, by how busy the machine is.
START_SECONDS = 2.5e-4
LEAST_SECONDS = 5e-5  # of a piece that threads take: taking it costs some of these
FIRST_ROWS = 1024  # of a piece, before it is known how long a row takes
FIRST_WEIGHTED_ROWS = 64  # rows of their own weight, documents perhaps, take longer
PROBED = 32  # one of so many rows is worked on alone; fewer rows go to all threads at once
GROWTH = 4
MOST_THREADS = 512  # of one call, however many are asked for: more would starve other programs

T = TypeVar("T")
Item = TypeVar("Item")


def threads_for(seconds: float, num_threads: int = 1) -> int:
    """Return how many of some threads are worth their start for work of one thread's `seconds`.

    >>> threads_for(1e-4, 8), threads_for(1e-3, 8), threads_for(1, 8)
    (1, 4, 8)
    """
    worth = int(min(seconds / START_SECONDS, MOST_THREADS))
    return max(1, min(require_threads(num_threads), worth))


def split_rows(
    function: Callable[[int, int], T], rows: int, num_threads: int = 1, first: int = FIRST_ROWS
) -> list[T]:
    """Call `function(start, stop)` on consecutive row ranges and return the results in order.

    A function must give the same for a row whatever range it is in. Kernels release the GIL, so
    the ranges of several threads run at the same time. `first` is the number of rows of the
    first piece.
    """
    threads = require_threads(num_threads)
    if threads == 1 and rows <= first:
        return [function(0, rows)]
    return _run(_Work(function, rows, rows, first), threads)


def split_weighted(
    function: Callable[[int, int], T], weights: ArrayLike, num_threads: int = 1
) -> list[T]:
    """Call `function(start, stop)` as `split_rows` does, where rows take as long as they weigh.

    >>> split_weighted(lambda *rows: rows, [1, 1, 1, 1, 8])
    [(0, 5)]
    """
    ends = np.cumsum(np.asarray(weights), dtype=np.float64)
    total = float(ends[-1]) if len(ends) else 0.0
    first = FIRST_WEIGHTED_ROWS * total / max(1, len(ends))
    return _run(_Work(function, len(ends), total, first, ends), require_threads(num_threads))


def each(function: Callable[[Item], T], items: Sequence[Item], num_threads: int = 1) -> list[T]:
    """Return what a function returns for each item, some at the same time.

    Fewer than PROBED items go to all threads at once: where they are short, ask `threads_for`.
    """
    found = split_rows(
        lambda start, stop: [function(one) for one in items[start:stop]], len(items), num_threads
    )
    return [one for some in found for one in some]


def each_alone(
    function: Callable[[Item, int], T], items: Sequence[Item], num_threads: int = 1
) -> list[T]:
    """Return what `function(item, num_threads)` returns for each item.

    The first has all threads; it tells how long the others take, on a thread each where that pays.
    """
    began = time.perf_counter()
    found = [function(one, num_threads) for one in items[:1]]
    seconds = (time.perf_counter() - began) * (len(items) - 1)
    threads = threads_for(seconds, num_threads)
    return found + each(lambda one: function(one, 1), items[1:], threads)


def require_threads(num_threads: object) -> int:
    """Return a number of threads. Raises InvalidInput unless it is a whole one from 1 on."""
    return require_whole(num_threads, "num_threads", least=1)


def _run(work: "_Work[T]", threads: int) -> list[T]:
    threads = max(1, min(threads, work.rows, MOST_THREADS))
    if threads == 1 and work.total <= work.size:
        return [work.function(0, work.rows)]
    if work.rows >= PROBED:
        seconds = work.seconds_after_probe()
        threads = threads_for(seconds, threads)
        if threads == 1 and seconds < PIECE_SECONDS:
            return work.at_once()
    try:
        work.share(threads)
        work.run()
    finally:  # after Ctrl-C while waiting, nothing may write into the caller's arrays any more
        work.stop()
    return work.in_order()


class _Work(Generic[T]):
    """Rows of which threads take pieces, what came of them, and the errors.

    Amounts, `total` and `size`, are numbers of rows, or weights where rows have `ends`, the sums
    of their weights and those before.
    """

    def __init__(
        self,
        function: Callable[[int, int], T],
        rows: int,
        total: float,
        first: float,
        ends: Array | None = None,
    ) -> None:
        self.function, self.rows, self.total, self.size = function, rows, total, first
        self._ends, self._next, self._threads = ends, 0, 1
        self._least = 0.0  # amount of a piece
        self._results: list[tuple[int, T]] = []
        self._errors: list[tuple[int, BaseException]] = []
        self._helping, self._stopped = 0, False

    def seconds_after_probe(self) -> float:
        """Work on a small part; return how long the rest takes one thread."""
        stop = self._after(0, min(GROWTH * self.size, self.total / PROBED))
        began = time.perf_counter()
        self._results.append((0, self.function(0, stop)))
        seconds, done = time.perf_counter() - began, self._before(stop)
        self._next, rate = stop, max(done, 1) / max(seconds, 1e-9)
        self._least = rate * LEAST_SECONDS
        return (self.total - done) / rate

    def at_once(self) -> list[T]:
        """Return the results with that of the rest, which is too short for pieces."""
        return [*self.in_order(), self.function(self._next, self.rows)]

    def share(self, threads: int) -> None:
        """Let other threads take pieces too; fewer where the system has no more."""
        self._threads = threads
        self._changed = Condition(Lock())
        for _ in range(threads - 1):
            try:
                start_new_thread(self._help, ())
            except RuntimeError:
                return

    def run(self) -> None:
        """Work on piece after piece until none is left."""
        while (piece := self._taken()) is not None:
            seconds = self._timed(*piece)
            size = self._before(piece[1]) - self._before(piece[0])
            self.size = min(GROWTH * size, size * PIECE_SECONDS / max(seconds, 1e-9))

    def stop(self) -> None:
        """Leave pieces that nobody took; wait for those that others work on."""
        with self._changed:
            self._stopped = True
            while self._helping:
                self._changed.wait()

    def in_order(self) -> list[T]:
        """Return the results; raises the error of the first piece that has one."""
        for _, error in sorted(self._errors, key=_start):
            raise error
        return [result for _, result in sorted(self._results, key=_start)]

    def _help(self) -> None:
        with self._changed:
            if self._stopped:
                return
            self._helping += 1
        try:
            self.run()
        finally:
            with self._changed:
                self._helping -= 1
                self._changed.notify()

    def _taken(self) -> tuple[int, int] | None:
        """Return the next piece, None where none is left; the last pieces are the smaller ones."""
        with self._changed:
            start = self._next
            if self._stopped or start == self.rows:
                return None
            size = self.size
            if self._threads > 1:
                share = (self.total - self._before(start)) / (2 * self._threads)
                size = min(size, max(share, self._least))
            self._next = self._after(start, size)
            return start, self._next

    def _timed(self, start: int, stop: int) -> float:
        """Work on a piece and return the seconds that it took."""
        began = time.perf_counter()
        try:
            self._results.append((start, self.function(start, stop)))
        except BaseException as error:  # raised by the caller's thread, when all have ended
            self._errors.append((start, error))
            self._stopped = True
        return time.perf_counter() - began

    def _before(self, row: int) -> float:
        """Return the amount of the rows before one."""
        if self._ends is None:
            return row
        return float(self._ends[row - 1]) if row else 0.0

    def _after(self, start: int, size: float) -> int:
        """Return where a piece of some size from a row on ends: behind one more row at least."""
        if self._ends is None:
            return min(self.rows, start + max(1, int(size)))
        stop = int(np.searchsorted(self._ends, self._before(start) + size, "right"))
        return min(self.rows, max(start + 1, stop))


def _start(piece: tuple[int, object]) -> int:
    return piece[0]
