"""Reciprocal rank fusion: one ranking of documents out of several.

Only the best of each ranking are looked at, as deep as can decide. Of some thousands of each the
ranks are known; what ranks below weighs so little that counting it over all scores seldom matters.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from cgcython import kernels
from cgcython.errors import InvalidInput
from cgcython.parallel import each

RANK_OFFSET = 60
MOST_COUNTS = 64  # more thresholds than that are found faster in sorted scores
KNOWN = 1 << 13  # documents of a ranking, about, whose ranks are known: sorting them costs little
ROUNDING = 1 + 1e-12  # sums in another order differ by less
NOWHERE = -np.inf  # the score of a row that does not rank


class Ranking(NamedTuple):
    """The scores of one embedder's documents, higher is better, and what its ranks weigh.

    `keys` ascend, or `find` returns the row of each of some keys and whether it has one.
    """

    keys: np.ndarray  # [n]
    scores: np.ndarray  # [n]
    weight: float = 1.0
    find: Callable | None = None


def fuse(rankings, k, num_threads=1):
    """Return the keys of the k best by their sum of weight / (60 + rank) over rankings, best first.

    Ranks count from 1, and equal scores share one; a ranking without a document adds nothing to
    it; weights of 0 or less are ignored; equal sums are in the order of keys.

    >>> fuse([Ranking(np.array([b"a", b"b"]), np.array([0.5, 0.9]))], k=1)
    [b'b']
    """
    if not isinstance(k, (int, np.integer)) or k < 1:
        raise InvalidInput(what="k", expected="1 or more", actual=k)
    rankings = [one for one in rankings if one.weight > 0 and len(one.keys)]
    if not rankings:
        return []
    depth = deciding_depth([one.weight for one in rankings], k)
    tops = each(lambda one: _Top(one, depth), rankings, num_threads)
    keys = np.unique(np.concatenate([top.keys for top in tops]))
    parts = np.stack([top.parts(keys) for top in tops])
    hopeful = _hopeful(*_between(parts, [top.part_below for top in tops]), k)
    keys = keys[hopeful]
    scores = each(lambda top: top.scores_of(keys), tops, num_threads)
    below = [top.least for top in tops]
    parts = np.stack([top.known_parts(one) for top, one in zip(tops, scores)])
    hopeful = _hopeful(*_between(parts, below), k)
    keys, parts = keys[hopeful], parts[:, hopeful]
    undecided = _undecided(*_between(parts, below))

    def count(i):
        unknown = undecided & np.isnan(parts[i])
        parts[i, unknown] = tops[i].counted_parts(scores[i][hopeful][unknown])

    each(count, range(len(tops)), num_threads)
    order = np.argsort(-np.nansum(parts, axis=0), kind="stable")[:k]
    return keys[order].tolist()


def deciding_depth(weights, k):
    """Return how many documents of each ranking decide the k best.

    The k best of the heaviest ranking get max(weights) / (60 + k) or more; whatever is below this
    depth in every ranking gets less.
    """
    return int(sum(weights) * (RANK_OFFSET + k) / max(weights)) - RANK_OFFSET + 1


def _between(parts, below):
    """Return what sums are at least and at most, where an unknown part, NaN, is at most `below`."""
    most = np.where(np.isnan(parts), np.array(below)[:, None], parts).sum(axis=0)
    return np.nansum(parts, axis=0), most * ROUNDING


def _hopeful(least, most, k):
    """Return which may be among the k best."""
    if len(least) <= k:
        return np.ones(len(least), bool)
    return most >= np.partition(least, len(least) - k)[len(least) - k]


def _undecided(least, most):
    """Return which sums may be on either side of another."""
    order = np.argsort(-most)
    least, most = least[order], most[order]
    found = np.zeros(len(order), bool)
    found[order[:-1]] = most[1:] >= least[:-1]
    found[order[1:]] |= np.minimum.accumulate(least)[:-1] <= most[1:]
    return found


class _Top:
    """The `depth` best of a ranking and what ties with them, in the order of keys.

    What ranks below them adds `part_below` at most, what is not among the known ones `least`.
    """

    def __init__(self, ranking, depth):
        self.ranking = ranking
        rows = _best_rows(ranking.scores, depth)
        scores = ranking.scores[rows]
        self.ascending = np.sort(scores)
        best = rows if depth >= len(rows) else rows[scores >= self.ascending[-depth]]
        order = np.argsort(ranking.keys[best], kind="stable")
        self.keys, self.scores = ranking.keys[best][order], ranking.scores[best][order]
        self.part_below, self.least = self._part(len(best)), self._part(len(rows))

    def parts(self, keys):
        """Return what the ranking adds to the sum of each key, NaN where it is not of the best."""
        if not len(self.keys):
            return np.full(len(keys), np.nan)
        rows = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[rows] == keys, self._known(self.scores[rows]), np.nan)

    def known_parts(self, scores):
        """Return what the ranking adds to the sum of each score's key, NaN where unknown."""
        floor = self.ascending[0] if len(self.ascending) else np.inf
        known = np.where(scores >= floor, self._known(scores), np.nan)
        return np.where(scores > NOWHERE, known, 0.0)

    def _known(self, scores):
        better = len(self.ascending) - np.searchsorted(self.ascending, scores, side="right")
        return self._part(better)

    def _part(self, better):
        return self.ranking.weight / (RANK_OFFSET + 1 + better)

    def counted_parts(self, scores):
        """Return what the ranking adds to the sums of the keys of scores that rank."""
        return self._part(_count_above(self.ranking.scores, scores))

    def scores_of(self, keys):
        """Return the score of each key, NOWHERE where it has none."""
        rows, known = (self.ranking.find or self._find)(keys)
        return np.where(known, self.ranking.scores[rows], NOWHERE).astype(self.ranking.scores.dtype)

    def _find(self, keys):
        rows = np.minimum(np.searchsorted(self.ranking.keys, keys), len(self.ranking.keys) - 1)
        return rows, self.ranking.keys[rows] == keys


def _best_rows(scores, depth):
    """Return the rows that rank, or about KNOWN of the best: `depth` or more, and all that tie."""
    wanted = max(KNOWN, 2 * depth)
    if len(scores) > 4 * wanted:
        some = scores[:: wanted // 64]  # the 64th best of them is about the best `wanted` of all
        rows = _rows_from(scores, np.partition(some, len(some) - 64)[len(some) - 64], 4 * wanted)
        if rows is not None and depth <= len(rows):
            return rows
        least = np.partition(scores, len(scores) - wanted)[len(scores) - wanted]
        return _rows_from(scores, least, len(scores))
    return _rows_from(scores, NOWHERE, len(scores))


def _rows_from(scores, least, most):
    """Return the rows that rank, with `least` or more; None where they are more than `most`."""
    if scores.dtype != np.float32:
        return np.flatnonzero((scores > NOWHERE) & (scores >= least))
    rows = np.empty(most, np.int64)
    count = kernels.dense.rows_above(scores, np.nextafter(least, NOWHERE, dtype=np.float32), rows)
    return rows[:count] if count <= most else None


def _count_above(scores, some):
    """Return how many scores are above each of some."""
    if not len(some):
        return np.empty(0, np.int64)
    if scores.dtype == np.float32 and len(some) <= MOST_COUNTS:
        counts = np.empty(len(some), np.int64)
        kernels.dense.count_above(scores, np.ascontiguousarray(some), counts)
        return counts
    ascending = np.sort(scores)
    return len(ascending) - np.searchsorted(ascending, some, side="right")
