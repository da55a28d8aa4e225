"""One embedder's column with one query's embedding: the ranking it gives, and the hits' scores."""

from collections.abc import Sequence

import numpy as np

from cgcython.base import EmbedderId
from cgcython.search.column import Column
from cgcython.search.fusion import Ranking
from cgcython.search.graphs import Graph
from cgcython.search.scan import Embedding
from cgcython.types import BoolArray, Float32Array, Int64Array, KeyArray

FEW = 8  # where less than one row in so many is wanted, scoring those alone is faster


class QueryColumn:
    """A column and a query's embedding for it: `query` as given, `stored` as a record holds it.

    `weight` is that of the embedder. One of the three ways to rank is called before `report`.
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
    ) -> None:
        self.column, self.model_id, self.weight = column, model_id, weight
        self.query, self.stored = query, stored
        self.metric, self.num_threads = metric, num_threads
        self._scores: Float32Array | None = None  # of all rows, once they were scored
        self._equal_rows, self._their_scores = _NO_ROWS, np.empty(0, np.float32)

    def rank(self) -> Ranking:
        """Score every row and return the Ranking; rows that equal the stored query come first."""
        column = self.column
        self._scores = column.scores(self.query, self.metric, self.num_threads)
        self._equal_rows = column.equal_rows(self.query)
        self._their_scores = self._scores[self._equal_rows]
        self._scores[self._equal_rows] = np.inf
        return Ranking(column.row_keys, self._scores, self.weight, column.find)

    def rank_near(self, graph: Graph, depth: int) -> Ranking:
        """Return the Ranking of about `depth` records that a graph finds near the query.

        All are ranked where the graph finds too few.
        """
        near = graph.nearest(self.column.scans[0], self.query, depth, self.num_threads)
        return self.rank() if near is None else self.rank_some(near)

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
        if self._scores is None:
            return self.column.scores_of(rows, self.query, self.metric)
        self._scores[self._equal_rows] = self._their_scores
        return self._scores[rows]


_NO_ROWS = np.empty(0, np.int64)
