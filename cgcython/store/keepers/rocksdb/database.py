"""Opens the database of a store, and writes to it.

An acknowledged write is in the write-ahead log, handed to the operating system: it survives the
death of the process, and with `sync` that of the machine. The log is recovered in the mode that
raises.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Collection, Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from weakref import WeakSet

from cgcython.errors import StoreUnavailable
from cgcython.folders import whole_folder
from cgcython.store.keepers.rocksdb import recovery, settings
from cgcython.store.keepers.rocksdb.acknowledged import Acknowledged, Reach
from cgcython.store.keepers.rocksdb.failures import translated
from cgcython.store.keepers.rocksdb.frozen import Frozen
from cgcython.store.keepers.rocksdb.layout import LATER_FAMILIES, require_ours
from cgcython.store.keepers.rocksdb.library import require_library, rocksdict
from cgcython.store.keepers.rocksdb.read_only_links import linked
from cgcython.store.keepers.rocksdb.tables import GivenBack, LiveTables
from cgcython.types import StrPath

if TYPE_CHECKING:
    from rocksdict import AccessType, Rdict

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

        Raises StoreUnavailable and StorageCorruption.
        """
        require_library(path)
        self.path, self.read_only, self.is_sync = Path(path), read_only, sync
        self.follows, self._frozen = follow, WeakSet[Frozen]()
        self._write_options = rocksdict.WriteOptions()
        self._write_options.sync = sync
        with translated(self.path):
            reach = recovery.reach_of(self.path)
            self._names = require_ours(self.path)
        self._own = self._folder_of_its_own()
        self._acknowledged: Acknowledged | None = None
        try:
            with translated(self.path):
                self._rdict = recovery.recover(self.path, self)
                self._resume(reach, sync)
        except BaseException:
            self._abandon()
            raise
        self._families = {name: self._rdict.get_column_family(name) for name in self._names}
        self._handles = {name: self._rdict.get_column_family_handle(name) for name in self._names}

    def _folder_of_its_own(self) -> tempfile.TemporaryDirectory[str] | None:
        """Return a temporary folder that is gone with the database, or None.

        A follower's has the messages of RocksDB; it is all of the database that a reader opens
        where rocksdict could not write a file.
        """
        self._at = self.path
        if self.follows:
            return tempfile.TemporaryDirectory(prefix="cgcython-follow-")
        if self.read_only and not os.access(self.path, os.W_OK):
            folder = linked(self.path)
            self._at = Path(folder.name)
            return folder
        return None

    def _abandon(self) -> None:
        if hasattr(self, "_rdict"):
            self._rdict.close()
        if self._own is not None:
            self._own.cleanup()

    def open(self, strict: bool) -> Rdict:
        """Open the database in RocksDB's strict recovery, or in its tolerant one."""
        return self._open(strict, self.read_only, self._at)

    def _open(self, strict: bool, read_only: bool, folder: StrPath) -> Rdict:
        modes = rocksdict.DBRecoveryMode
        mode = modes.absolute_consistency() if strict else modes.tolerate_corrupted_tail_records()
        options = settings.options(settings.tracking())
        options.set_wal_recovery_mode(mode)
        with translated(self.path):
            return rocksdict.Rdict(
                str(folder),
                options,
                column_families={name: settings.options() for name in self._names},
                access_type=self._access(read_only),
            )

    def _access(self, read_only: bool) -> AccessType:
        access = rocksdict.AccessType
        if self.follows and self._own is not None:
            return access.secondary(self._own.name)
        return access.read_only(False) if read_only else access.read_write()

    def first_log(self, without: Collection[str] = ()) -> int:
        """Return the number of the oldest log that is needed; some are not read for that."""
        with linked(self.path, without) if without else nullcontext(self._at) as folder:
            rdict = self._open(strict=False, read_only=True, folder=folder)
            number = rdict.property_int_value("rocksdb.min-log-number-to-keep")
            rdict.close()
        return number or 0

    def _resume(self, reach: Reach | None, sync: bool) -> None:
        """Make sure that nothing acknowledged is missing, and go on noting what is."""
        sequence = self._rdict.latest_sequence_number()
        if reach is not None:
            reach.require_sequence(self.path, sequence)
        if not self.read_only:
            self._acknowledged = Acknowledged(self.path, sequence, sync)

    def require_writable(self) -> None:
        """Raise StoreUnavailable for a store that was opened to read, or given back."""
        if self.read_only:
            raise StoreUnavailable(path=self.path, reason="it was opened with read_only=True")
        self.require_open()

    def write(
        self,
        puts: Iterable[Put] = (),
        deletes: Iterable[Delete] = (),
        ranges: Iterable[DeleteRange] = (),
    ) -> None:
        """Write (family, key, value) and delete (family, key), all or nothing.

        First of all, the `ranges` (family, first, end) lose their keys, `end` not included.
        """
        self.require_writable()
        batch = rocksdict.WriteBatch(raw_mode=True)
        for family, first, end in ranges:
            batch.delete_range(first, end, self._handles[family])
        for family, key in deletes:
            batch.delete(key, self._handles[family])
        for family, key, value in puts:
            batch.put(key, value, self._handles[family])
        with translated(self.path):
            self._rdict.write(batch, self._write_options)
        if self._acknowledged is not None:
            self._acknowledged.note(self._rdict.latest_sequence_number())

    def add_families(self) -> None:
        """Make the families that a store of an earlier format lacks."""
        for name in LATER_FAMILIES:
            if name not in self._families:
                with translated(self.path):
                    self._families[name] = self._rdict.create_column_family(
                        name, settings.options()
                    )
                self._handles[name] = self._rdict.get_column_family_handle(name)

    def freeze(self) -> Frozen:
        """Return the families as they are now; no write may be under way."""
        self.require_open()
        frozen = Frozen(self, {name: family.iter() for name, family in self._families.items()})
        self._frozen.add(frozen)
        return frozen

    def catch_up(self) -> None:
        """See what another process wrote; iterators and frozen families stay as they are."""
        self.require_open()
        if not self.follows:
            reason = "only one opened with follow=True follows"
            raise StoreUnavailable(path=self.path, reason=reason)
        with translated(self.path):
            self._rdict.try_catch_up_with_primary()

    def compact(self) -> None:
        """Rewrite the tables without what was replaced or deleted."""
        self.require_writable()
        self.flush()
        with translated(self.path):
            for family in self._families.values():
                family.compact_range(None, None)

    def flush(self) -> None:
        """Write what is in memory to table files."""
        with translated(self.path):
            for family in self._families.values():
                family.flush()

    def backup(self, path: StrPath) -> None:
        """Write a copy to a new folder, as it is now, whole or not at all."""
        self.require_open()
        target = Path(path)
        if target.exists():
            raise StoreUnavailable(path=target, reason="it exists; choose a new folder")
        with whole_folder(target) as partial, translated(self.path):
            sequence = self._rdict.latest_sequence_number()
            rocksdict.Checkpoint(self._rdict).create_checkpoint(str(partial))
            Acknowledged(partial, sequence, sync=True).close(sequence)

    def close(self) -> None:
        """Give the files back; a second call does nothing."""
        for frozen in self._frozen:
            frozen.close()
        if not self.is_open:
            return
        families, gone = self._families, GivenBack(self.path)
        self._families = self._handles = gone
        sequence, failures = self._rdict.latest_sequence_number(), []
        for rdict in (*families.values(), self._rdict):
            try:
                rdict.close()  # writes what is in memory to table files
            except Exception as error:
                failures.append(error)
        if failures:
            reason = "what is in memory could not be written to table files, but is in its log"
            _LOGGER.warning("store %s: %s: %s", self.path, reason, failures[0])
        if self._acknowledged is not None:
            self._acknowledged.close(sequence, clean=not failures)
        if self._own is not None:
            self._own.cleanup()
