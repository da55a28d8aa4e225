"""Ranks a corpus of any size for many queries: block by block, the best of each query kept.

Memory is one block of documents, the best documents of each query, and one loss per document.
"""

from typing import NamedTuple

import numpy as np

from cgcython.evaluation import metrics
from cgcython.parallel import split_rows

BLOCK_BYTES = 1 << 24  # of float32 documents
MOST_ROWS = 1 << 14
SAMPLED = 64
QUERIES = 64  # whose scores of a block are held at a time


class Tops:
    """The k best of the documents that each query has met, best first, the lower on ties."""

    def __init__(self, num_queries, k=metrics.CUTOFF):
        self.k = k
        self._found = [(np.empty(0, np.int64), np.empty(0, np.float32))] * num_queries

    def __len__(self):
        return len(self._found)

    def see(self, query, first, scores):
        """Note the scores of documents numbered from `first`, above all that were seen."""
        ids, best = self._found[query]
        rows = metrics.top(scores, self.k)
        ids, best = np.concatenate([ids, rows + first]), np.concatenate([best, scores[rows]])
        order = np.argsort(-best, kind="stable")[: self.k]
        self._found[query] = ids[order], best[order]

    def __getitem__(self, query):
        """Return the documents and the scores of a query."""
        return self._found[query]


class Ranked(NamedTuple):
    """What ranking a corpus by a side came to."""

    tops: Tops
    losses: np.ndarray | None
    num_bytes: int
    framed_bytes: int
    layouts: frozenset


def rank(
    side,
    column,
    queries,
    *,
    k=metrics.CUTOFF,
    metric="cosine",
    num_threads=1,
    advance=lambda rows: None,
):
    """Return the Ranked documents of a column, as a side has them, for a list of queries.

    A column has a length, `column[row]`, and `column.batch(start, stop)` as encoders take it.
    `advance(rows)` is called after each block.
    """
    tops, blocks = Tops(len(queries), k), []
    asked = side.asked(queries)
    for start, stop in ranges(column):
        block = side.block(column.batch(start, stop), start, num_threads)
        _score(block.scans, asked, metric, tops, (start, stop), num_threads)
        blocks.append(block._replace(scans=()))
        advance(stop - start)
    return _sum(tops, blocks)


def _score(scans, queries, metric, tops, edges, num_threads):
    """Show the documents between two edges to all queries, some queries at a time.

    A scan meets several queries before the next one does, while its rows are at hand.
    """
    first, last = edges

    def score(start, stop):
        scores = np.empty((min(QUERIES, stop - start), last - first), np.float32)
        for begin in range(start, stop, QUERIES):
            some = range(begin, min(begin + QUERIES, stop))
            for rows, scan in scans:
                for row, number in enumerate(some):
                    scores[row, rows] = scan.scores(queries[number], metric)
            for row, number in enumerate(some):
                tops.see(number, first, scores[row])

    split_rows(score, len(queries), num_threads)


def _sum(tops, blocks):
    losses = [block.losses for block in blocks if block.losses is not None]
    return Ranked(
        tops,
        np.concatenate(losses) if losses else None,
        sum(block.num_bytes for block in blocks),
        sum(block.framed_bytes for block in blocks),
        frozenset().union(*(block.layouts for block in blocks)),
    )


def ranges(column):
    """Yield the (start, stop) of blocks of about 16 MB of float32."""
    step = max(1, min(MOST_ROWS, int(BLOCK_BYTES / max(1.0, _row_bytes(column)))))
    for start in range(0, len(column), step):
        yield start, min(start + step, len(column))


def _row_bytes(column):
    """Return the float32 bytes of a row, on the average of some."""
    rows = range(0, len(column), max(1, len(column) // SAMPLED))
    return float(np.mean([_size(column[row]) for row in rows] or [1]))


def _size(row):
    return 4 * row.size if isinstance(row, np.ndarray) else 8 * row.nnz
