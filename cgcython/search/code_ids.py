"""The ids and rows of an index of codes, checked."""

from collections.abc import Sequence
from itertools import pairwise
from operator import index as whole_number
from typing import Any, TypeAlias
from uuid import UUID

import numpy as np

from cgcython.arrays import as_integers
from cgcython.checks import require_items
from cgcython.errors import InvalidInput
from cgcython.search.code_file import Content
from cgcython.tensors import Malformed
from cgcython.types import Array, ArrayLike, Int64Array, UInt8Array

Name: TypeAlias = str | UUID
IndexId: TypeAlias = int | str | UUID
Ids: TypeAlias = ArrayLike | Sequence[IndexId]
SIGNED = np.iinfo(np.int64)
UUID_LENGTH = 36  # of its canonical text


def rows_of(among: Any, content: Content) -> Int64Array:
    """Return the rows of some ids, ascending; ids that are not there have none."""
    if content.ids is not None and content.ids.dtype == object:
        wanted = set(_names(require_items(among, "among", "a collection of ids"), "among"))
        return np.flatnonzero([one in wanted for one in content.ids])
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
    if all(isinstance(one, (int, np.integer)) and _is_index(one) for one in numbers):
        numbers = [one for one in map(whole_number, numbers) if SIGNED.min <= one <= SIGNED.max]
    return as_integers(numbers, "among")


def _is_index(number: int | np.integer[Any]) -> bool:
    return not isinstance(number, np.timedelta64)  # which NumPy calls an integer


def checked_rows(rows: ArrayLike, count: int) -> Int64Array:
    """Return row numbers, all below a count; raises InvalidInput for others."""
    found = as_integers(rows, "rows")
    if found.ndim != 1:
        raise InvalidInput(what="rows", expected="a list of rows", actual=f"shape {found.shape}")
    if found.size and not (found.min() >= 0 and found.max() < count):
        expected, actual = f"0 to {count - 1}", f"{found.min()} to {found.max()}"
        raise InvalidInput(what="rows", expected=expected, actual=actual)
    return found.astype(np.int64)


def checked_ids(ids: Ids, count: int) -> Array:
    """Return `count` ids: numbers as int64, else texts and UUIDs as objects.

    Raises InvalidInput for others.
    """
    if _are_names(ids):
        names = _names(require_items(ids, "ids", "a collection of ids"), "ids")
        if len(names) != count:
            raise InvalidInput(what="ids", expected=f"{count} ids", actual=len(names))
        return _as_objects(names)
    found = as_integers(ids, "ids")  # type: ignore[arg-type]  # else it raises
    if found.shape != (count,):
        actual = f"{found.dtype} {found.shape}"
        raise InvalidInput(what="ids", expected=f"{count} whole numbers", actual=actual)
    if count and int(found.max()) > SIGNED.max:
        raise InvalidInput(what="ids", expected="numbers below 2**63", actual=found.max())
    return found.astype(np.int64)


def joined_ids(known: Array, new: Array) -> Array:
    """Return ids behind others; raises InvalidInput where only some are numbers."""
    if known.dtype != new.dtype:
        expected = "numbers for all rows, or texts and UUIDs for all"
        raise InvalidInput(what="ids", expected=expected, actual="both")
    return np.concatenate([known, new])


def names_to_arrays(ids: Array) -> dict[str, Array]:
    """Return texts and UUIDs as UTF-8 bytes and where each of them ends."""
    texts = [str(one).encode() for one in ids]
    ends = np.cumsum([len(one) for one in texts], dtype=np.int64)
    return {"names": np.frombuffer(b"".join(texts), np.uint8), "name_ends": ends}


def names_of_arrays(names: UInt8Array, ends: Int64Array) -> Array:
    """Return the texts and UUIDs of what `names_to_arrays` returned; raises Malformed."""
    begins = np.concatenate([[0], ends])
    if np.any(np.diff(begins) < 1) or begins[-1] != len(names):
        raise Malformed("its name_ends are not those of its names")
    data = names.tobytes()
    texts = [data[start:stop].decode() for start, stop in pairwise(begins.tolist())]
    found = _as_objects(list(map(_name, texts)))
    return found


def _are_names(ids: Any) -> bool:
    """Return whether ids are texts or UUIDs, as their first one tells."""
    if isinstance(ids, np.ndarray) and ids.dtype.kind in "iu":
        return False
    first = next(iter(ids), None) if isinstance(ids, (list, tuple, np.ndarray)) else None
    return isinstance(first, (str, UUID))


def _names(ids: list[Any], what: str) -> list[Name]:
    for one in ids:
        if not (isinstance(one, UUID) or (isinstance(one, str) and _is_text(one))):
            expected = "texts and UUIDs, or integers"
            raise InvalidInput(what=what, expected=expected, actual=f"{one!r:.60}")
    return [one if isinstance(one, UUID) else _name(one) for one in ids]


def _name(text: str) -> Name:
    """Return the UUID whose canonical text this is, or the text."""
    if len(text) == UUID_LENGTH:
        try:
            found = UUID(text)
        except ValueError:
            return str(text)
        if str(found) == text:
            return found
    return str(text)


def _is_text(text: str) -> bool:
    try:
        return bool(text.encode())
    except UnicodeEncodeError:
        return False


def _as_objects(names: list[Name]) -> Array:
    array = np.empty(len(names), object)
    array[:] = names
    return array
