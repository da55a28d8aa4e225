"""One embedder's column as one query sees it: what it ranks, and how like its records are."""

import numpy as np

from cgcython.search.fusion import Ranking

FEW = 8  # scoring one row in so many alone is faster than scoring all


class View:
    """A column and a query's embedding for it, as it is and as a record would hold it."""

    def __init__(self, column, model_id, weight, query, stored):
        self.column, self.model_id, self.weight = column, model_id, weight
        self.query, self.stored = query, stored
        self._scores, self._twins = None, (np.empty(0, np.int64), np.empty(0, np.float32))

    def rank(self, metric, num_threads):
        """Score every record and return the Ranking, in which the query's own bytes come first."""
        self.metric, column = metric, self.column
        self._scores = column.scores(self.query, metric, num_threads)
        twins = column.twins(self.query)
        self._twins = twins, self._scores[twins]
        self._scores[twins] = np.inf
        return Ranking(column.row_keys, self._scores, self.weight, column.find)

    def rank_near(self, graph, depth, metric, num_threads):
        """Return the Ranking of about `depth` records that a graph finds near the query."""
        near = graph.nearest(self.column.scans[0], self.query, depth, num_threads)
        return self.rank_some(near, metric)

    def rank_some(self, keys, metric, num_threads=1):
        """Return the Ranking of those of some keys, which ascend, that have the embedder."""
        self.metric = metric
        rows, known = self.column.find(keys)
        rows = rows[known]
        if len(rows) * FEW > len(self.column):
            scores = self.column.scores(self.query, metric, num_threads)[rows]
        else:
            scores = self.column.scores_of(rows, self.query, metric)
        scores[np.isin(rows, self.column.twins(self.query))] = np.inf
        return Ranking(keys[known], scores, self.weight)

    def report(self, keys, scores):
        """Note the score of each key in `scores`; return which have one, and how like they are."""
        rows, known = self.column.find(keys)
        rows = rows[known]
        for i, score in zip(np.flatnonzero(known), self._scores_of(rows).tolist()):
            scores[i][self.model_id] = score
        return known, self.column.like(rows, self.query, self.stored)

    def _scores_of(self, rows):
        if self._scores is None:
            return self.column.scores_of(rows, self.query, self.metric)
        twins, their_scores = self._twins
        self._scores[twins] = their_scores
        return self._scores[rows]
