"""How far from its nearest centroid a query looks for the best rows: measured, not assumed.

Queries are made of a sample of rows: rows that are left out of what they find, and what lies
between two rows, which is farther from all of them, as queries of another kind than rows are. The
best of each by the codes are known from a scan. The gap that reaches the cells of nearly all of
these is how much lower than that of the nearest cell the cosine of a cell may be. A query far from
all rows so looks into many cells, where a fixed number of cells would not do. `first_pass` measures
with the same queries how many rows it takes by their bits.
"""

import math
from typing import NamedTuple, Self

import numpy as np

from cgcython.search.guides.centroids import Centroids
from cgcython.search.guides.directions import as_queries, between, directions
from cgcython.search.scan import Scan
from cgcython.tensors import Malformed
from cgcython.types import Array, Float32Array, Int64Array

QUERIES, COUNTS = 128, (10, 100)  # of either kind; of neighbours, whose gaps are measured
MOST_BITS = 1 << 16  # of any embedding
RECALL = 0.995  # of the neighbours of either kind of query; .98 is what a search promises


class Measures(NamedTuple):
    """What was measured when cells were made.

    `gap` reaches the ten best, `wide_gap` the hundred best. Of the rows within, those whose signs
    differ in no more than `bits` (`wide_bits`) from the query's than the tenth (hundredth) by its
    signs are scored. Recalls are the parts of the ten best that `gap` reaches from rows, and from
    between rows; `read` is the part of all rows that it leads to, `unevenness` that of the cells
    of `rows` rows.
    """

    gap: float
    wide_gap: float
    bits: float
    wide_bits: float
    recall_of_rows: float
    recall_between: float
    read: float
    unevenness: float
    rows: float

    @classmethod
    def of(cls, array: Array) -> Self:
        """Return the Measures of an array; raises Malformed for numbers that none can be."""
        found = cls(*array.tolist())
        ascend = (
            0 <= found.gap <= found.wide_gap and 0 <= found.bits <= found.wide_bits <= MOST_BITS
        )
        if not np.isfinite(array).all() or not ascend or found.rows < 1:
            raise Malformed("what was measured of its cells is no number")
        return found

    def gap_of(self, count: int) -> float:
        """Return the gap that reaches the best `count` rows: more of them lie farther."""
        return self.gap + _share(count) * (self.wide_gap - self.gap)

    def bits_of(self, count: int) -> int:
        """Return how many bits more than in the best `count` rows by signs may differ."""
        return math.ceil(self.bits + _share(count) * (self.wide_bits - self.bits))


MEASURES = Measures._fields


def _share(count: int) -> float:
    few, many = COUNTS
    return max(0.0, math.log(max(count, 1) / few) / math.log(many / few))


class Trials(NamedTuple):
    """Queries [n, dim], the first half of them rows, the others between rows; and their best rows.

    `best` is [n, the most of COUNTS], the best row of each first, without the row that a query is.
    """

    queries: Float32Array
    best: Int64Array

    @classmethod
    def of(cls, scan: Scan, rng: np.random.Generator, num_threads: int = 1) -> Self:
        """Return trials of a scan."""
        some, others = rng.permutation(len(scan))[: 2 * QUERIES].reshape(2, -1)
        rows = directions(scan, some)
        queries = np.concatenate([rows, between(scan, rows, directions(scan, others))])
        most = min(max(COUNTS), len(scan) - 1)
        asked = list(as_queries(scan, queries))
        found = scan.best_many(asked, most + 1, num_threads=num_threads)
        own = [*some.tolist(), *[-1] * len(some)]
        best = [_best(one.rows, one.scores, row)[:most] for one, row in zip(found, own)]
        return cls(queries, np.stack(best))


def _best(rows: Int64Array, scores: Float32Array, own: int) -> Int64Array:
    """Return rows, the best first, without one's own."""
    ordered = rows[np.argsort(-scores, kind="stable")]
    others: Int64Array = ordered[ordered != own]
    return others


def measured(trials: Trials, centroids: Centroids, cells: Int64Array) -> Measures:
    """Return the Measures of cells without bits: `cells` [rows] has the one of each row."""
    cosines = np.stack([centroids.cosines(query) for query in trials.queries])
    below = cosines.max(axis=1, keepdims=True) - cosines
    gaps = np.take_along_axis(below, cells[trials.best], axis=1)
    gap, wide = (within(gaps[:, :count], RECALL) for count in COUNTS)
    of_rows, mixture = (np.mean(kind[:, : COUNTS[0]] <= gap) for kind in np.split(gaps, 2))
    sizes = np.bincount(cells, minlength=len(centroids.codes))
    read = np.mean((below <= gap) @ sizes) / len(cells)
    return Measures(
        *(gap, max(gap, wide), 0, 0),
        *(float(of_rows), float(mixture), float(read), unevenness(sizes), len(cells)),
    )


def within(needs: Array, share: float) -> float:
    """Return what suffices for such a share of what either half of some queries needs."""
    halves = np.split(needs, 2)
    return max(float(np.quantile(half, share, method="higher")) for half in halves)


def unevenness(sizes: Int64Array) -> float:
    """Return the mean size of the cell of a row over that of a cell: 1 where all are as large.

    >>> unevenness(np.array([5, 5])), unevenness(np.array([3, 1]))
    (1.0, 1.25)
    """
    return float(np.square(sizes / sizes.sum()).sum() * len(sizes))
