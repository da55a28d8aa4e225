"""Reads the records of a store: as they are now, or as they were at one moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from cgcython.errors import StorageCorruption
from cgcython.store.ids import name_of
from cgcython.store.keeper import Numbers, Read, Record
from cgcython.store.keepers.postgres.address import Address
from cgcython.store.keepers.postgres.connections import Link, Row
from cgcython.store.keepers.postgres.layout import Tables, column

_Made = TypeVar("_Made")


class Session(Protocol):
    """What runs a piece of reading over a connection: Connections, or a Moment."""

    address: Address

    @property
    def is_open(self) -> bool: ...

    def require_open(self) -> None: ...

    def read(self, work: Callable[[Link], _Made]) -> _Made: ...


class RowReader:
    """Reads rows of `records` by their keys."""

    def __init__(self, session: Session, tables: Tables, numbers: Sequence[int]) -> None:
        self._session, self._tables = session, tables
        self._numbers = tuple(numbers)  # of the embedders that have columns

    def _rows(self, statement: str, values: Sequence[object]) -> list[Row]:
        return self._session.read(lambda link: link.rows(statement, values))

    def _by_key(self, columns: Sequence[str], keys: Sequence[bytes]) -> dict[bytes, Row | Read]:
        """Return the row of each key that has one, or the damage that keeps it from being read."""
        selected = ", ".join(("id", *columns))
        statement = f"SELECT {selected} FROM {self._tables.records} WHERE id = ANY (%s)"
        try:
            return {row[0]: row for row in self._rows(statement, [list(keys)])}
        except StorageCorruption as error:
            if len(keys) <= 1:
                error.where = f"record {name_of(keys[0])}"
                return {keys[0]: error}
        return {key: row for one in keys for key, row in self._by_key(columns, [one]).items()}

    def heads(self, keys: Sequence[bytes]) -> list[Read | None]:
        """Return the head of each key, None where there is no record."""
        found = self._by_key(["head"], keys)
        return [_second(found.get(key)) for key in keys]

    def gone(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return what the trash keeps under each key."""
        found = self._by_key(["gone"], keys)
        values = [_second(found.get(key)) for key in keys]
        for value in values:
            if isinstance(value, StorageCorruption):
                raise value
        return values  # type: ignore[return-value]  # what is damaged was raised

    def records(
        self, keys: Sequence[bytes], numbers: Numbers | None = None
    ) -> list[Record | StorageCorruption | None]:
        """Return the record of each key, with all of its sections or those of some embedders."""
        wanted = self._wanted(numbers)
        found = self._by_key(["head", *map(column, wanted)], keys)
        return [_record(found.get(key), wanted) for key in keys]

    def _wanted(self, numbers: Numbers | None) -> list[int]:
        return [one for one in self._numbers if numbers is None or one in numbers]

    def last_key(self, upto: bytes) -> bytes | None:
        """Return the last key of a record that is not above another one."""
        statement = (
            f"SELECT id FROM {self._tables.records} WHERE id <= %s AND head IS NOT NULL "
            "ORDER BY id DESC LIMIT 1"
        )
        rows = self._rows(statement, [upto])
        return rows[0][0] if rows else None


def _second(row: Row | Read | None) -> Read | None:
    return row[1] if isinstance(row, tuple) else row


def _record(row: Row | Read | None, numbers: Sequence[int]) -> Record | StorageCorruption | None:
    if not isinstance(row, tuple):
        return row  # type: ignore[return-value]  # damage or None
    found = record_of(row, numbers)
    return found if found.head is not None or found.sections else None


def record_of(row: Row, numbers: Sequence[int]) -> Record:
    """Return the record of a row of key, head and sections, or of its damage in their places."""
    head = row[1]
    if isinstance(head, StorageCorruption):
        return Record(head, {})
    return Record(head, {one: value for one, value in zip(numbers, row[2:]) if value is not None})
