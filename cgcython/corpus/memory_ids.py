"""The ids of a corpus's memories: those of its arrays, or the numbers of its rows."""

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from typing import Any, Protocol, TypeAlias

import numpy as np

from cgcython.arrays import unmasked
from cgcython.corpus.remote.arrays import RemoteArray
from cgcython.corpus.specs import IDS
from cgcython.corpus.table_files import TableColumn
from cgcython.errors import InvalidInput
from cgcython.store.ids import RecordId, StoredId, as_key, id_of
from cgcython.store.key_columns import DATA, OFFSETS, KeyColumn
from cgcython.tensors import ArrayForm, Malformed, require_arrays
from cgcython.types import Array, ArrayLike, LazyArray

NAMESPACE = uuid.UUID("6c7d2b9e-3f0a-5d4e-9c1b-0a5e7f3d2c41")
FIRST_ROWS = (
    1024  # those that tell how a store names rows: an earlier release wrote as many at once
)
_ALLOWED = "UUIDs as u8 [n, 16], text or integers [n]"


def row_id(row: int) -> bytes:
    """Return the key of a memory that came without an id: that of its row number.

    >>> row_id(5).hex()
    '020000000000000005'
    """
    return as_key(row)


def row_uuid(row: int) -> bytes:
    """Return the key that releases up to 0.1 gave such a memory: a UUID of its row number.

    >>> row_uuid(0).hex()
    '42b35afc4ea75cd0bfe294947d0e431d'
    """
    return uuid.uuid5(NAMESPACE, str(row)).bytes


class Known(Protocol):
    """What tells which of some ids it has; a store does."""

    def existing(self, record_ids: Iterable[StoredId], /) -> Set[StoredId]: ...


class Keys(Protocol):
    """The keys of many ids, of which some are read at a time."""

    def __len__(self) -> int: ...
    def __getitem__(self, rows: slice, /) -> list[bytes]: ...


GivenIds: TypeAlias = ArrayLike | Sequence[RecordId] | Keys | RemoteArray | TableColumn


class MemoryIds:
    """The keys of memories, given or made from row numbers; read when they are asked for.

    Unless `unique` is said of them, all are read at once to see that no id comes twice.
    """

    def __init__(self, count: int, given: GivenIds | None = None, *, unique: bool = False) -> None:
        self._given = None if given is None else _keys_of(given)
        self._count = count if self._given is None else len(self._given)
        self._made = row_id
        if self._count < count:
            raise InvalidInput(what=IDS, expected=f"{count} ids", actual=self._count)
        if self._given is not None and not unique:
            _require_unique(self._given)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, rows: slice) -> list[bytes]:
        """Return the keys of a slice of memories."""
        if self._given is not None:
            return self._given[rows]
        return [self._made(row) for row in range(self._count)[rows]]

    def as_known(self, known: Known | Set[StoredId]) -> "MemoryIds":
        """Return these ids; or the UUIDs of row numbers, where one of the first is known.

        What an earlier release wrote goes on with them.
        """
        if self._given is not None:
            return self
        earlier = self.as_uuids()
        first = set(map(id_of, earlier[:FIRST_ROWS]))
        found = first & known if isinstance(known, Set) else known.existing(first)
        return earlier if found else self

    def as_uuids(self) -> "MemoryIds":
        """Return the UUIDs that an earlier release gave to memories without ids."""
        earlier = MemoryIds(self._count)
        earlier._made = row_uuid
        return earlier


def id_arrays(keys: Sequence[bytes]) -> dict[str, Array]:
    """Return keys as arrays that `open_corpus` reads as ids.

    UUIDs are u8 [n, 16] and integers i64 or u64 [n], `ids`. Others are `ids.data` and
    `ids.offsets`, as shards have them.
    """
    column = KeyColumn.of(keys)
    if column.are_uuids:
        return dict(column.arrays(free=False))
    ids: list[StoredId] = list(map(id_of, keys))
    integers = [one for one in ids if isinstance(one, int)]
    for kind in (np.int64, np.uint64) if len(integers) == len(ids) else ():
        if np.iinfo(kind).min <= min(integers) and max(integers) <= np.iinfo(kind).max:
            return {IDS: np.array(integers, kind)}
    return dict(column.arrays(free=True))


def listed_arrays(given: Sequence[RecordId]) -> dict[str, Array]:
    """Return ids of any kinds in a list, of which NumPy would make one kind, as such arrays."""
    return dict(KeyColumn.of(_unique(list(map(as_key, given)))).arrays(free=True))


class _ArrayKeys:
    """The keys of an array of UUIDs, text or integers, wherever it lies."""

    def __init__(self, array: Array | LazyArray) -> None:
        self.array = array
        _require_ids(array)

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, rows: slice) -> list[bytes]:
        return array_keys(np.asarray(self.array[rows]))


class _ColumnKeys:
    """The keys of a column of a table in a file."""

    def __init__(self, column: TableColumn) -> None:
        self._column = column

    def __len__(self) -> int:
        return len(self._column)

    def __getitem__(self, rows: slice) -> list[bytes]:
        return list(map(as_key, self._column[rows]))


class _ListedKeys:
    """The keys in the arrays `ids.data` and `ids.offsets`, wherever they lie."""

    def __init__(self, parts: Mapping[str | int, Any]) -> None:
        self._arrays = {f"{IDS}.{part}": array for part, array in parts.items()}
        with _told():
            names = ", ".join(self._arrays)
            if self._arrays.keys() != {DATA, OFFSETS} or not len(self._arrays[OFFSETS]):
                raise Malformed(f"arrays {names} of no use")
            require_arrays({one: array[:1] for one, array in self._arrays.items()}, _FORMS)

    def __len__(self) -> int:
        return len(self._arrays[OFFSETS]) - 1

    def __getitem__(self, rows: slice) -> list[bytes]:
        start, stop, _ = rows.indices(len(self))
        data, offsets = self._arrays[DATA], self._arrays[OFFSETS]
        bounds = np.asarray(offsets[start : max(start, stop) + 1])
        first, last = int(bounds[0]), int(bounds[-1])
        with _told():
            is_begun, is_ended = start > 0 or first == 0, stop < len(self) or last == len(data)
            if not (0 <= first <= last <= len(data) and is_begun and is_ended):
                raise Malformed("its ids do not lie one after the other")
            values = np.asarray(data[first:last])
            return KeyColumn.taken({DATA: values, OFFSETS: bounds - first}).keys()


_FORMS = {DATA: ArrayForm("U8", ("bytes",)), OFFSETS: ArrayForm("I64", ("offsets",))}


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except Malformed as error:
        expected = f"{IDS}, or {DATA} and {OFFSETS} as decode writes them"
        raise InvalidInput(what=IDS, expected=expected, actual=error) from None


def given_ids(parts: Mapping[str | int, Any]) -> Keys:
    """Return the ids of the arrays `ids.data` and `ids.offsets`, by what follows `ids.`.

    Raises InvalidInput.
    """
    return _ListedKeys(parts)


def _keys_of(given: GivenIds) -> Keys:
    if isinstance(given, _ListedKeys):
        return given
    if isinstance(given, (list, tuple)):
        return list(map(as_key, given))
    if isinstance(given, TableColumn):
        return _ColumnKeys(given)
    if isinstance(given, RemoteArray):
        return _ArrayKeys(given)
    return _ArrayKeys(np.asarray(unmasked(given, IDS)))


def _require_unique(keys: Keys) -> None:
    """Raise InvalidInput where an id comes twice; integers and UUIDs are compared as arrays."""
    if isinstance(keys, _ArrayKeys) and keys.array.dtype.kind in "iu":
        twice = _has_equal_rows(np.ascontiguousarray(keys.array))
    else:
        twice = len(set(keys[:])) < len(keys)
    if twice:
        raise InvalidInput(what=IDS, expected="no id twice", actual="duplicates")


def _has_equal_rows(array: Array) -> bool:
    """Return whether two integers, or two UUIDs [n, 16], are equal."""
    words = array.view(np.uint64) if array.ndim == 2 else array[:, None]
    ascending = words[np.lexsort(words.T)]
    return bool(np.any(np.all(ascending[1:] == ascending[:-1], axis=1)))


def _unique(keys: list[bytes]) -> list[bytes]:
    if len(set(keys)) < len(keys):
        raise InvalidInput(what=IDS, expected="no id twice", actual="duplicates")
    return keys


def array_keys(array: Array, what: str = IDS) -> list[bytes]:
    """Return the keys of an array of UUIDs, text or integers. Raises InvalidInput."""
    _require_ids(array, what)
    if array.ndim == 2:
        return [row.tobytes() for row in array]
    ids = array.tolist()
    if array.dtype.kind == "S":
        ids = [_text(one) for one in ids]
    return [as_key(one) for one in ids]


def _require_ids(array: Array | LazyArray, what: str = IDS) -> None:
    if array.dtype == np.uint8 and array.shape[1:] == (16,):
        return
    if array.ndim != 1 or array.dtype.kind not in "USTOiu":
        raise InvalidInput(what=what, expected=_ALLOWED, actual=f"{array.dtype} {array.shape}")


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise InvalidInput(what=IDS, expected="text in UTF-8", actual=repr(data)) from None
