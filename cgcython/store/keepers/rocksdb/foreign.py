"""A RocksDB that this package did not write, opened for reading with all of its families."""

import logging
from pathlib import Path

from cgcython.errors import StorageCorruption, StoreUnavailable
from cgcython.store.keepers.rocksdb.database import FAMILIES, exists
from cgcython.store.keepers.rocksdb.tables import Tables, raise_error

try:
    import rocksdict
except ImportError:  # an optional extra
    rocksdict = None

_LOGGER = logging.getLogger(__name__)


class Foreign(Tables):
    """The families of any database. Raises StoreUnavailable and StorageCorruption."""

    def __init__(self, path):
        self.names = sorted(list_families(path))
        modes = rocksdict.DBRecoveryMode
        try:
            self._rdict = _open(path, self.names, modes.absolute_consistency())
        except StorageCorruption:
            self._rdict = _open(path, self.names, modes.tolerate_corrupted_tail_records())
            _LOGGER.warning("%s: its log ends in an unfinished write, which is left out", path)
        super().__init__(
            Path(path), {name: self._rdict.get_column_family(name) for name in self.names}
        )

    def holds(self, family):
        """Return whether a family has a key, or damage in its place."""
        try:
            return next(self.scan(family), None) is not None
        except StorageCorruption:
            return True

    def estimated_count(self, family):
        """Return about how many keys a family has."""
        return self._family(family).property_int_value("rocksdb.estimate-num-keys") or 0

    def close(self):
        """Give the files back."""
        for family in self._families.values():
            family.close()
        self._families = {}
        self._rdict.close()


def list_families(path):
    """Return the names of the column families of any database."""
    if rocksdict is None:
        reason = "the package rocksdict is missing: pip install cgcython[store]"
        raise StoreUnavailable(path=path, reason=reason)
    try:
        return set(rocksdict.Rdict.list_cf(str(path)))
    except Exception as error:
        raise_error(error, path)


def is_store(path):
    """Return whether a folder holds a store, and not another database."""
    return exists(path) and list_families(path) >= set(FAMILIES)


def _open(path, names, recovery):
    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(False)
    options.set_paranoid_checks(True)
    options.set_wal_recovery_mode(recovery)
    families = {name: rocksdict.Options(raw_mode=True) for name in names}
    access = rocksdict.AccessType.read_only(False)
    try:
        return rocksdict.Rdict(str(path), options, column_families=families, access_type=access)
    except Exception as error:
        raise_error(error, path, f"database {path}")
