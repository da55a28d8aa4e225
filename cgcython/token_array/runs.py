"""Documents as runs of rows: where each begins, how many it has, which rows they take."""

import numpy as np

from cgcython.arrays import as_integers
from cgcython.errors import InvalidInput
from cgcython.types import ArrayLike, Int64Array


def are_contiguous(starts: Int64Array, counts: Int64Array) -> bool:
    """Return whether each document begins where the one before ends."""
    return bool(np.array_equal(starts[1:], starts[:-1] + counts[:-1]))


def rows_of(starts: Int64Array, counts: Int64Array) -> slice | Int64Array:
    """Return the rows of documents one after the other: a slice where they lie so."""
    if are_contiguous(starts, counts):
        first = int(starts[0]) if len(starts) else 0
        return slice(first, first + int(counts.sum()))
    shifts: Int64Array = np.repeat(starts - (np.cumsum(counts) - counts), counts)
    shifts += np.arange(len(shifts))
    return shifts


def offsets_of(starts: Int64Array, counts: Int64Array) -> Int64Array:
    """Return the bounds of documents that follow each other; raises InvalidInput for others."""
    if not are_contiguous(starts, counts):
        expected = "documents that follow each other, as compact() returns"
        raise InvalidInput(what="tokens", expected=expected, actual="a selection")
    last = starts[-1:] + counts[-1:]
    return np.concatenate([starts, last if len(starts) else [0]]).astype(np.int64)


def checked_ids(ids: ArrayLike, documents: int) -> Int64Array:
    """Return ids of documents, each from 0 on; raises InvalidInput."""
    found = as_integers(ids, "ids")
    if found.ndim != 1:
        raise InvalidInput(what="ids", expected="a list of ids", actual=f"shape {found.shape}")
    outside = (found < 0) | (found >= documents)
    if outside.any():
        actual = int(found[outside][0])
        raise InvalidInput(what="ids", expected=f"0 to {documents - 1}", actual=actual)
    return found.astype(np.int64, copy=False)
