"""The best scores of many, found without sorting them all."""

import numpy as np

from cgcython import kernels
from cgcython.types import Array, Int64Array, Keys

UNRANKED = -np.inf  # the score of a row that does not rank
FEW = 1 << 8  # rows that a heap finds faster than a threshold
SOME = 1 << 10  # rows, about, that are looked at to find a few: partitioning them costs little
SAMPLE = 64  # the best so many of a sample tell a threshold; fewer would often miss


def best_rows(scores: Array, k: int) -> Int64Array:
    """Return the rows of the k best scores and of all that equal the last of them, in any order.

    >>> best_rows(np.float32([3, 1, 2, 2, -np.inf]), 2)
    array([0, 2, 3])
    """
    if k < FEW and scores.dtype == np.float32:
        return _few_best_rows(scores, k)
    rows = about_best(scores, k, max(SOME, 4 * k))
    if len(rows) <= k:
        return rows
    some = scores[rows]
    best: Int64Array = rows[some >= np.partition(some, -k)[-k]]
    return best


def _few_best_rows(scores: Array, k: int) -> Int64Array:
    count = min(k + 1, len(scores))
    rows, best = np.empty(count, np.int64), np.empty(count, np.float32)
    kernels.dense.top_k(scores, rows, best)
    if count > k and best[k] == best[k - 1] > UNRANKED:  # more may equal the last
        return _rows_from(scores, best[k - 1])
    return rows[:k] if count and best[-1] > UNRANKED else rows[:k][best[:k] > UNRANKED]


def about_best(scores: Array, least: int, wanted: int) -> Int64Array:
    """Return the rows that rank, or about `wanted` of the best: `least` or more, and all ties."""
    if len(scores) <= 4 * wanted:
        return _rows_from(scores, UNRANKED)
    some = scores[:: wanted // SAMPLE]  # their 64th best is about the best `wanted` of all
    rows = _rows_from(scores, np.partition(some, -SAMPLE)[-SAMPLE], 4 * wanted)
    if least <= len(rows) < 4 * wanted:
        return rows
    return _rows_from(scores, np.partition(scores, -wanted)[-wanted])


def ordered(keys: Keys, rows: Int64Array, scores: Array) -> Int64Array:
    """Return the order of some rows by their scores, best first, and of equal ones by keys.

    >>> ordered(np.array([b"b", b"-", b"a", b"c"]), np.array([0, 2, 3]), np.float32([1, 1, 2]))
    array([2, 1, 0])
    """
    order: Int64Array = (-scores).argsort(kind="stable")
    found = scores[order]
    if np.count_nonzero(found[1:] == found[:-1]):  # seldom, and keys take a while to sort
        by_key = keys[rows].argsort(kind="stable")
        order = by_key[(-scores[by_key]).argsort(kind="stable")]
    return order


def _rows_from(scores: Array, least: float, most: int | None = None) -> Int64Array:
    """Return the rows that rank with `least` or more; of more than `most`, that many."""
    if scores.dtype != np.float32:
        return ((scores > UNRANKED) & (scores >= least)).nonzero()[0][:most]
    rows = np.empty(len(scores) if most is None else most, np.int64)
    above = float(np.nextafter(np.float32(least), np.float32(UNRANKED)))
    count = kernels.dense.rows_above(scores, above, rows)
    return rows[:count]
