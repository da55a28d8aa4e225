"""Puts a store where a legacy database lies, so that at every moment one of the two is there."""

import ctypes
import os
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path

from cgcython.errors import StoreUnavailable
from cgcython.folders import keep_modes
from cgcython.store.keepers.rocksdb import is_store, locked, real_path
from cgcython.store.opening import has_database
from cgcython.system import sync
from cgcython.types import StrPath

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


class InPlace:
    """The places of a migration within one path.

    The store grows in `building`, beside `path`; `finish` exchanges the two, and the legacy
    database becomes `PATH.legacy-` and the time.
    """

    def __init__(self, path: StrPath) -> None:
        self.path = real_path(path)  # the folder itself, where the path is a link to it
        self.building = self.path.with_name(f"{self.path.name}.migrating")

    def has_database(self) -> bool:
        """Return whether there is a database in one of the two places."""
        return has_database(self.path) or has_database(self.building)

    def is_done(self) -> bool:
        """Return whether the path is a store, once an interrupted exchange is completed."""
        if not self.path.exists() and is_store(self.building):
            os.rename(self.building, self.path)  # between the two renames of `_exchange`
        if not is_store(self.path):
            return False
        if has_database(self.building) and not is_store(self.building):
            self._keep_legacy(self.building)
        return True

    def locked(self) -> AbstractContextManager[None]:
        """Keep other processes from writing to the legacy database; raises StoreUnavailable."""
        return locked(self.path)

    def finish(self) -> Path:
        """Exchange the finished, closed store and the legacy database; return where that is."""
        keep_modes(self.path, self.building)
        sync(self.building)
        if _exchange(self.building, self.path):
            return self._keep_legacy(self.building)
        kept = self._keep_legacy(self.path)
        os.rename(self.building, self.path)
        sync(self.path.parent)
        return kept

    def legacy(self) -> list[Path]:
        """Return the legacy databases that earlier migrations kept, oldest first."""
        return sorted(self.path.parent.glob(f"{self.path.name}.legacy-*"))

    def _keep_legacy(self, path: Path) -> Path:
        stem = f"{self.path.name}.legacy-{time.strftime('%Y%m%dT%H%M%S')}"
        kept = self.path.with_name(stem)
        if kept.exists():
            raise StoreUnavailable(path=kept, reason="it exists; migrate again in a second")
        try:
            os.rename(path, kept)
        except OSError as error:  # a mount point, say
            reason = f"it cannot be moved aside: {error}; choose another --store"
            raise StoreUnavailable(path=path, reason=reason) from error
        sync(self.path.parent)
        return kept


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders at once; return False where the system has no call for that."""
    if not sys.platform.startswith("linux"):
        return False
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    names = os.fsencode(one), os.fsencode(other)
    if call is None or call(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE):
        return False
    sync(other.parent)
    return True
