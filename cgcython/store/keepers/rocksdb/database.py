"""RocksDB behind a few calls: this file, `tables`, `settings`, `salvage`, `foreign` know it.

An acknowledged write is in the write-ahead log, handed to the operating system: it survives the
death of the process, and with `sync` that of the machine. The log is recovered in the mode that
raises.
"""

import logging
import os
import tempfile
from contextlib import contextmanager, nullcontext
from pathlib import Path
from weakref import WeakSet

from cgcython.errors import StoreUnavailable
from cgcython.store.keepers.rocksdb import recovery, settings
from cgcython.store.keepers.rocksdb.acknowledged import Acknowledged
from cgcython.store.keepers.rocksdb.read_only_links import linked
from cgcython.store.keepers.rocksdb.tables import Frozen, Tables, raise_error
from cgcython.store.keepers.rocksdb.whole import whole_folder

try:
    import rocksdict
except ImportError:  # an optional extra
    rocksdict = None

FAMILIES = ("records", "sections", "meta")
LATER_FAMILIES = ("journal", "trash")  # of format 2
_LOGGER = logging.getLogger(__name__)


class Database(Tables):
    """Column families of bytes: FAMILIES, and those of LATER_FAMILIES that are there."""

    def __init__(self, path, read_only=False, sync=False, follow=False):
        """Open an existing database; `create` makes one. With `follow`, it catches up when asked.

        Raises StoreUnavailable and StorageCorruption.
        """
        _require_rocksdict(path)
        super().__init__(Path(path), {})
        self.read_only, self._frozen = read_only, WeakSet()
        self._write_options = rocksdict.WriteOptions()
        self._write_options.sync = sync
        with self.errors():
            reach = recovery.reach_of(self.path)
            names = self._names = require_ours(self.path)
        self._own = self._folder_of_its_own(follow)
        self._rdict = self._acknowledged = None
        try:
            with self.errors():
                self._rdict = recovery.recover(self.path, self._open, self._first_log)
                self._resume(reach, sync)
        except BaseException:
            self._abandon()
            raise
        self._families = {name: self._rdict.get_column_family(name) for name in names}
        self._handles = {name: self._rdict.get_column_family_handle(name) for name in names}

    def _folder_of_its_own(self, follow):
        """Return a temporary folder that is gone with the database, or None.

        A follower's has the messages of RocksDB; it is all of the database that a reader opens
        where rocksdict could not write a file.
        """
        self._follow, self._at = follow, self.path
        if follow:
            return tempfile.TemporaryDirectory(prefix="cgcython-follow-")
        if self.read_only and not os.access(self.path, os.W_OK):
            folder = linked(self.path)
            self._at = Path(folder.name)
            return folder

    def _abandon(self):
        if self._rdict is not None:
            self._rdict.close()
        if self._own is not None:
            self._own.cleanup()

    def _open(self, strict, read_only=None, folder=None):
        modes = rocksdict.DBRecoveryMode
        mode = modes.absolute_consistency() if strict else modes.tolerate_corrupted_tail_records()
        read_only = self.read_only if read_only is None else read_only
        with self.errors():
            return _open(folder or self._at, mode, self._access(read_only), self._names)

    def _access(self, read_only):
        access = rocksdict.AccessType
        if self._follow:
            return access.secondary(self._own.name)
        return access.read_only(False) if read_only else access.read_write()

    def _first_log(self, without=()):
        """Return the number of the oldest log that is needed; some are not read for that."""
        with linked(self.path, without) if without else nullcontext(self._at) as folder:
            rdict = self._open(strict=False, read_only=True, folder=folder)
            number = rdict.property_int_value("rocksdb.min-log-number-to-keep")
            rdict.close()
        return number

    def _resume(self, reach, sync):
        """Make sure that nothing acknowledged is missing, and go on noting what is."""
        sequence = self._rdict.latest_sequence_number()
        if reach is not None:
            reach.require_sequence(self.path, sequence)
        if not self.read_only:
            self._acknowledged = Acknowledged(self.path, sequence, sync)

    def write(self, puts=(), deletes=(), ranges=()):
        """Write (family, key, value) and delete (family, key), all or nothing.

        First of all, the `ranges` (family, first, end) lose their keys, `end` not included.
        """
        if self.read_only:
            raise StoreUnavailable(path=self.path, reason="it was opened with read_only=True")
        self._family("records")
        batch = rocksdict.WriteBatch(raw_mode=True)
        for family, first, end in ranges:
            batch.delete_range(first, end, self._handles[family])
        for family, key in deletes:
            batch.delete(key, self._handles[family])
        for family, key, value in puts:
            batch.put(key, value, self._handles[family])
        with self.errors():
            self._rdict.write(batch, self._write_options)
        self._acknowledged.note(self._rdict.latest_sequence_number())

    def add_families(self):
        """Make the families that a store of an earlier format lacks."""
        for name in LATER_FAMILIES:
            if name not in self._families:
                with self.errors():
                    self._families[name] = self._rdict.create_column_family(
                        name, settings.options()
                    )
                self._handles[name] = self._rdict.get_column_family_handle(name)

    def freeze(self):
        """Return the families as they are now; no write may be under way."""
        self.require_open()
        families = {name: family.iter() for name, family in self._families.items()}
        frozen = Frozen(self.path, families)
        self._frozen.add(frozen)
        return frozen

    def catch_up(self):
        """See what another process wrote; iterators and frozen families stay as they are."""
        self.require_open()
        if not self._follow:
            raise StoreUnavailable(
                path=self.path, reason="only one opened with follow=True follows"
            )
        with self.errors():
            self._rdict.try_catch_up_with_primary()

    def compact(self):
        """Rewrite the tables without what was replaced or deleted."""
        if self.read_only:
            raise StoreUnavailable(path=self.path, reason="it was opened with read_only=True")
        self.flush()
        with self.errors():
            for family in self._families.values():
                family.compact_range(None, None)

    def estimated_keys(self, family):
        """Return about how many keys a family has."""
        with self.errors():
            return self._family(family).property_int_value("rocksdb.estimate-num-keys") or 0

    def disk_bytes(self):
        """Return the bytes of the files of this database."""
        return sum(one.stat().st_size for one in self.path.iterdir() if one.is_file())

    def flush(self):
        """Write what is in memory to table files."""
        with self.errors():
            for family in self._families.values():
                family.flush()

    def backup(self, path):
        """Write a copy to a new folder, as it is now, whole or not at all."""
        target = Path(path)
        if target.exists():
            raise StoreUnavailable(path=target, reason="it exists; choose a new folder")
        with whole_folder(target) as partial, self.errors():
            sequence = self._rdict.latest_sequence_number()
            rocksdict.Checkpoint(self._rdict).create_checkpoint(str(partial))
            Acknowledged(partial, sequence, sync=True).close(sequence)

    def close(self):
        """Give the files back; a second call does nothing."""
        for frozen in self._frozen:
            frozen.close()
        families, self._families, self._handles = self._families, {}, {}
        if not families:
            return
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


def exists(path):
    """Return whether a database was created at a path, whatever state it is in."""
    path = Path(path)
    return (path / "CURRENT").exists() or any(path.glob("*.sst")) or any(path.glob("MANIFEST-*"))


def create(path, meta):
    """Make an empty database holding `meta`, whole or not at all."""
    _require_rocksdict(path)
    path = Path(path)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise StoreUnavailable(path=path, reason="it is neither a store nor an empty folder")
    with whole_folder(path) as partial, _creating(path):
        partial.mkdir()
        options = settings.options()
        families = {name: settings.options() for name in (*FAMILIES, *LATER_FAMILIES)}
        for each in (options, *families.values()):
            each.create_if_missing(True)
            each.create_missing_column_families(True)
        rdict = rocksdict.Rdict(str(partial), options, column_families=families)
        family = rdict.get_column_family("meta")
        for key, value in meta.items():
            family[key] = value
        family.flush()
        family.close()
        rdict.close()


@contextmanager
def _creating(path):
    try:
        yield
    except Exception as error:
        raise_error(error, path)


def _require_rocksdict(path):
    if rocksdict is None:
        raise StoreUnavailable(
            path=path, reason="the package rocksdict is missing: pip install cgcython[store]"
        )


def require_ours(path, complete=True):
    """Return the names of the families in a store, or raise; of some, unless `complete`."""
    try:
        found = set(rocksdict.Rdict.list_cf(str(path)))
    except Exception as error:
        raise_error(error, path)
    if complete and not found >= set(FAMILIES):
        raise StoreUnavailable(path=path, reason="it is a RocksDB database, but not a store")
    unknown = found - {"default", *FAMILIES, *LATER_FAMILIES}
    if unknown:
        raise StoreUnavailable(
            path=path,
            reason=f"it has the unknown families {', '.join(sorted(unknown))}; "
            "use the release that wrote it",
        )
    return sorted(found - {"default"})


def _open(path, recovery, access, names):
    options = settings.options(settings.tracking())
    options.set_wal_recovery_mode(recovery)
    return rocksdict.Rdict(
        str(path),
        options,
        column_families={name: settings.options() for name in names},
        access_type=access,
    )
