"""The keeper of a store in a keyspace, which several processes may read and write together."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self, TypeVar

from cgcython.errors import StorageCorruption, StoreUnavailable
from cgcython.store.keeper import Change, Note, Numbers, Outdated, Promises
from cgcython.store.keepers.cache import cache_folder
from cgcython.store.keepers.cql import layout
from cgcython.store.keepers.cql.address import Address
from cgcython.store.keepers.cql.connection import Connection
from cgcython.store.keepers.cql.creation import create, exists, next_writer, read_about, remove
from cgcython.store.keepers.cql.journal import Journal
from cgcython.store.keepers.cql.notes import Notes
from cgcython.store.keepers.cql.opening import is_durable, require_clock
from cgcython.store.keepers.cql.scans import RowScanner
from cgcython.store.keepers.cql.stamps import now_us
from cgcython.store.keepers.cql.writing import RowWriter
from cgcython.store.where.conditions import Condition
from cgcython.types import StrPath

_Made = TypeVar("_Made")


class Keyspace:
    """A Place in a cluster."""

    def __init__(self, url: str) -> None:
        self._url, self.name = url, Address.of(url).place

    def exists(self) -> bool:
        """Return whether there is a store."""
        return exists(self._url)

    def create(self, notes: Mapping[bytes, bytes], numbers: Numbers) -> None:
        """Make an empty store of some embedders, whole or not at all."""
        create(self._url, notes, numbers)

    def remove(self) -> None:
        """Remove the notes of an empty store, and that it is there; the tables stay."""
        remove(self._url)

    def open(self, *, read_only: bool, sync: bool, follow: bool) -> CqlKeeper:
        """Return the Keeper of the store that is there; one that only reads follows others."""
        return CqlKeeper(self._url, read_only=read_only or follow, sync=sync)


class CqlKeeper(RowScanner, RowWriter):
    """A Keeper of a tenant in a keyspace of Cassandra or ScyllaDB."""

    def __init__(
        self,
        url: str,
        *,
        read_only: bool = False,
        sync: bool = False,
        password: str | None = None,
    ) -> None:
        """Open the store of a URL; with `sync`, each write waits for the nodes' disks.

        Raises StoreUnavailable.
        """
        address = Address.of(url, password)
        self.read_only, self._is_sync = read_only, sync
        self._position: int | None = None  # of the moment, in a keeper of one
        if address.only_reads and not read_only:
            reason = (
                f"expected a consistency such as QUORUM to write, got {address.consistency}; "
                "open it with read_only=True"
            )
            raise StoreUnavailable(path=address.place, reason=reason)
        connection = Connection(address)
        try:
            about = read_about(connection)
            require_clock(connection)
            self.promises = Promises(
                whole_calls=False,
                ordered=False,
                frozen=False,
                one_writer=False,
                durable=is_durable(connection, sync),
            )
            writer = None if read_only else next_writer(connection)
            super().__init__(connection, about.buckets, Journal(connection, about.begun), writer)
        except BaseException:
            connection.close()
            raise
        self._notes, self._identity = Notes(connection), about.identity

    @property
    def is_open(self) -> bool:
        """Whether it was not closed yet."""
        return self._connection.is_open

    @property
    def place(self) -> str:
        """The URL, which has no password."""
        return self._connection.address.place

    @property
    def how(self) -> str:
        """How it was opened, as the argument that says so."""
        if self.read_only:
            return "read_only=True"
        return f"durability={'sync' if self._is_sync else 'wal'!r}"

    @property
    def folder(self) -> Path:
        """A folder of the user's cache, of this store alone."""
        return cache_folder(self._identity.hex())

    def require_open(self) -> None:
        """Raise StoreUnavailable once it was closed."""
        self._connection.require_open()

    def require_writable(self) -> None:
        """Raise StoreUnavailable where it was opened to read, or closed."""
        self.require_open()
        if self.read_only:
            raise StoreUnavailable(path=self.place, reason="it was opened with read_only=True")

    def write(
        self, changes: Sequence[Change], expected: Mapping[bytes, bytes | None] | None = None
    ) -> None:
        """Write changes of different records, each whole; raises Outdated.

        What is raised later names the records that are not acknowledged. Notes are compared last:
        who changes them and then reads all records finds these, or they are written again.
        """
        self.require_writable()
        written = {int(number) for one in changes for number in one.sections}
        if new := written - set(self._numbers):
            self.add_embedders({*self._numbers, *new})
        self._write(changes)
        for name, value in (expected or {}).items():
            if self._notes.get(name) != value:
                raise Outdated(f"the note {name!r} is another one by now")

    def purge(self, keys: Sequence[bytes]) -> None:
        """Remove what the trash keeps under some keys, and nothing else."""
        self.require_writable()
        self._purge(keys)

    def note(self, name: bytes, parse: Callable[[bytes], _Made], where: str) -> _Made | None:
        """Return what `parse` makes of a note, None where there is none."""
        try:
            value = self._notes.get(name)
            return None if value is None else parse(value)
        except StorageCorruption as error:
            error.where = where
            raise

    def notes(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield (name, value) of the notes whose names have a prefix, in order."""
        return self._notes.below(prefix)

    def damage(self, notes: Iterable[Note]) -> Iterator[tuple[str, str]]:
        """Yield which notes are damaged, and how: there is one copy on as many nodes."""
        for name, title, parse in notes:
            try:
                self.note(name, parse, title)
            except StorageCorruption as error:
                yield title, f"damaged ({error.reason})"

    def mend(self, notes: Iterable[Note]) -> None:
        """Do nothing: the servers mend what one of them lost."""
        self.require_writable()

    def put_notes(
        self,
        notes: Mapping[bytes, bytes | None],
        expected: Mapping[bytes, bytes | None] | None = None,
    ) -> None:
        """Keep notes, and remove those that are None, by compare-and-set; raises Outdated."""
        self.require_writable()
        self._notes.put(notes, expected or {})

    def add_embedders(self, numbers: Numbers) -> None:
        """Learn which embedders there are, and make columns for those that have none."""
        if not self.read_only:
            layout.add_columns(self._connection, numbers)
        self._numbers = sorted(set(map(int, numbers)))

    def position(self) -> int:
        """Return the time, or that at which the moment began."""
        self.require_open()
        return self._position or max(now_us(), self._stamps.last)

    def changes_since(self, position: int, number: int | None = None) -> list[bytes] | None:
        """Return the sorted keys that changed after a position, None after some days."""
        return self._journal.since(position, number)

    @contextmanager
    def moment(self) -> Iterator[Self]:
        """Yield this keeper, whose position is that of now: what is read may be later."""
        found = copy.copy(self)
        found._position = self.position()
        yield found

    def catch_up(self) -> None:
        """Do nothing: what others write is seen at once."""
        self.require_open()

    def keys_where(self, condition: Condition) -> list[bytes] | None:
        """Return None: the servers do not look into metadata."""
        self.require_open()
        return None

    def compact(self) -> None:
        """Do nothing: the servers compact by themselves."""
        self.require_writable()

    def backup(self, path: StrPath) -> None:
        """Refuse: a cluster has programs for that."""
        self.require_open()
        reason = (
            "a cluster is copied by its own program: nodetool snapshot "
            f"{self._connection.address.keyspace}; or copy the records: cgcython store copy"
        )
        raise StoreUnavailable(path=self.place, reason=reason)

    def close(self) -> None:
        """Leave the cluster; a second call does nothing."""
        self._connection.close()
