"""Reciprocal rank fusion: one ranking of documents out of several.

Only the top of each ranking is examined, to the depth that can affect the result. The ranks of its
best two thousand scores are known from sorting those alone. A document that ranks lower adds so
little that its rank, which takes a pass over all scores, seldom has to be counted.
"""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from cgcython import kernels
from cgcython.checks import require_whole
from cgcython.parallel import each, threads_for
from cgcython.search.best import UNRANKED, about_best
from cgcython.types import Array, BoolArray, Float64Array, Int64Array, KeyArray, Keys

RANK_OFFSET = 60
MOST_COUNTS = 512  # more thresholds than that are found faster in sorted scores
KNOWN = 1 << 11  # documents of a ranking, about, whose ranks are known: sorting them costs little
# Of one thread for each score: to find the best of a ranking, and to compare it with a threshold.
TOP_SECONDS, COUNT_SECONDS = 1.5e-9, 3e-11
ROUNDING = 1 + 1e-12  # sums in another order differ by less

Find: TypeAlias = Callable[[KeyArray], tuple[Int64Array, BoolArray]]


class Ranking(NamedTuple):
    """The scores of one embedder's documents, higher is better, and what its ranks weigh.

    `keys` are an array that ascends, or `find` returns the row of each of some keys and whether it
    has one.
    """

    keys: Keys  # [n]: of records, or anything else
    scores: Array  # [n]
    weight: float = 1.0
    find: Find | None = None

    def scores_of(self, keys: KeyArray) -> Array:
        """Return the score of each key, UNRANKED where it has none."""
        if not len(self.keys):
            return np.full(len(keys), UNRANKED, np.float32)
        rows, has_one = (self.find or self._find)(keys)
        scores = self.scores[rows]
        scores[~has_one] = UNRANKED
        return scores

    def _find(self, keys: KeyArray) -> tuple[Int64Array, BoolArray]:
        own = np.asarray(self.keys)
        rows = np.minimum(own.searchsorted(keys), len(own) - 1)
        return rows, own[rows] == keys


class Top(ABC):
    """The best of a ranking: its best scores, ascending, and the keys of those that may decide.

    Every score from `floor` on is among `ascending`, so that its rank is known.
    """

    def __init__(self, weight: float, ascending: Array, floor: float) -> None:
        self.weight, self.ascending, self.floor = weight, ascending, floor

    @property
    @abstractmethod
    def keys(self) -> KeyArray:
        """The keys of the `depth` best, and ties of the last."""

    @abstractmethod
    def scores_of(self, keys: KeyArray) -> Array:
        """Return the score of each key, UNRANKED where it has none."""

    def parts(self, scores: Array) -> Float64Array:
        """Return what the ranking adds to sums for each score; of unknown ones, the most it may."""
        better = len(self.ascending) - self.ascending.searchsorted(scores, side="right")
        return self.part(better) * (scores > UNRANKED)

    def part(self, better: Int64Array) -> Float64Array:
        """Return what the ranking adds to sums where so many scores are better."""
        parts: Float64Array = self.weight / (RANK_OFFSET + 1 + better)
        return parts


def fuse(rankings: Sequence[Ranking], k: int, num_threads: int = 1) -> list[Any]:
    """Return the keys of the k best by their sum of weight / (60 + rank) over rankings, best first.

    Ranks count from 1, and equal scores share one; a ranking without a document adds nothing to
    it; weights of 0 or less are ignored; equal sums are in the order of keys.

    >>> fuse([Ranking(np.array([b"a", b"b"]), np.array([0.5, 0.9]))], k=1)
    [b'b']
    """
    k = require_whole(k, "k", 1)
    rankings = [one for one in rankings if one.weight > 0 and len(one.keys)]
    if not rankings:
        return []
    tops = _tops(rankings, k, num_threads)
    fusion = Fusion(tops, k)

    def count(i: int) -> None:
        fusion.take(i, count_above(rankings[i].scores, fusion.uncounted(i)))

    if fusion.missing.any():
        scored = sum(len(one.scores) for one in rankings)
        work = scored * int(fusion.missing.sum()) / len(tops)
        each(count, range(len(tops)), threads_for(work * COUNT_SECONDS, num_threads))
    found: list[Any] = fusion.best().tolist()
    return found


def deciding_depth(weights: Sequence[float], k: int, full: Sequence[float] | None = None) -> int:
    """Return how many documents of each ranking decide the k best.

    The k best of the heaviest ranking get max(weights) / (60 + k) or more; whatever is below this
    depth in every ranking gets less. `full` are the weights of the rankings that have k documents:
    of those alone this is true.
    """
    heaviest = max(full or weights)
    return int(sum(weights) * (RANK_OFFSET + k) / heaviest) - RANK_OFFSET + 1


def _tops(rankings: Sequence[Ranking], k: int, num_threads: int) -> "list[RankingTop]":
    """Return the Top of each ranking, as deep as decides."""
    weights = [one.weight for one in rankings]
    threads = threads_for(sum(len(one.scores) for one in rankings) * TOP_SECONDS, num_threads)
    depth = deciding_depth(weights, k)
    tops = each(lambda one: RankingTop(one, depth), rankings, threads)
    full = [top.weight for top in tops if len(top.ascending) >= k]
    deeper = deciding_depth(weights, k, full)
    return tops if deeper <= depth else [RankingTop(one, deeper) for one in rankings]


class Fusion:
    """The documents that may be among the k best, and what each ranking adds to their sums.

    Where `missing`, the rank of a document has to be counted before `best` is asked: it is one more
    than how many scores of its ranking are above its own.
    """

    def __init__(self, tops: Sequence[Top], k: int) -> None:
        """`tops` are one or more."""
        self._tops, self._k = tops, k
        keys = np.unique(np.concatenate([top.keys for top in tops]))
        scores = np.array([top.scores_of(keys) for top in tops])
        parts = np.array([top.parts(row) for top, row in zip(tops, scores)])
        known = (scores >= np.array([[top.floor] for top in tops])) | (scores == UNRANKED)
        hopeful = _hopeful(*_between(parts, known), k)
        self._keys = keys[hopeful]
        self._scores, self._parts = scores[:, hopeful], parts[:, hopeful]
        known = known[:, hopeful]
        self.missing = ~known & _undecided(*_between(self._parts, known))

    def uncounted(self, ranking: int) -> Array:
        """Return the scores of a ranking whose ranks are missing."""
        found: Array = self._scores[ranking, self.missing[ranking]]
        return found

    def take(self, ranking: int, better: Int64Array) -> None:
        """Take how many scores of a ranking are above each of `uncounted`."""
        self._parts[ranking, self.missing[ranking]] = self._tops[ranking].part(better)

    def best(self) -> KeyArray:
        """Return the keys of the k best, best first."""
        # One by one: equal parts give equal sums, however the array lies.
        sums: Float64Array = functools.reduce(np.add, self._parts)
        order: Int64Array = (-sums).argsort(kind="stable")[: self._k]
        return self._keys[order]


def _between(parts: Float64Array, known: BoolArray) -> tuple[Float64Array, Float64Array]:
    """Return the least and the most that sums can be; parts that are not known are the most."""
    return (parts * known).sum(axis=0), parts.sum(axis=0) * ROUNDING


def _hopeful(least: Float64Array, most: Float64Array, k: int) -> BoolArray:
    """Return which sums may be among the k best."""
    if len(least) <= k:
        return np.ones(len(least), np.bool_)
    limit: float = np.partition(least, -k)[-k]
    return most >= limit


def _undecided(least: Float64Array, most: Float64Array) -> BoolArray:
    """Return which sums may be on either side of another."""
    order = (-most).argsort()
    least, most = least[order], most[order]
    found = np.zeros(len(order), np.bool_)
    found[order[:-1]] = most[1:] >= least[:-1]
    found[order[1:]] |= np.minimum.accumulate(least)[:-1] <= most[1:]
    return found


class RankingTop(Top):
    """The best of a ranking whose scores are all at hand: about KNOWN, or twice the `depth`."""

    def __init__(self, ranking: Ranking, depth: int) -> None:
        self.ranking = ranking
        rows = about_best(ranking.scores, depth, max(KNOWN, 2 * depth))
        scores = ranking.scores[rows]
        ascending = np.sort(scores)
        super().__init__(ranking.weight, ascending, ascending[0] if len(rows) else np.inf)
        best = rows if depth >= len(rows) else rows[scores >= ascending[-depth]]
        self._keys: KeyArray = ranking.keys[best]

    @property
    def keys(self) -> KeyArray:
        return self._keys

    def scores_of(self, keys: KeyArray) -> Array:
        return self.ranking.scores_of(keys)


def count_above(scores: Array, some: Array) -> Int64Array:
    """Return how many scores are above each of some."""
    if not len(some):
        return np.empty(0, np.int64)
    if scores.dtype == np.float32 and len(some) <= MOST_COUNTS:
        counts = np.empty(len(some), np.int64)
        kernels.dense.count_above(scores, np.ascontiguousarray(some, np.float32), counts)
        return counts
    ascending = np.sort(scores)
    return len(ascending) - ascending.searchsorted(some, side="right")
