"""The best rows of one group of shards: what it tells of them for one query.

The best of a folder are among the best of its groups. A group tells the best scores of each
embedder, the keys of as many as can decide, and what every embedder scores those.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cgcython.search.arguments import Request
from cgcython.search.best import UNRANKED
from cgcython.search.fusion import RankingTop, Top
from cgcython.search.query_column import QueryColumn
from cgcython.search.scan import Best
from cgcython.types import Array, BoolArray, Float32Array, Int64Array, KeyArray

# Scores of a group and embedder that are told: fewer, and ranks would often have to be counted.
KNOWN_TIMES, KNOWN_LEAST = 2, 1 << 9
PIVOTS = 4  # times k rows that are compared with the others, where many are equal


def known_of(depth: int) -> int:
    """Return how many scores a group tells where `depth` keys can decide."""
    return max(KNOWN_TIMES * depth, KNOWN_LEAST)


def ranks_of(best: Best) -> Float32Array:
    """Return what orders the best rows of a column."""
    if not best.equal:
        return best.scores
    ranks = best.scores.copy()
    ranks[: best.equal] = np.inf
    return ranks


class GroupTops(NamedTuple):
    """What the embedders of a group find best for a query, in the order of the request's weights.

    Scores are those that order: infinite for rows that equal a stored query of zeros.
    """

    keys: KeyArray  # [n] ascending
    scores: Float32Array  # [embedders, n], UNRANKED where a record has none
    ascending: list[Float32Array]  # the best scores of each embedder
    floors: list[float]  # from where on they are all
    cuts: list[float]  # the score of which there may be more rows than keys; -inf where of none
    read: int


class ScannedTop(Top):
    """The best rows of a column that was scanned, best first."""

    def __init__(
        self, column: QueryColumn, best: Best, request: Request, depth: int, most: int
    ) -> None:
        """`best` are `most` rows, or fewer where there are no more."""
        self._column, self._best, own = column, best, column.column
        self._knows_equal = best.equal < most
        among = request.among
        self.read = len(own) if among is None else len(own.chosen(among.keys)[0])
        ranks = ranks_of(best)
        self.cut = float(ranks[-1]) if len(ranks) >= most else UNRANKED
        super().__init__(column.weight, ranks[::-1], self.cut)
        least = ranks[depth - 1] if len(ranks) > depth else UNRANKED
        self._keys: KeyArray = own.row_keys[best.rows[ranks >= least]]

    @property
    def keys(self) -> KeyArray:
        return self._keys

    def scores_of(self, keys: KeyArray) -> Array:
        rows, known = self._column.column.find(keys)
        rows, found = rows[known], np.full(len(keys), UNRANKED, np.float32)
        found[known] = self._ranks(rows, self._column.scores_at(rows))
        return found

    def _ranks(self, rows: Int64Array, scores: Float32Array) -> Float32Array:
        """Return what orders some rows; looking for those that equal the query takes a while."""
        if not self._knows_equal:
            return self._column.ranks_at(rows, scores)
        equal = self._best.rows[: self._best.equal]
        return np.where(np.isin(rows, equal), np.float32(np.inf), scores) if len(equal) else scores


class NearTop(RankingTop):
    """The best rows among those that guides or a graph found."""

    cut = UNRANKED  # equals of the last are there

    def __init__(self, column: QueryColumn, request: Request, depth: int) -> None:
        ranking = column.rank(request)
        super().__init__(ranking, depth)
        self.read = column.read
        if len(self.ascending) == np.count_nonzero(ranking.scores > UNRANKED):
            self.floor = UNRANKED


def gathered(tops: Sequence[ScannedTop | NearTop]) -> GroupTops:
    """Return what a group tells of the tops of a query's embedders."""
    keys = np.unique(np.concatenate([top.keys for top in tops]))
    return GroupTops(
        keys,
        np.array([top.scores_of(keys) for top in tops], np.float32),
        [np.ascontiguousarray(top.ascending) for top in tops],
        [float(top.floor) for top in tops],
        [top.cut for top in tops],
        sum(top.read for top in tops),
    )


def undominated(keys: KeyArray, scores: Float32Array, k: int) -> BoolArray:
    """Return which rows can be among the k best, where others are better in every ranking.

    Keys ascend. A row ranks behind one whose scores are all as good, and better somewhere or of an
    earlier key. Not all such rows are found, and never one too many.
    """
    kept = np.ones(len(keys), np.bool_)
    if len(keys) <= PIVOTS * k:
        return kept
    places = np.array([np.unique(row, return_inverse=True)[1] for row in scores])
    pivots = np.argsort(-places.sum(axis=0), kind="stable")[: PIVOTS * k]
    behind = np.zeros(len(keys), np.int64)
    for pivot in pivots.tolist():
        own = scores[:, pivot : pivot + 1]
        later = np.any(own > scores, axis=0) | (np.arange(len(keys)) > pivot)
        behind += np.all(own >= scores, axis=0) & later
    kept = behind < k
    return kept
