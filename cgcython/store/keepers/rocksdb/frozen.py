"""Reads column families as they were at one moment."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import overload

from cgcython.errors import StorageCorruption
from cgcython.locks import ForkSafeLock
from cgcython.store.keepers.rocksdb import forks
from cgcython.store.keepers.rocksdb.failures import translated
from cgcython.store.keepers.rocksdb.tables import (
    Cursor,
    GivenBack,
    LiveTables,
    Row,
    Tables,
    last_row,
    walk,
)

_CHUNK = 256


class Frozen(Tables, forks.Watched):
    """The column families of a database as they were at one moment, while others write on.

    Each is an iterator made at that moment, which sees no later write. (Those of rocksdict's own
    Snapshot do see them.) Readers take turns with it. Sizes are those of now.
    """

    read_only = True
    _families: dict[str, Cursor]

    def __init__(self, database: LiveTables, families: dict[str, Cursor]) -> None:
        self.path, self._database, self._families = database.path, database, families
        self._turn = ForkSafeLock()
        forks.watch(self)

    def abandon(self) -> None:
        """Refuse from now on, in the child of a fork."""
        self._families = GivenBack(self.path, forks.REFUSAL)

    @overload
    def get(self, family: str, key: bytes, where: str | None = None) -> bytes | None: ...
    @overload
    def get(
        self, family: str, key: list[bytes], where: str | None = None
    ) -> list[bytes | None]: ...
    def get(
        self, family: str, key: bytes | list[bytes], where: str | None = None
    ) -> bytes | list[bytes | None] | None:
        """Return the value of a key, or None; for a list of keys, the list of that."""
        if isinstance(key, list):
            return [self.get(family, one, where) for one in key]
        with translated(self.path, where), self._turn:
            cursor = self._families[family]
            cursor.rows.seek(key)
            if cursor.rows.valid():
                found: bytes = cursor.rows.value()
                return found if cursor.rows.key() == key else None
            cursor.rows.status()
        return None

    def scan(self, family: str, prefix: bytes = b"", start: bytes = b"") -> Iterator[Row]:
        """Return an iterator over (key, value) in the order of keys; errors as in Tables."""
        self.require_open()
        return self._walk_in_turns(family, prefix, max(prefix, start))

    def _walk_in_turns(self, family: str, prefix: bytes, start: bytes) -> Iterator[Row]:
        families = self._families
        while True:
            rows, damage = self._chunk(family, prefix, start)
            for row in rows:
                if self._families is not families:
                    self.require_open()
                yield row
            if damage is not None:
                raise damage
            if len(rows) < _CHUNK:
                return
            start = rows[-1][0] + b"\0"

    def _chunk(
        self, family: str, prefix: bytes, start: bytes
    ) -> tuple[list[Row], StorageCorruption | None]:
        """Return the next rows, and what ended them, if that was damage."""
        found: list[Row] = []
        try:
            with translated(self.path), self._turn:
                cursor = self._families[family]
                cursor.rows.seek(start)
                found.extend(islice(walk(cursor, prefix), _CHUNK))
        except StorageCorruption as error:
            return found, error
        return found, None

    def last(self, family: str, upto: bytes | None = None) -> Row | None:
        """Return the last (key, value), given a key the last one up to it, or None."""
        with translated(self.path), self._turn:
            return last_row(self._families[family], upto)

    def estimated_keys(self, family: str) -> int:
        """Return about how many keys a family has now."""
        return self._database.estimated_keys(family)

    def disk_bytes(self) -> int:
        """Return the bytes of the files of the database now."""
        return self._database.disk_bytes()

    def close(self) -> None:
        """Let the database forget the moment."""
        self._families = GivenBack(self.path)
