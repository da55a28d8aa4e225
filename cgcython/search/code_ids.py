"""The ids and rows of an index of codes, checked."""

from operator import index as whole_number
from typing import Any

import numpy as np

from cgcython.arrays import as_integers
from cgcython.checks import require_items
from cgcython.errors import InvalidInput
from cgcython.search.code_file import Content
from cgcython.types import ArrayLike, Int64Array

SIGNED = np.iinfo(np.int64)


def rows_of(among: Any, content: Content) -> Int64Array:
    """Return the rows of some ids, ascending; ids that are not there have none."""
    ids = np.unique(_as_ids(among))
    if ids.dtype.kind == "u":
        ids = ids[ids <= SIGNED.max]
    ids = ids.astype(np.int64)
    if content.ids is not None:
        return np.flatnonzero(np.isin(content.ids, ids))
    return ids[(ids >= 0) & (ids < content.num_rows)]


def _as_ids(among: Any) -> Int64Array:
    """Return the ids of any collection as an array; what no id can be is left out."""
    if isinstance(among, np.ndarray):
        return as_integers(among, "among")
    numbers = require_items(among, "among", "a collection of ids")
    if all(isinstance(one, (int, np.integer)) for one in numbers):
        numbers = [one for one in map(whole_number, numbers) if SIGNED.min <= one <= SIGNED.max]
    return as_integers(numbers, "among")


def checked_rows(rows: ArrayLike, count: int) -> Int64Array:
    """Return row numbers, all below a count; raises InvalidInput for others."""
    found = as_integers(rows, "rows")
    if found.ndim != 1:
        raise InvalidInput(what="rows", expected="a list of rows", actual=f"shape {found.shape}")
    if found.size and not (found.min() >= 0 and found.max() < count):
        expected, actual = f"0 to {count - 1}", f"{found.min()} to {found.max()}"
        raise InvalidInput(what="rows", expected=expected, actual=actual)
    return found.astype(np.int64)


def checked_ids(ids: ArrayLike, count: int) -> Int64Array:
    """Return `count` ids as int64; raises InvalidInput for others."""
    found = as_integers(ids, "ids")
    if found.shape != (count,):
        actual = f"{found.dtype} {found.shape}"
        raise InvalidInput(what="ids", expected=f"{count} whole numbers", actual=actual)
    if count and int(found.max()) > SIGNED.max:
        raise InvalidInput(what="ids", expected="numbers below 2**63", actual=found.max())
    return found.astype(np.int64)
