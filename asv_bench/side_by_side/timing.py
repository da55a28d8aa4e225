"""Ways to do one piece of work, timed in turn: milliseconds of processor time, recall, bytes."""

from collections.abc import Callable, Iterable, Sequence
from statistics import median
from time import perf_counter, process_time
from typing import NamedTuple, TypeAlias

import numpy as np

K = 10
IN_A_ROW = 8  # queries, before the next package's turn: servers seldom do other work between two
ALIKE = 0.004  # recalls of so many queries are equal within it

Truth: TypeAlias = Sequence[set[int]]  # the rows that are right, by query


class Way(NamedTuple):
    """One package's way: `find` returns the rows that it found for the query of a number.

    `nbytes` is what it holds for a record. A way of others is `theirs`.
    """

    name: str
    find: Callable[[int], Sequence[int]]
    nbytes: float = float("nan")
    theirs: bool = False
    per: int = 1  # queries that one call answers


class Line(NamedTuple):
    """Ways to do the same work, and the rows that are right, if any.

    Ours is held against the fastest of the others whose recall is `recall` or more. `clock` is the
    time of the processors, or the wall's where threads work.
    `least` is how many times as fast as theirs ours has to be where limits are asked for: half of
    what it is with 20,000 records on a quiet machine, so that it tells of what was lost.
    """

    work: str
    ways: Sequence[Way]
    truth: Truth | None = None
    recall: float = 0.0
    clock: Callable[[], float] = process_time
    least: float = 0.0


class Figure(NamedTuple):
    """What one way took for a query: the median of its milliseconds; and how well it found."""

    work: str
    name: str
    theirs: bool
    milliseconds: float
    recall: float
    nbytes: float


def timed(line: Line, rounds: int) -> list[Figure]:
    """Return the Figure of each way, timed in turn; the first call of each is not timed."""
    took: list[list[float]] = [[] for _ in line.ways]
    right: list[list[float]] = [[] for _ in line.ways]
    for way in line.ways:
        way.find(0)
    for first in range(0, rounds, IN_A_ROW):
        for number, way in enumerate(line.ways):
            for turn in range(first, min(first + IN_A_ROW, rounds)):
                start = line.clock()
                found = way.find(turn)
                took[number].append(1e3 * (line.clock() - start) / way.per)
                right[number].append(_recall(line.truth, turn, found))
    return [
        Figure(line.work, way.name, way.theirs, median(ms), float(np.mean(share)), way.nbytes)
        for way, ms, share in zip(line.ways, took, right)
    ]


def recall_of(find: Callable[[int], Sequence[int]], truth: Truth) -> float:
    """Return the part of the true best that a way finds, over all queries."""
    return float(np.mean([_recall(truth, i, find(i)) for i in range(len(truth))]))


def _recall(truth: Truth | None, turn: int, found: Iterable[int]) -> float:
    if truth is None:
        return float("nan")
    return min(1.0, len({*map(int, found)} & truth[turn % len(truth)]) / K)


def verdict(line: Line, figures: Sequence[Figure]) -> float:
    """Return how many times as fast ours is as the best of the others at no less recall.

    Ours is the fastest of our ways that has the recall asked for. NaN where there is no peer.
    """
    able = [one for one in figures if not one.recall < line.recall - ALIKE]
    ours = min((one for one in able if not one.theirs), key=_milliseconds, default=None)
    theirs = [one for one in able if one.theirs]
    if ours is None:
        return 0.0
    if not theirs:
        return float("nan")
    return min(map(_milliseconds, theirs)) / ours.milliseconds


def _milliseconds(figure: Figure) -> float:
    return figure.milliseconds


def tuned(
    name: str,
    find: Callable[[int, int], Sequence[int]],
    settings: Sequence[int],
    truth: Truth,
    recall: float,
    nbytes: float,
) -> Way:
    """Return another package's way at the least of its settings that has the recall asked for."""
    for setting in settings:
        if recall_of(lambda i, setting=setting: find(i, setting), truth) >= recall:
            break
    return Way(f"{name} {setting}", lambda i: find(i, setting), nbytes, theirs=True)


def best_rows(scores: np.ndarray) -> Truth:
    """Return the rows of the K highest of each query's scores, and those that equal the last."""
    least = np.partition(scores, -K, axis=1)[:, -K] * (1 - 1e-6)
    return [{*np.flatnonzero(row >= one).tolist()} for row, one in zip(scores, least)]


wall = perf_counter
