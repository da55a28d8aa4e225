"""Reads column families of bytes as they are now.

Every block is checksummed, and nothing damaged is skipped in silence: every scan asks the
iterator how it ended.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, overload
from weakref import WeakSet

from cgcython.errors import StoreUnavailable
from cgcython.locks import ForkSafeLock
from cgcython.store.keepers.rocksdb import forks
from cgcython.store.keepers.rocksdb.failures import raise_translated, translated

if TYPE_CHECKING:
    from rocksdict import Rdict

Row: TypeAlias = tuple[bytes, bytes]  # key, value


class Tables(ABC):
    """Families of keys and values, in the order of keys; none once they were given back."""

    path: Path
    read_only: bool
    _families: Mapping[str, Any]

    @overload
    @abstractmethod
    def get(self, family: str, key: bytes, where: str | None = None) -> bytes | None: ...
    @overload
    @abstractmethod
    def get(
        self, family: str, key: list[bytes], where: str | None = None
    ) -> list[bytes | None]: ...
    @abstractmethod
    def get(
        self, family: str, key: bytes | list[bytes], where: str | None = None
    ) -> bytes | list[bytes | None] | None:
        """Return the value of a key, or None; for a list of keys, the list of that.

        Raises StorageCorruption of `where`.
        """

    @abstractmethod
    def scan(self, family: str, prefix: bytes = b"", start: bytes = b"") -> Iterator[Row]:
        """Return an iterator over (key, value) in the order of keys.

        Only keys with the prefix and from `start` on are read. It raises StorageCorruption at a
        damaged block, after everything before it.
        """

    @abstractmethod
    def last(self, family: str, upto: bytes | None = None) -> Row | None:
        """Return the last (key, value), given a key the last one up to it, or None."""

    @abstractmethod
    def estimated_keys(self, family: str) -> int:
        """Return about how many keys a family has."""

    @abstractmethod
    def disk_bytes(self) -> int:
        """Return the bytes of the files that keep the families."""

    def has(self, family: str) -> bool:
        """Return whether there is such a family: a store of an earlier format lacks some."""
        self.require_open()
        return family in self._families

    @property
    def is_open(self) -> bool:
        """Whether the files were not given back yet."""
        return not isinstance(self._families, GivenBack)

    def require_open(self) -> None:
        """Raise StoreUnavailable once the files were given back."""
        if isinstance(self._families, GivenBack):
            self._families.refuse()


class GivenBack(dict[str, Any]):
    """No families: looking one up raises StoreUnavailable.

    It takes the place of the families when a store is closed, so that reading them needs no check
    of its own that another thread could make stale.
    """

    def __init__(self, path: Path, reason: str = "it is closed; open it again") -> None:
        super().__init__()
        self._path, self._reason = path, reason

    def refuse(self) -> NoReturn:
        """Raise StoreUnavailable."""
        raise StoreUnavailable(path=self._path, reason=self._reason)

    def __missing__(self, _: str) -> NoReturn:
        self.refuse()

    def __getattr__(self, _: str) -> NoReturn:
        """Stand for an iterator that was taken away too."""
        self.refuse()


class Cursor(forks.Watched):
    """An iterator of RocksDB, which is taken from the children of a fork.

    As long as there is one, RocksDB stays open: nobody keeps `rows` from one use to the next, so
    that closing a database can take it away.
    """

    def __init__(self, family: Rdict, path: Path) -> None:
        self.rows, self.path = family.iter(), path
        forks.watch(self)

    def abandon(self) -> None:
        """Refuse from now on, in the child of a fork."""
        forks.keep(self.rows)
        self.rows = GivenBack(self.path, forks.REFUSAL)  # type: ignore[assignment]  # it refuses

    def close(self) -> None:
        """Refuse from now on."""
        self.rows = GivenBack(self.path)  # type: ignore[assignment]  # as above


class LiveTables(Tables, forks.Watched):
    """Column families by name, each an Rdict: what is read is what was written last."""

    _families: dict[str, Rdict]
    _rdict: Rdict

    def _hold(self, rdict: Rdict, names: Iterable[str]) -> None:
        """Hold an open database, and some of its families."""
        self._rdict = rdict
        if not hasattr(self, "_cursors"):  # a follower goes on with those of its last session
            self._cursors, self._registering = WeakSet[Cursor](), ForkSafeLock()
        self._families = {name: rdict.get_column_family(name) for name in names}
        forks.watch(self)

    def _cursor(self, family: str) -> Cursor:
        """Return a new Cursor of a family, which closing takes away."""
        cursor = Cursor(self._families[family], self.path)
        with self._registering:
            self._cursors.add(cursor)
        if not self.is_open:  # it was closed in between
            cursor.close()
        return cursor

    def _close_cursors(self) -> None:
        with self._registering:
            cursors = list(self._cursors)
        for cursor in cursors:
            cursor.close()

    def abandon(self) -> None:
        """Refuse from now on, in the child of a fork."""
        forks.keep(self._rdict, self._families)
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
        try:  # a context manager would take as long as the reading
            found: bytes | list[bytes | None] | None = self._families[family].get(
                key  # type: ignore[arg-type]  # a list of bytes is also one of bytes and numbers
            )
        except Exception as error:
            raise_translated(error, self.path, where)
        return found

    def scan(self, family: str, prefix: bytes = b"", start: bytes = b"") -> Iterator[Row]:
        """Return an iterator over (key, value) in the order of keys, as they are now."""
        with translated(self.path):
            cursor = self._cursor(family)
            cursor.rows.seek(max(prefix, start))
        return walk(cursor, prefix)

    def last(self, family: str, upto: bytes | None = None) -> Row | None:
        """Return the last (key, value), given a key the last one up to it, or None."""
        with translated(self.path):
            return last_row(self._cursor(family), upto)

    def estimated_keys(self, family: str) -> int:
        """Return about how many keys a family has."""
        with translated(self.path):
            return self._families[family].property_int_value("rocksdb.estimate-num-keys") or 0

    def disk_bytes(self) -> int:
        """Return the bytes of the files of this database."""
        self.require_open()
        with translated(self.path):  # the folder may have been moved away
            return sum(map(_bytes_of, self.path.iterdir()))


def _bytes_of(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:  # a compaction has removed it since it was listed
        return 0


def walk(cursor: Cursor, prefix: bytes) -> Iterator[Row]:
    """Yield the rows from where a cursor stands, as long as they have a prefix."""
    with translated(cursor.path):
        while cursor.rows.valid():
            key = cursor.rows.key()
            if not key.startswith(prefix):
                return
            yield key, cursor.rows.value()
            cursor.rows.next()
        cursor.rows.status()


def last_row(cursor: Cursor, upto: bytes | None) -> Row | None:
    """Return the last row of a cursor, given a key the last one up to it, or None."""
    if upto is None:
        cursor.rows.seek_to_last()
    else:
        cursor.rows.seek_for_prev(upto)
    if cursor.rows.valid():
        return cursor.rows.key(), cursor.rows.value()
    cursor.rows.status()
    return None
