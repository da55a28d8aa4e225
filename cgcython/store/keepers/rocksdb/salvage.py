"""Opens what is left of a damaged database."""

from contextlib import suppress
from pathlib import Path

from cgcython.errors import StorageCorruption, StoreUnavailable
from cgcython.store.keepers.rocksdb import settings, wal
from cgcython.store.keepers.rocksdb.database import require_ours
from cgcython.store.keepers.rocksdb.tables import Tables

try:
    import rocksdict
except ImportError:  # an optional extra
    rocksdict = None


def salvage(path, rebuild=False):
    """Return what can be read of a damaged database, as Tables.

    It changes the files: give it a copy. Whatever of the log can be read is read, whatever is
    behind damage too; RocksDB, which may loop for ever on damage, gets a log without it. Where the
    catalogue is of no use, or with `rebuild`, RocksDB makes one of the tables.
    """
    for log in Path(path).glob("*.log"):
        content = log.read_bytes()
        if wal.damaged_at(content) is not None:
            log.write_bytes(wal.without_damage(content))
    if not rebuild:
        with suppress(StorageCorruption, StoreUnavailable):
            return Salvaged(path)
    Path(path, "CURRENT").unlink(missing_ok=True)
    with Tables(path, {}).errors():
        rocksdict.Rdict.repair(str(path), settings.salvaging())
    return Salvaged(path)


class Salvaged(Tables):
    """The column families of a damaged database."""

    read_only = True

    def __init__(self, path):
        super().__init__(Path(path), {})
        names = require_ours(path, complete=False)
        with self.errors():
            families = {name: settings.salvaging() for name in names}
            self._rdict = rocksdict.Rdict(str(path), settings.salvaging(), column_families=families)
        self._families = {name: self._rdict.get_column_family(name) for name in names}
        self.sequence = self._rdict.latest_sequence_number()

    def get(self, family, key, where=None):
        """Return the value of a key, or None, also where the whole family is gone."""
        return super().get(family, key, where) if family in self._families else None

    def scan(self, family, prefix=b"", start=b""):
        """Return an iterator over (key, value); nothing where the whole family is gone."""
        return super().scan(family, prefix, start) if family in self._families else iter(())

    def close(self):
        """Give the files back."""
        for rdict in (*self._families.values(), self._rdict):
            with suppress(Exception):  # they are damaged, and not kept
                rdict.close()
        self._families = {}
