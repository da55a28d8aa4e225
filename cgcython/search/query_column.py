"""One embedder's column with one query's embedding: the ranking it gives, and the hits' scores."""

from collections.abc import Sequence

import numpy as np

from cgcython.base import EmbedderId
from cgcython.search.arguments import Request
from cgcython.search.best import best_rows, ordered
from cgcython.search.column import Column
from cgcython.search.column_part import FEW_SCORED
from cgcython.search.fusion import Ranking
from cgcython.search.graphs import Graph
from cgcython.search.scan import Best, Embedding
from cgcython.types import BoolArray, Float32Array, Int64Array, KeyArray


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
        guided: bool = False,
    ) -> None:
        """Where no keys are given, a `graph` or the column's guides may find the rows that rank."""
        self.column, self.model_id, self.weight = column, model_id, weight
        self.query, self.stored = query, stored
        self.metric, self.num_threads, self.graph = metric, num_threads, graph
        self.guided, self.read = guided, 0  # rows whose codes were read to rank
        self._scores: Float32Array | None = None  # of all rows, once they were scored
        self._scored: dict[int, float] | None = None  # of the best rows, by row

    def best(self, request: Request) -> Best:
        """Return the Best rows of the shortlist of a request, best first."""
        rows, k = self._proposed(request), request.shortlist
        if rows is not None:
            best = self._best_of(rows, k)
        elif self.guided:
            best = self._near(request)
            best = best._replace(rows=best.rows[:k], scores=best.scores[:k])
        else:
            ways = self.metric, self.num_threads, request.among
            best = self.column.best(self.query, k, *ways)
        self.read = best.read
        return best

    def _near(self, request: Request) -> Best:
        """Return nearly the Best rows, as many as a request wants proposed, best first."""
        return self.column.best_near(self.query, request.depth, self.num_threads, request.among)

    def _best_of(self, rows: Int64Array, k: int) -> Best:
        """Return the Best of some rows."""
        scores = self.scores_at(rows)
        ranks = self.ranks_at(rows, scores)
        best = best_rows(ranks, k)
        best = best[ordered(self.column.row_keys, rows[best], ranks[best])[:k]]
        equal = int(np.count_nonzero(ranks[best] == np.inf))
        return Best(rows[best], scores[best], len(rows), equal)

    def take_best(self, best: Best) -> None:
        """Keep the scores of the best rows, which `report` tells, and how many were read."""
        self.read = best.read
        self._scored = dict(zip(best.rows.tolist(), best.scores.tolist()))

    def rank(self, request: Request) -> Ranking:
        """Return the Ranking of the records that a request lets rank.

        Rows that equal the stored query come first.
        """
        if self.guided:
            near = self._near(request)
            self.read = near.read
            return self._ranking(near.rows, near.scores)
        if request.among is not None:
            keys, ranks = self.ranks_of(request.among.keys)
            self.read = len(keys)
            return Ranking(keys, ranks, self.weight)
        rows = self._proposed(request)
        if rows is not None:
            self.read = len(rows)
            return self._ranking(rows, self.scores_at(rows))
        column, self.read = self.column, len(self.column)
        self._scores = column.scores(self.query, self.metric, self.num_threads)
        equal = column.equal_rows(self.query)
        ranks = self._scores.copy() if len(equal) else self._scores
        ranks[equal] = np.inf
        return Ranking(column.row_keys, ranks, self.weight, column.find)

    def _ranking(self, rows: Int64Array, scores: Float32Array) -> Ranking:
        keys, ranks = self.column.row_keys[rows], self.ranks_at(rows, scores)
        order = keys.argsort()
        return Ranking(keys[order], ranks[order], self.weight)

    def ranks_of(self, keys: KeyArray) -> tuple[KeyArray, Float32Array]:
        """Return those of some keys, which ascend, that have the embedder, and what orders them."""
        keys, rows = self.column.chosen(keys)
        return keys, self.ranks_at(rows, self.scores_at(rows))

    def _proposed(self, request: Request) -> Int64Array | None:
        """Return the rows that a graph finds; None without one, or where it finds too few."""
        if self.graph is None:
            return None
        return self.graph.nearest(self.column, self.query, request.depth, self.num_threads)

    def scores_at(self, rows: Int64Array) -> Float32Array:
        """Return the scores of some rows."""
        if len(rows) * FEW_SCORED > len(self.column):
            return self.column.scores(self.query, self.metric, self.num_threads)[rows]
        return self.column.scores_of(rows, self.query, self.metric)

    def ranks_at(self, rows: Int64Array, scores: Float32Array) -> Float32Array:
        """Return what orders rows of some scores: rows that equal the stored query come first."""
        equal = self.column.equal_rows(self.query)
        return np.where(np.isin(rows, equal), np.float32(np.inf), scores) if len(equal) else scores

    def report(
        self, keys: KeyArray, scores: Sequence[dict[EmbedderId, float]]
    ) -> tuple[BoolArray, Float32Array]:
        """Write the embedder's score of each key that has one into `scores`, a dict for each key.

        Returns which keys have one, and how alike those records and the query are.
        """
        rows, known = self.column.find(keys)
        rows = rows[known]
        for i, score in zip(known.nonzero()[0].tolist(), self._scores_of(rows)):
            scores[i][self.model_id] = score
        return known, self.similarities(rows)

    def similarities(self, rows: Int64Array) -> Float32Array:
        """Return how alike some rows and the query are, both as records hold them."""
        return self.column.similarities(rows, self.query, self.stored)

    def _scores_of(self, rows: Int64Array) -> list[float]:
        if self._scored is not None:
            return [self._scored[row] for row in rows.tolist()]
        if self._scores is None:
            scores = self.column.scores_of(rows, self.query, self.metric)
        else:
            scores = self._scores[rows]
        found: list[float] = scores.tolist()
        return found
