"""Puts a store where a legacy database lies, so that at every moment one of the two is there."""

import ctypes
import fcntl
import os
import time
from contextlib import contextmanager
from pathlib import Path

from cgcython.errors import StoreUnavailable
from cgcython.store.keepers.rocksdb import database
from cgcython.store.keepers.rocksdb.foreign import is_store

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


class InPlace:
    """The places of a migration within one path.

    The store grows in `building`, beside `path`; `finish` exchanges the two, and the legacy
    database becomes `PATH.legacy-` and the time.
    """

    def __init__(self, path):
        self.path = Path(path).resolve()  # the folder itself, where the path is a link to it
        self.building = self.path.with_name(f"{self.path.name}.migrating")

    def is_done(self):
        """Return whether the path is a store, once an interrupted exchange is completed."""
        if not self.path.exists() and is_store(self.building):
            os.rename(self.building, self.path)  # between the two renames of `_exchange`
        if not is_store(self.path):
            return False
        if database.exists(self.building) and not is_store(self.building):
            self._keep_legacy(self.building)
        return True

    @contextmanager
    def locked(self):
        """Keep other processes from writing to the legacy database, as RocksDB would."""
        with open(self.path / "LOCK", "a") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                reason = "another process has it open; close it there before it is migrated"
                raise StoreUnavailable(path=self.path, reason=reason) from None
            yield

    def finish(self):
        """Exchange the finished, closed store and the legacy database; return where that is."""
        _sync(self.building)
        if _exchange(self.building, self.path):
            return self._keep_legacy(self.building)
        kept = self._keep_legacy(self.path)
        os.rename(self.building, self.path)
        _sync(self.path.parent)
        return kept

    def legacy(self):
        """Return the legacy databases that earlier migrations kept, oldest first."""
        return sorted(self.path.parent.glob(f"{self.path.name}.legacy-*"))

    def _keep_legacy(self, path):
        stem = f"{self.path.name}.legacy-{time.strftime('%Y%m%dT%H%M%S')}"
        kept = self.path.with_name(stem)
        if kept.exists():
            raise StoreUnavailable(path=kept, reason="it exists; migrate again in a second")
        os.rename(path, kept)
        _sync(self.path.parent)
        return kept


def _exchange(one, other):
    """Exchange two folders at once; return False where the system has no call for that."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    names = os.fsencode(one), os.fsencode(other)
    if call is None or call(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE):
        return False
    _sync(other.parent)
    return True


def _sync(folder):
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
