"""How far from its nearest centroid a query looks for the best rows: measured, not assumed.

Queries are made of a sample of rows: rows that are left out of what they find, and what lies
between two rows, which is farther from all of them, as queries of another kind than rows are. The
best of each by the codes are known from a scan. The gap that reaches the cells of nearly all of
these is how much lower than that of the nearest cell the cosine of a cell may be. A query far from
all rows so looks into many cells, where a fixed number of cells would not do.
"""

import math
from typing import NamedTuple, Self

import numpy as np

from cgcython.search.guides.centroids import Centroids
from cgcython.search.guides.directions import as_queries, between, directions
from cgcython.search.scan import Scan
from cgcython.tensors import Malformed
from cgcython.types import Array, Float32Array, Int64Array

QUERIES, COUNTS = 128, (10, 100)  # of neighbours, whose gaps are measured
RECALL = 0.99  # of the neighbours of either kind of query; .98 is what a search promises


class Measures(NamedTuple):
    """What was measured when cells were made.

    `gap` reaches the ten best, `wide_gap` the hundred best. Recalls are the parts of the ten best
    that `gap` reaches from rows, and from between rows; `read` is the part of all rows that it
    leads to, `unevenness` that of the cells of `rows` rows.
    """

    gap: float
    wide_gap: float
    recall_of_rows: float
    recall_between: float
    read: float
    unevenness: float
    rows: float

    @classmethod
    def of(cls, array: Array) -> Self:
        """Return the Measures of an array; raises Malformed for numbers that none can be."""
        found = cls(*array.tolist())
        if not np.isfinite(array).all() or not 0 <= found.gap <= found.wide_gap or found.rows < 1:
            raise Malformed("what was measured of its cells is no number")
        return found

    def gap_of(self, count: int) -> float:
        """Return the gap that reaches the best `count` rows: more of them lie farther."""
        few, many = COUNTS
        share = max(0.0, math.log(max(count, 1) / few) / math.log(many / few))
        return self.gap + share * (self.wide_gap - self.gap)


MEASURES = Measures._fields


class _Sought(NamedTuple):
    """Gaps to the nearest cell, of queries: of the cells that hold their best, and of all cells."""

    gaps: Float32Array  # [queries, the most of COUNTS], the best row first
    below: Float32Array  # [queries, cells]


def measured(
    scan: Scan,
    centroids: Centroids,
    cells: Int64Array,
    rng: np.random.Generator,
    num_threads: int = 1,
) -> Measures:
    """Return the Measures of cells: `cells` [rows] has the one of each row."""
    some, others = rng.permutation(len(scan))[: 2 * QUERIES].reshape(2, -1)
    rows = directions(scan, some)
    mixed = between(scan, rows, directions(scan, others))
    kinds = [
        _sought(centroids, rows, _best(scan, rows, num_threads, some), cells),
        _sought(centroids, mixed, _best(scan, mixed, num_threads), cells),
    ]
    gap, wide = (max(_reaching(kind.gaps[:, :count]) for kind in kinds) for count in COUNTS)
    of_rows, mixture = (float(np.mean(kind.gaps[:, : COUNTS[0]] <= gap)) for kind in kinds)
    sizes = np.bincount(cells, minlength=len(centroids.codes))
    read = np.mean([(kind.below <= gap) @ sizes for kind in kinds]) / len(scan)
    return Measures(
        gap, max(gap, wide), of_rows, mixture, float(read), unevenness(sizes), len(scan)
    )


def _reaching(gaps: Float32Array) -> float:
    return float(np.quantile(gaps, RECALL, method="higher"))


def unevenness(sizes: Int64Array) -> float:
    """Return the mean size of the cell of a row over that of a cell: 1 where all are as large.

    >>> unevenness(np.array([5, 5])), unevenness(np.array([9, 1]))
    (1.0, 1.64)
    """
    return float(np.square(sizes / sizes.sum()).sum() * len(sizes))


def _best(
    scan: Scan, queries: Float32Array, num_threads: int, own: Int64Array | None = None
) -> Int64Array:
    """Return the best rows of each query, the best first, without the row that is its own."""
    most = min(max(COUNTS), len(scan) - 1)
    found = scan.best_many(list(as_queries(scan, queries)), most + 1, num_threads=num_threads)
    best = np.empty((len(queries), most), np.int64)
    for number, (rows, scores, _) in enumerate(found):
        others = rows != own[number] if own is not None else np.ones(len(rows), np.bool_)
        order = np.argsort(-scores[others], kind="stable")
        best[number] = rows[others][order[:most]]
    return best


def _sought(
    centroids: Centroids, queries: Float32Array, best: Int64Array, cells: Int64Array
) -> _Sought:
    cosines = np.stack([centroids.cosines(query) for query in queries])
    below = cosines.max(axis=1, keepdims=True) - cosines
    return _Sought(np.take_along_axis(below, cells[best], axis=1), below)
