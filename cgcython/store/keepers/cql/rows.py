"""Reads the rows of records by their keys: a request for some keys of a bucket."""

from collections.abc import Sequence
from zlib import crc32

from cgcython.errors import StorageCorruption
from cgcython.store.keeper import Numbers, Read, Record
from cgcython.store.keepers.cql.connection import Connection, Row
from cgcython.store.keepers.cql.layout import RECORDS, column
from cgcython.store.keepers.cql.layout import numbers as columns_of

_AT_MOST = 32  # keys of a request
_MOST_WRITTEN = 1 << 17
_WHERE = f"FROM {RECORDS} WHERE tenant = ? AND bucket = ?"


class RowReader:
    """Reads records of a tenant by key."""

    def __init__(self, connection: Connection, buckets: int) -> None:
        self._connection, self._buckets = connection, buckets
        self._tenant, self._numbers = connection.address.tenant, columns_of(connection)
        self._written: dict[bytes, int] = {}  # when heads that were read lately were written

    def bucket(self, key: bytes) -> int:
        """Return the bucket of a key."""
        return crc32(key) % self._buckets

    def heads(self, keys: Sequence[bytes]) -> list[Read | None]:
        """Return the head of each key, None where there is no record."""
        rows = self._by_key(keys, ["head", "writetime(head)"])
        if len(self._written) > _MOST_WRITTEN:
            self._written.clear()
        self._written.update((key, (rows[key][2] or 0) if key in rows else 0) for key in keys)
        return [rows[key][1] or None if key in rows else None for key in keys]

    def records(
        self, keys: Sequence[bytes], numbers: Numbers | None = None
    ) -> list[Record | StorageCorruption | None]:
        """Return the record of each key, None where there is none."""
        parts = self._numbers if numbers is None else [n for n in self._numbers if n in numbers]
        rows = self._by_key(keys, ["head", *map(column, parts)])
        found = {key: record_of(row[1:], parts) for key, row in rows.items()}
        there = {key: one for key, one in found.items() if one.head is not None or one.sections}
        return [there.get(key) for key in keys]

    def gone(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return what the trash keeps under each key."""
        rows = self._by_key(keys, ["gone"])
        return [rows[key][1] if key in rows else None for key in keys]

    def _by_key(self, keys: Sequence[bytes], columns: Sequence[str]) -> dict[bytes, Row]:
        """Return the row of each key that has one: the key, and columns."""
        statement = f"SELECT id, {', '.join(columns)} {_WHERE} AND id IN ?"
        buckets: dict[int, list[bytes]] = {}
        for key in dict.fromkeys(keys):
            buckets.setdefault(self.bucket(key), []).append(key)
        values = [
            [self._tenant, bucket, some]
            for bucket, found in buckets.items()
            for some in (found[at : at + _AT_MOST] for at in range(0, len(found), _AT_MOST))
        ]
        return {row[0]: row for rows in self._connection.run_all(statement, values) for row in rows}


def record_of(row: Row, numbers: Sequence[int]) -> Record:
    """Return the record of a row of a head and the sections of some embedders."""
    sections = {number: section for number, section in zip(numbers, row[1:]) if section}
    return Record(row[0] or None, sections)
