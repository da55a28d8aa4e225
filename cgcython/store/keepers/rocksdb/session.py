"""Opens the database of a folder once: to write, to read it as it is now, or to follow a writer."""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from cgcython.errors import StorageCorruption, StoreUnavailable
from cgcython.folders import TemporaryFolder
from cgcython.store.keepers.rocksdb import forks, library, recovery, settings
from cgcython.store.keepers.rocksdb.acknowledged import catalogue_of
from cgcython.store.keepers.rocksdb.failures import translated
from cgcython.store.keepers.rocksdb.layout import require_ours
from cgcython.store.keepers.rocksdb.read_only_links import linked
from cgcython.store.keepers.rocksdb.second_look import state_of

if TYPE_CHECKING:
    from rocksdict import AccessType, Rdict


class Session:
    """An open RocksDB, `rdict`, with the families `names`, that has all that was acknowledged.

    Raises StoreUnavailable and StorageCorruption.
    """

    def __init__(self, path: Path, read_only: bool, follow: bool) -> None:
        self.path, self.read_only, self._follow = path, read_only, follow
        with translated(path):
            reach = recovery.reach_of(path)
            self.names, self._catalogue = require_ours(path), _catalogue(path)
        if read_only and "meta" not in self.names:
            reason = "a repair of its own rows was interrupted; open it once to write"
            raise StoreUnavailable(path=path, reason=reason)
        self._own = self._folder_of_its_own()
        try:
            with translated(path):
                recovery.recover(path, self)
                if reach is not None:
                    reach.require_sequence(path, self.rdict.latest_sequence_number())
        except BaseException:
            self.close()
            raise

    def _folder_of_its_own(self) -> TemporaryFolder | None:
        """Return a temporary folder that is gone with the session, or None.

        A follower's has the messages of RocksDB; it is all of the database that a reader opens
        where rocksdict could not write a file.
        """
        self._at = self.path
        if self._follow:
            return TemporaryFolder("cgcython-follow-")
        if self.read_only and not os.access(self.path, os.W_OK):
            folder = linked(self.path)
            self._at = folder.path
            return folder
        return None

    def open(self, strict: bool) -> None:
        """Open the database in RocksDB's strict recovery, or in its tolerant one."""
        before = _Moment(self.path)
        self.rdict = self._open(strict, self.read_only, self._at)
        if self.read_only:
            before.require_logs(_first_log(self.rdict))

    def first_log(self, without: Collection[str] = ()) -> int:
        """Return the number of the oldest log that is needed; some are not read for that."""
        with linked(self.path, without) if without else nullcontext() as folder:
            rdict = self._open(strict=False, read_only=True, at=folder.path if folder else self._at)
            number = _first_log(rdict)
            rdict.close()
        return number

    def _open(self, strict: bool, read_only: bool, at: Path) -> Rdict:
        forks.will_read() if read_only else forks.will_write(self.path)
        modes = library.rocksdict.DBRecoveryMode
        mode = modes.absolute_consistency() if strict else modes.tolerate_corrupted_tail_records()
        options = settings.options(settings.tracking())
        options.set_wal_recovery_mode(mode)
        options.set_disable_auto_compactions(True)  # of COPIES; others have options of their own
        families = {name: settings.options() for name in self.names}
        access = self._access(read_only)
        with translated(self.path):
            return library.rocksdict.Rdict(
                str(at), options, column_families=families, access_type=access
            )

    def _access(self, read_only: bool) -> AccessType:
        access = library.rocksdict.AccessType
        if self._follow and self._own is not None:
            return access.secondary(str(self._own.path))
        return access.read_only(False) if read_only else access.read_write()

    def catch_up(self) -> bool:
        """See what the writer wrote since, and return whether this session can.

        RocksDB keeps what it read of the logs, and reads it before the tables that the writer made
        of them since: it would find what the tables replace and delete. Only a new session sees
        what is in new tables.
        """
        with translated(self.path):
            if _catalogue(self.path) != self._catalogue:
                return False
            before = _Moment(self.path)
            self.rdict.try_catch_up_with_primary()
            before.require_logs(_first_log(self.rdict))
            return _catalogue(self.path) == self._catalogue

    def close(self) -> None:
        """Give everything back; what is in memory is written to table files."""
        try:
            if hasattr(self, "rdict"):
                self.rdict.close()
        finally:
            if self._own is not None:
                self._own.close()


class _Moment:
    """What the files of a database were before it was read."""

    def __init__(self, path: Path) -> None:
        self._path, self._state, self._logs = path, state_of(path), recovery.log_numbers(path)

    def require_logs(self, needed: int) -> None:
        """Raise StorageCorruption where a log, from the number `needed` on, may not have been read.

        RocksDB reads its catalogue first, which names the oldest log it needs, and then the logs.
        In between a writer may write tables and remove logs, the oldest first: so where that one is
        left now, all were.
        """
        oldest = min((log for log in self._logs if log >= needed), default=needed)
        if oldest not in recovery.log_numbers(self._path) and state_of(self._path) != self._state:
            reason = f"its log {oldest:06} was removed while it was read"
            raise StorageCorruption(where=f"store {self._path}", reason=reason)


def _catalogue(path: Path) -> tuple[Path | None, int]:
    """Return RocksDB's catalogue of a folder and its length, which new tables change."""
    found = catalogue_of(path)
    return found, found.stat().st_size if found is not None else 0


def _first_log(rdict: Rdict) -> int:
    """Return the number of the oldest log that a database needs."""
    return rdict.property_int_value("rocksdb.min-log-number-to-keep") or 0
