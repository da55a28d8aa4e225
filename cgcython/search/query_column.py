"""One embedder's column with one query's embedding: the ranking it gives, and the hits' scores."""

from collections.abc import Sequence

import numpy as np

from cgcython.base import EmbedderId
from cgcython.search.best import best_rows, ordered
from cgcython.search.column import Column
from cgcython.search.fusion import Ranking
from cgcython.search.graphs import Graph
from cgcython.search.scan import Best, Embedding
from cgcython.types import BoolArray, Float32Array, Int64Array, KeyArray

FEW = 8  # where less than one row in so many is wanted, scoring those alone is faster


class QueryColumn:
    """A column and a query's embedding for it: `query` as given, `stored` as a record holds it.

    `weight` is that of the embedder. `rank`, or `best` where it ranks alone, is called before
    `report`.
    """

    def __init__(
        self,
        column: Column,
        model_id: EmbedderId,
        weight: float,
        query: Embedding,
        stored: Embedding,
        metric: str,
        num_threads: int = 1,
        graph: Graph | None = None,
    ) -> None:
        """`graph`, where there is one, finds the rows that rank when no keys are given."""
        self.column, self.model_id, self.weight = column, model_id, weight
        self.query, self.stored = query, stored
        self.metric, self.num_threads, self.graph = metric, num_threads, graph
        self._scores: Float32Array | None = None  # of all rows, once they were scored
        self._equal_rows, self._their_scores = _NO_ROWS, np.empty(0, np.float32)
        self._best: Best | None = None

    def best(self, k: int, keys: KeyArray | None = None, depth: int = 0) -> KeyArray:
        """Return the keys of the k best records, best first; the arguments are those of `rank`."""
        keys = self._near(depth) if keys is None else keys
        if keys is not None:
            ranking = self.rank_some(keys)
            rows = best_rows(ranking.scores, k)
            rows = rows[ordered(ranking.keys[rows], ranking.scores[rows])[:k]]
            return np.asarray(ranking.keys)[rows]
        self._best = self.column.best(self.query, k, self.metric, self.num_threads)
        return self.column.row_keys[self._best.rows]

    def rank(self, keys: KeyArray | None = None, depth: int = 0) -> Ranking:
        """Return the Ranking of all records, or of some keys, which ascend.

        Without keys, a graph finds about `depth` records that rank. Rows that equal the stored
        query come first.
        """
        keys = self._near(depth) if keys is None else keys
        return self._rank_all() if keys is None else self.rank_some(keys)

    def _near(self, depth: int) -> KeyArray | None:
        """Return the keys that the graph finds; None without one, or where it finds too few."""
        if self.graph is None:
            return None
        return self.graph.nearest(self.column.scans[0], self.query, depth, self.num_threads)

    def _rank_all(self) -> Ranking:
        column = self.column
        self._scores = column.scores(self.query, self.metric, self.num_threads)
        self._equal_rows = column.equal_rows(self.query)
        self._their_scores = self._scores[self._equal_rows]
        self._scores[self._equal_rows] = np.inf
        return Ranking(column.row_keys, self._scores, self.weight, column.find)

    def rank_some(self, keys: KeyArray) -> Ranking:
        """Return the Ranking of those of some keys, which ascend, that have the embedder."""
        keys, rows = self.column.chosen(keys)
        if len(rows) * FEW > len(self.column):
            scores = self.column.scores(self.query, self.metric, self.num_threads)[rows]
        else:
            scores = self.column.scores_of(rows, self.query, self.metric)
        equal = self.column.equal_rows(self.query)
        if len(equal):
            scores[np.isin(rows, equal)] = np.inf
        return Ranking(keys, scores, self.weight)

    def report(
        self, keys: KeyArray, scores: Sequence[dict[EmbedderId, float]]
    ) -> tuple[BoolArray, Float32Array]:
        """Write the embedder's score of each key that has one into `scores`, a dict for each key.

        Returns which keys have one, and how alike those records and the query are.
        """
        rows, known = self.column.find(keys)
        rows = rows[known]
        for i, score in zip(known.nonzero()[0].tolist(), self._scores_of(rows).tolist()):
            scores[i][self.model_id] = score
        return known, self.column.similarities(rows, self.query, self.stored)

    def _scores_of(self, rows: Int64Array) -> Float32Array:
        if self._best is not None:
            scored = dict(zip(self._best.rows.tolist(), self._best.scores.tolist()))
            return np.array([scored[row] for row in rows.tolist()], np.float32)
        if self._scores is None:
            return self.column.scores_of(rows, self.query, self.metric)
        self._scores[self._equal_rows] = self._their_scores
        return self._scores[rows]


_NO_ROWS = np.empty(0, np.int64)
