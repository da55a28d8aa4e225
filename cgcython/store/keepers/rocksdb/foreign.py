"""A RocksDB that this package did not write, opened for reading with all of its families."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from cgcython.errors import StorageCorruption, StoreUnavailable
from cgcython.store.keepers.rocksdb import forks, library
from cgcython.store.keepers.rocksdb.failures import translated
from cgcython.store.keepers.rocksdb.layout import exists, list_families
from cgcython.store.keepers.rocksdb.tables import GivenBack, LiveTables
from cgcython.types import StrPath

if TYPE_CHECKING:
    from rocksdict import DBRecoveryMode, Rdict

_LOGGER = logging.getLogger(__name__)


class Foreign(LiveTables):
    """The families of any database. Raises StoreUnavailable and StorageCorruption."""

    read_only = True

    def __init__(self, path: StrPath) -> None:
        self.path = Path(path)
        if not exists(path):
            reason = "there is no RocksDB database; check the path"
            raise StoreUnavailable(path=path, reason=reason)
        self.names = sorted(list_families(path))
        modes = library.rocksdict.DBRecoveryMode
        try:
            rdict = self._open(modes.absolute_consistency())
        except StorageCorruption:
            rdict = self._open(modes.tolerate_corrupted_tail_records())
            _LOGGER.warning("%s: its log ends in an unfinished write, which is left out", path)
        self._hold(rdict, self.names)

    def _open(self, recovery: DBRecoveryMode) -> Rdict:
        forks.will_read()
        options = library.rocksdict.Options(raw_mode=True)
        options.create_if_missing(False)
        options.set_paranoid_checks(True)
        options.set_wal_recovery_mode(recovery)
        families = {name: library.rocksdict.Options(raw_mode=True) for name in self.names}
        access = library.rocksdict.AccessType.read_only(False)
        with translated(self.path, f"database {self.path}"):
            return library.rocksdict.Rdict(
                str(self.path), options, column_families=families, access_type=access
            )

    def holds(self, family: str) -> bool:
        """Return whether a family has a key, or damage in its place."""
        try:
            return next(self.scan(family), None) is not None
        except StorageCorruption:
            return True

    def close(self) -> None:
        """Give the files back."""
        if not self.is_open:
            return
        for family in self._families.values():
            family.close()
        self._families = GivenBack(self.path)
        self._rdict.close()
