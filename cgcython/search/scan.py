"""What all scans share: rows of codes that one query meets in one pass."""

import numpy as np

from cgcython.errors import InvalidInput, InvalidQuantizedData
from cgcython.parallel import require_threads, split_rows

METRICS = ("cosine", "dot")


class Scan:
    """Rows that can be scored; a subclass prepares the query and scores a slice of rows."""

    def scores(self, query, metric="cosine", num_threads=1):
        """Return the score of every row."""
        if metric not in METRICS:
            raise InvalidInput(what="metric", expected=" or ".join(METRICS), actual=metric)
        require_threads(num_threads)
        out = np.empty(len(self), np.float32)
        prepared = self._prepare(query, metric)

        def score(start, stop):
            self._score(prepared, metric, slice(start, stop), out[start:stop])

        split_rows(score, len(self), self._threads(prepared, num_threads))
        return out

    def _threads(self, prepared, num_threads):
        """Return how many threads a query is worth."""
        return num_threads

    def without_others(self, rows):
        """Return the scan of some rows for as many queries as this one; `take` is for one."""
        return self.take(rows)

    def like(self, query, stored):
        """Return the cosine of every row with `stored`, the query as a record would hold it.

        Nothing is like nothing: two zero embeddings score 1.
        """
        scores = self.scores(stored)
        if not _any(stored):
            scores[~self._directed()] = 1
        return scores

    def twins(self, query):
        """Return the rows of what the query would be stored as, where scores may hide it."""
        return np.empty(0, np.int64)


def _any(embedding):
    return np.any(getattr(embedding, "weights", embedding))


def invalid(quantized, reason):
    """Return the error of records that no encoder wrote."""
    return InvalidQuantizedData(method=quantized[0].method, reason=reason)


def concatenated(quantized):
    """Return the data of records one after the other, and where each begins and ends."""
    data = np.frombuffer(b"".join(one.data for one in quantized), np.uint8)
    return data, np.cumsum([0, *(len(one.data) for one in quantized)], dtype=np.int64)
