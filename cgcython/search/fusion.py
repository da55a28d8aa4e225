"""Reciprocal rank fusion: one ranking of documents out of several.

Only the best of each ranking are looked at, as deep as can decide. The rank that one of them has
in another ranking is bounded first, and counted over all scores only where that can still matter.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from cgcython import kernels
from cgcython.errors import InvalidInput

RANK_OFFSET = 60
MOST_COUNTS = 64  # more thresholds than that are found faster in sorted scores
SOME = 1 << 15  # scores that are counted first: few enough to cost nothing
NOWHERE = -np.inf  # the score of a row that does not rank


class Ranking(NamedTuple):
    """The scores of one embedder's documents, higher is better, and what its ranks weigh.

    `keys` ascend, or `find` returns the row of each of some keys and whether it has one.
    """

    keys: np.ndarray  # [n]
    scores: np.ndarray  # [n]
    weight: float = 1.0
    find: Callable | None = None


def fuse(rankings, k):
    """Return the k best (key, sum of weight / (60 + rank)) over rankings, best first.

    Ranks count from 1, and equal scores share one; a ranking without a document adds nothing to
    it; weights of 0 or less are ignored; equal sums are in the order of keys.

    >>> fuse([Ranking(np.array([b"a", b"b"]), np.array([0.5, 0.9]))], k=1)
    [(b'b', 0.01639344262295082)]
    """
    if not isinstance(k, (int, np.integer)) or k < 1:
        raise InvalidInput(what="k", expected="1 or more", actual=k)
    rankings = [one for one in rankings if one.weight > 0 and len(one.keys)]
    if not rankings:
        return []
    depth = deciding_depth([one.weight for one in rankings], k)
    tops = [_Top.of(one, depth) for one in rankings]
    keys = np.unique(np.concatenate([top.keys for top in tops]))
    parts = np.stack([top.parts(keys) for top in tops])
    below = np.array([[top.part_below] for top in tops])
    keys, parts = _hopeful(keys, parts, below, k)
    keys, parts = _hopeful(keys, parts, np.stack([top.bounds(keys) for top in tops]), k)
    for top, part in zip(tops, parts):
        unknown = np.isnan(part)
        part[unknown] = top.counted_parts(keys[unknown])
    fused = sum(parts)
    order = np.argsort(-fused, kind="stable")[:k]
    return list(zip(keys[order].tolist(), fused[order].tolist()))


def deciding_depth(weights, k):
    """Return how many documents of each ranking decide the k best.

    The k best of the heaviest ranking get max(weights) / (60 + k) or more; whatever is below this
    depth in every ranking gets less.
    """
    return int(sum(weights) * (RANK_OFFSET + k) / max(weights)) - RANK_OFFSET + 1


def _hopeful(keys, parts, bounds, k):
    """Return the keys that may be among the k best, and their parts.

    An unknown part, NaN, is at most its bound.
    """
    if len(keys) <= k:
        return keys, parts
    least = np.nan_to_num(parts).sum(axis=0)
    most = np.where(np.isnan(parts), bounds, parts).sum(axis=0)
    # Sums in another order differ by a rounding; what is within it stays.
    hopeful = most * (1 + 1e-12) >= np.partition(least, len(least) - k)[len(least) - k]
    return keys[hopeful], parts[:, hopeful]


class _Top:
    """The best of a ranking, in the order of keys, with exact ranks."""

    def __init__(self, ranking, rows):
        self.ranking = ranking
        keys, scores = ranking.keys[rows], ranking.scores[rows]
        order = np.argsort(keys, kind="stable")
        self.keys, self.scores = keys[order], scores[order]
        self.ascending = np.sort(scores)
        self.part_below = ranking.weight / (RANK_OFFSET + 1 + len(rows))

    @classmethod
    def of(cls, ranking, depth):
        """Return the best `depth` documents, and those that tie with the last."""
        scores = ranking.scores
        least = NOWHERE if depth >= len(scores) else _nth_best(scores, depth)
        if least == NOWHERE:
            return cls(ranking, np.flatnonzero(scores > NOWHERE))
        return cls(ranking, np.flatnonzero(scores >= least))

    def parts(self, keys):
        """Return what the ranking adds to the sum of each key, NaN where it is not of the best."""
        if not len(self.keys):
            return np.full(len(keys), np.nan)
        rows = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        better = len(rows) and self._better(self.scores[rows])
        return np.where(self.keys[rows] == keys, self._part(better), np.nan)

    def _better(self, scores):
        return len(self.ascending) - np.searchsorted(self.ascending, scores, side="right")

    def _part(self, better):
        return self.ranking.weight / (RANK_OFFSET + 1 + better)

    def bounds(self, keys):
        """Return what the ranking adds at most to keys: some of the scores bound their ranks."""
        some = self.ranking.scores[:SOME]
        scores = self._scores(keys)
        better = np.maximum(_count_above(some, scores), len(self.keys))
        return np.where(scores > NOWHERE, self._part(better), 0.0)

    def counted_parts(self, keys):
        """Return what the ranking adds to the sum of keys."""
        parts, scores = np.zeros(len(keys)), self._scores(keys)
        ranked = scores > NOWHERE
        parts[ranked] = self._part(_count_above(self.ranking.scores, scores[ranked]))
        return parts

    def _scores(self, keys):
        rows, known = (self.ranking.find or self._find)(keys)
        return np.where(known, self.ranking.scores[rows], NOWHERE).astype(self.ranking.scores.dtype)

    def _find(self, keys):
        rows = np.minimum(np.searchsorted(self.ranking.keys, keys), len(self.ranking.keys) - 1)
        return rows, self.ranking.keys[rows] == keys


def _nth_best(scores, n):
    if scores.dtype == np.float32 and n <= len(scores) // 64:
        ids, best = np.empty(n, np.int64), np.empty(n, np.float32)
        kernels.dense.top_k(scores, ids, best)
        return best[-1]
    return np.partition(scores, len(scores) - n)[len(scores) - n]


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
