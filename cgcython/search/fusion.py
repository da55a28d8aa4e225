"""Reciprocal rank fusion: one ranking of documents out of several."""

from typing import NamedTuple

import numpy as np

from cgcython.errors import InvalidInput

RANK_OFFSET = 60


class Ranking(NamedTuple):
    """The scores of one embedder's documents, higher is better, and what its ranks weigh."""

    keys: np.ndarray  # [n] 'S16', ascending
    scores: np.ndarray  # [n]
    weight: float = 1.0


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
    depth = _depth([one.weight for one in rankings], k)
    keys = np.unique(np.concatenate([_top_keys(one, depth) for one in rankings]))
    fused = sum(_parts(one, keys) for one in rankings)
    order = np.argsort(-fused, kind="stable")[:k]
    return list(zip(keys[order].tolist(), fused[order].tolist()))


def _depth(weights, k):
    """Return how many documents of each ranking decide the k best.

    The k best of the heaviest ranking get max(weights) / (60 + k) or more; whatever is below this
    depth in every ranking gets less.
    """
    return int(sum(weights) * (RANK_OFFSET + k) / max(weights)) - RANK_OFFSET + 1


def _top_keys(ranking, depth):
    """Return the keys of the best `depth` documents, and of those that tie with the last."""
    keys, scores, _ = ranking
    if depth >= len(scores):
        return keys
    return keys[scores >= np.partition(scores, len(scores) - depth)[len(scores) - depth]]


def _parts(ranking, keys):
    """Return what a ranking adds to the sum of each key."""
    rows = np.minimum(np.searchsorted(ranking.keys, keys), len(ranking.keys) - 1)
    ascending = np.sort(ranking.scores)
    better = len(ascending) - np.searchsorted(ascending, ranking.scores[rows], side="right")
    parts = ranking.weight / (RANK_OFFSET + 1 + better)
    return np.where(ranking.keys[rows] == keys, parts, 0.0)
