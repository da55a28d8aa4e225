"""The database of a store: reads it, writes to it, follows a writer.

An acknowledged write is in the write-ahead log, handed to the operating system: it survives the
death of the process, and with `sync` that of the machine. The log is recovered in the mode that
raises.
"""

import logging
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from weakref import WeakSet

from cgcython.errors import StoreUnavailable
from cgcython.folders import keep_modes, whole_folder
from cgcython.store.keepers.rocksdb import forks, library, settings
from cgcython.store.keepers.rocksdb.acknowledged import Acknowledged
from cgcython.store.keepers.rocksdb.failures import translated
from cgcython.store.keepers.rocksdb.frozen import Frozen
from cgcython.store.keepers.rocksdb.layout import COPIES, LATER_FAMILIES
from cgcython.store.keepers.rocksdb.leaving import close_at_exit
from cgcython.store.keepers.rocksdb.library import real_path, require_library
from cgcython.store.keepers.rocksdb.ownership import Ownership
from cgcython.store.keepers.rocksdb.second_look import patiently
from cgcython.store.keepers.rocksdb.session import Session
from cgcython.store.keepers.rocksdb.tables import GivenBack, LiveTables
from cgcython.types import StrPath

if TYPE_CHECKING:
    from rocksdict import ColumnFamily, Rdict, WriteBatch

LONGEST_S, _PAUSE_S = 600.0, 0.001  # of a wait for a thread that compacts, perhaps
_BORROWED = "Already borrowed"  # as rocksdict says that another thread is inside a call
Put: TypeAlias = tuple[str, bytes, bytes]  # family, key, value
Delete: TypeAlias = tuple[str, bytes]  # family, key
DeleteRange: TypeAlias = tuple[str, bytes, bytes]  # family, first key, end
_LOGGER = logging.getLogger(__name__)


class Database(LiveTables):
    """Column families of bytes: FAMILIES, and those of LATER_FAMILIES that are there."""

    def __init__(
        self, path: StrPath, read_only: bool = False, sync: bool = False, follow: bool = False
    ) -> None:
        """Open an existing database; `create` makes one. With `follow`, it catches up when asked.

        Its `path` is the folder's own, whatever way led there, and stays where it is when the
        process changes its folder. Raises StoreUnavailable and StorageCorruption.
        """
        require_library(path)
        self.path, self.read_only = real_path(path), read_only or follow
        self.is_sync, self.follows = sync, follow
        self._frozen = WeakSet[Frozen]()
        self._write_options = library.rocksdict.WriteOptions()
        self._write_options.sync = sync
        self._ownership: Ownership | None = None
        if self.read_only:
            self._use(patiently(self.path, self._open))
        else:
            self._use(self._own())
        close_at_exit(self)

    def _open(self) -> Session:
        return Session(self.path, self.read_only, self.follows)

    def _use(self, session: Session) -> None:
        self._session, names = session, [*session.names, COPIES]
        self._handles = {name: session.rdict.get_column_family_handle(name) for name in names}
        self._dropped: list[object] = []
        self._hold(session.rdict, names)

    def _own(self) -> Session:
        """Open the database to write, and go on noting what is acknowledged."""
        with translated(self.path):
            self._ownership = Ownership(self.path)
        session = None
        try:
            session = self._open()
            if "meta" not in session.names:
                session.rdict.create_column_family("meta", settings.options())
                session.names.append("meta")
            sequence = session.rdict.latest_sequence_number()
            with translated(self.path):
                self._acknowledged = Acknowledged(self.path, sequence, self.is_sync)
        except BaseException:
            if session is not None:
                session.close()
            self._ownership.release()
            raise
        return session

    def abandon(self) -> None:
        """Refuse from now on, in the child of a fork, which must not give back what is shared."""
        super().abandon()
        forks.keep(self._handles, self._ownership)
        self._handles = GivenBack(self.path, forks.REFUSAL)

    def require_writable(self) -> None:
        """Raise StoreUnavailable for a store that was opened to read, or given back."""
        self.require_open()
        if self.read_only:
            raise StoreUnavailable(path=self.path, reason="it was opened with read_only=True")

    def write(
        self,
        puts: Iterable[Put] = (),
        deletes: Iterable[Delete] = (),
        ranges: Iterable[DeleteRange] = (),
    ) -> None:
        """Write (family, key, value) and delete (family, key), all or nothing.

        First of all, the `ranges` (family, first, end) lose their keys, `end` not included.
        """
        batch = self.new_batch()
        for family, first, end in ranges:
            batch.delete_range(first, end, self._handles[family])
        for family, key in deletes:
            batch.delete(key, self._handles[family])
        for family, key, value in puts:
            batch.put(key, value, self._handles[family])
        self.commit(batch)

    def new_batch(self) -> "WriteBatch":
        """Return an empty batch, which takes keys and values with the `handle` of a family."""
        self.require_writable()
        return library.rocksdict.WriteBatch(raw_mode=True)

    def handle(self, family: str) -> "ColumnFamily":
        """Return what names a family to a batch."""
        return self._handles[family]

    def commit(self, batch: "WriteBatch") -> None:
        """Write a batch, all or nothing."""
        with translated(self.path):
            self._rdict.write(batch, self._write_options)
        self._acknowledged.note(self._rdict.latest_sequence_number())

    def add_families(self, names: Iterable[str] = LATER_FAMILIES) -> None:
        """Make families that are not there, by default those that an earlier format lacks."""
        for name in names:
            if name not in self._families:
                with translated(self.path):
                    self._families[name] = self._rdict.create_column_family(
                        name, settings.options()
                    )
                self._handles[name] = self._rdict.get_column_family_handle(name)

    def renew(self, family: str, rows: Mapping[bytes, bytes]) -> None:
        """Put a new family with some rows in the place of one whose tables are damaged.

        RocksDB would stop all writes once it compacted those. Who does this has rows that must not
        be lost in another family, and nobody else uses the database yet.
        """
        self.require_writable()
        with translated(self.path):
            self._families[COPIES].flush()
            # RocksDB dies now and then where a dropped family is let go while others are in use.
            self._dropped.append((self._families.pop(family), self._handles.pop(family)))
            self._rdict.drop_column_family(family)
        self.add_families([family])
        self.write([(family, key, value) for key, value in rows.items()])

    def freeze(self) -> Frozen:
        """Return the families as they are now; no write may be under way."""
        self.require_open()
        with translated(self.path):
            families = {name: self._cursor(name) for name in self._families}
        frozen = Frozen(self, families)
        self._frozen.add(frozen)
        return frozen

    def catch_up(self) -> None:
        """See what another process wrote; iterators and frozen families stay as they are."""
        self.require_open()
        if not self.follows:
            reason = "only one opened with follow=True follows"
            raise StoreUnavailable(path=self.path, reason=reason)
        patiently(self.path, self._catch_up)

    def _catch_up(self) -> None:
        if not self._session.catch_up():
            # The old one goes when nobody reads from it any more.
            self._use(self._open())

    def compact(self) -> None:
        """Rewrite the tables without what was replaced or deleted."""
        self.require_writable()
        self.flush()
        with translated(self.path):
            for name, family in self._families.items():
                if name != COPIES:  # of which an older table may be damaged
                    family.compact_range(None, None)

    def flush(self) -> None:
        """Write what is in memory to table files."""
        with translated(self.path):
            for family in self._families.values():
                family.flush()

    def backup(self, path: StrPath) -> None:
        """Write a copy to a new folder, as it is now, whole or not at all."""
        self.require_open()
        target = real_path(path)
        if os.path.exists(target):  # unlike Path.exists, not where the name is too long
            raise StoreUnavailable(path=target, reason="it exists; choose a new folder")
        with whole_folder(target) as partial, translated(self.path):
            if self.read_only:
                patiently(self.path, lambda: self._copy_beside_a_writer(partial))
            else:
                _copy(self._rdict, partial)
            keep_modes(self.path, partial)

    def _copy_beside_a_writer(self, target: Path) -> None:
        """Copy the database as it is now; raises StorageCorruption where the writer moved files.

        What a reader has of the log in memory is not in a copy that lacks the log.
        """
        shutil.rmtree(target, ignore_errors=True)  # of an earlier look
        with closing(Session(self.path, read_only=True, follow=False)) as now:
            _copy(now.rdict, target)
        Session(target, read_only=True, follow=False).close()

    def close(self, wait: Callable[[], None] | None = None) -> None:
        """Give the files back; a second call does nothing, nor does one in the child of a fork.

        `wait` is called once all later calls are refused, and before anything is given back.
        """
        if not self.is_open:
            return
        for frozen in self._frozen:
            frozen.close()
        families, gone = self._families, GivenBack(self.path)
        self._families = self._handles = gone
        self._close_cursors()
        if wait is not None:
            wait()
        sequence, failures = self._rdict.latest_sequence_number(), []
        for close in (*(one.close for one in families.values()), self._session.close):
            try:
                _give_back(close)  # writes what is in memory to table files
            except Exception as error:
                failures.append(error)
        self._dropped.clear()
        if failures:
            reason = "what is in memory could not be written to table files, but is in its log"
            _LOGGER.warning("store %s: %s: %s", self.path, reason, failures[0])
        if self._ownership is not None:
            self._acknowledged.close(sequence, clean=not failures)
            self._ownership.release()


def _copy(rdict: "Rdict", target: Path) -> None:
    """Write what a database holds to a folder that is not there, and how far that reaches."""
    with translated(target.parent):
        sequence = rdict.latest_sequence_number()
        library.rocksdict.Checkpoint(rdict).create_checkpoint(str(target))
        Acknowledged(target, sequence, sync=True).close(sequence)


def _give_back(close: Callable[[], None]) -> None:
    """Close an object of rocksdict, once no other thread is inside a call of it."""
    until = time.monotonic() + LONGEST_S
    while True:
        try:
            return close()
        except Exception as error:
            if _BORROWED not in str(error) or time.monotonic() > until:
                raise
            time.sleep(_PAUSE_S)
