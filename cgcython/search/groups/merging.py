"""What the groups of a folder found, put together to what one searcher finds."""

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from cgcython.base import EmbedderId
from cgcython.search.best import UNRANKED, ordered
from cgcython.search.fusion import Fusion, Top, deciding_depth
from cgcython.search.groups.group import Nearest, Told
from cgcython.search.groups.tops import GroupTops
from cgcython.search.hits import Hits, made
from cgcython.types import Array, BoolArray, Float32Array, Int64Array, KeyArray


class Shortlist(NamedTuple):
    """Keys that a query found, best first, the group of each, and how many rows were read."""

    keys: KeyArray
    groups: Int64Array
    read: int

    def take(self, order: Array) -> "Shortlist":
        """Return some of the keys, in an order."""
        return self._replace(keys=self.keys[order], groups=self.groups[order])


def nearest_hits(model_id: EmbedderId, found: Sequence[Nearest], k: int) -> Hits:
    """Return the Hits of the only embedder of a query."""
    keys = np.concatenate([one.keys for one in found])
    best = _order(keys, found)[:k]
    alike = np.concatenate([one.alike for one in found if one.alike is not None])[best]
    alike = np.minimum(np.maximum(alike, -1), 1)
    scores = np.concatenate([one.scores for one in found])[best]
    own = [{model_id: score} for score in scores.tolist()]
    return Hits(made(keys[best], alike.tolist(), own), sum(one.read for one in found))


def nearest_keys(found: Sequence[Nearest], k: int) -> Shortlist:
    """Return the k best keys of the only embedder that ranks."""
    keys = np.concatenate([one.keys for one in found])
    groups = np.repeat(np.arange(len(found)), [len(one.keys) for one in found])
    every = Shortlist(keys, groups, sum(one.read for one in found))
    return every.take(_order(keys, found)[:k])


def _order(keys: KeyArray, found: Sequence[Nearest]) -> Int64Array:
    ranks = np.concatenate([one.ranks for one in found])
    return ordered(keys, np.arange(len(keys)), ranks)


class QueryTops:
    """What all groups found best for a query that several embedders rank."""

    def __init__(self, groups: Sequence[GroupTops], weights: Sequence[float], depth: int) -> None:
        self._groups, self._weights, self._depth = list(groups), weights, depth
        self._ascending = [
            np.sort(np.concatenate(scores)) for scores in zip(*(one.ascending for one in groups))
        ]

    def deciding_depth(self, k: int) -> int:
        """Return the depth that decides the k best, now that it is known who ranks so many."""
        ranked = zip(self._weights, self._ascending)
        full = [weight for weight, ascending in ranked if len(ascending) >= k]
        return deciding_depth(self._weights, k, full)

    @cached_property
    def least(self) -> Float32Array:
        """The score of each embedder's last key that may decide."""
        depth = self._depth
        every = [one[-depth] if len(one) >= depth else UNRANKED for one in self._ascending]
        return np.array(every, np.float32)

    @property
    def tied(self) -> list[int]:
        """The groups that may have more rows with such a score than they told."""
        return [
            number
            for number, group in enumerate(self._groups)
            if np.any((np.array(group.cuts, np.float32) == self.least) & (self.least > UNRANKED))
        ]

    def take_ties(self, group: int, keys: KeyArray, scores: Float32Array) -> None:
        """Take all keys of a group that may decide, and their scores."""
        self._groups[group] = self._groups[group]._replace(keys=keys, scores=scores)

    def fusion(self, k: int) -> Fusion:
        """Return the Fusion of all groups."""
        floors = [max(floors) for floors in zip(*(one.floors for one in self._groups))]
        ways = zip(self._weights, self._ascending, floors, self._scores, self.least)
        tops = [_MergedTop(self._keys, *way) for way in ways]
        return Fusion(tops, k)

    def shortlist(self, best: KeyArray) -> Shortlist:
        """Return the Shortlist of the best keys."""
        owners = np.repeat(np.arange(len(self._groups)), [len(one.keys) for one in self._groups])
        groups = owners[self._order[self._keys.searchsorted(best)]]
        return Shortlist(best, groups, sum(one.read for one in self._groups))

    @cached_property
    def _order(self) -> Int64Array:
        return np.concatenate([one.keys for one in self._groups]).argsort(kind="stable")

    @cached_property
    def _keys(self) -> KeyArray:
        keys: KeyArray = np.concatenate([one.keys for one in self._groups])[self._order]
        return keys

    @cached_property
    def _scores(self) -> Float32Array:
        scores: Float32Array = np.concatenate([one.scores for one in self._groups], axis=1)
        return scores[:, self._order]


class _MergedTop(Top):
    """The best of an embedder in all groups."""

    def __init__(
        self,
        keys: KeyArray,
        weight: float,
        ascending: Array,
        floor: float,
        scores: Float32Array,
        least: float,
    ) -> None:
        super().__init__(weight, ascending, floor)
        self._every, self._scores = keys, scores
        self._keys = keys[(scores >= least) & (scores > UNRANKED)]

    @property
    def keys(self) -> KeyArray:
        return self._keys

    def scores_of(self, keys: KeyArray) -> Array:
        return self._scores[self._every.searchsorted(keys)]


class ToldColumn:
    """What an embedder says of the keys of a shortlist, in the place of a QueryColumn."""

    def __init__(self, model_id: EmbedderId, weight: float, keys: KeyArray) -> None:
        """`told` of each group is taken; until then no key has the embedder."""
        self.model_id, self.weight, self.read = model_id, weight, 0
        self._keys, count = keys, len(keys)
        self._known = np.zeros(count, np.bool_)
        self._ranks, self._scores, self._alike = (np.zeros(count, np.float32) for _ in range(3))

    def take(self, mine: BoolArray, told: Told) -> None:
        """Take what a group told of those of the keys that are its."""
        places = mine.nonzero()[0][told.known]
        self._known[places] = True
        self._scores[places] = told.scores
        if told.ranks is not None:
            self._ranks[places] = told.ranks
        if told.alike is not None:
            self._alike[places] = told.alike

    def report(
        self, keys: KeyArray, scores: Sequence[dict[EmbedderId, float]]
    ) -> tuple[BoolArray, Float32Array]:
        """Write the score of each key that has one, and return which have, and how alike."""
        for place in self._known.nonzero()[0].tolist():
            scores[place][self.model_id] = float(self._scores[place])
        return self._known, self._alike[self._known]

    def ranks_of(self, keys: KeyArray) -> tuple[KeyArray, Float32Array]:
        """Return the keys that have the embedder, and what orders them."""
        return self._keys[self._known], self._ranks[self._known]
