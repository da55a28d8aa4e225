"""RocksDB behind a few calls: the only file that knows rocksdict.

An acknowledged write is in the write-ahead log, handed to the operating system: it survives the
death of the process, and with `sync` that of the machine. Every block is checksummed, and nothing
damaged is skipped in silence: the log is recovered in the mode that raises, and every scan asks
the iterator how it ended.
"""

import logging
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

from cgcython.errors import StorageCorruption, StoreUnavailable
from cgcython.store import wal
from cgcython.store.acknowledged import Acknowledged, read_reach

try:
    import rocksdict
except ImportError:  # an optional extra
    rocksdict = None

FAMILIES = ("records", "sections", "meta")
_MIB = 1 << 20
_LOGGER = logging.getLogger(__name__)


class Database:
    """Three column families of bytes: `records`, `sections` and `meta`."""

    def __init__(self, path, read_only=False, sync=False):
        """Open an existing database; `create` makes one.

        Raises StoreUnavailable and StorageCorruption.
        """
        _require_rocksdict(path)
        self.path, self.read_only = Path(path), read_only
        self._write_options = rocksdict.WriteOptions()
        self._write_options.sync = sync
        reach = read_reach(self.path)
        if reach is not None:
            reach.require_catalogue(self.path)
        _require_ours(self.path)
        self._rdict = self._open()
        self._acknowledged = None
        try:
            self._resume(reach, sync)
        except BaseException:
            self._rdict.close()
            raise
        self._families = {name: self._rdict.get_column_family(name) for name in FAMILIES}
        self._handles = {name: self._rdict.get_column_family_handle(name) for name in FAMILIES}

    def _resume(self, reach, sync):
        """Make sure that nothing acknowledged is missing, and go on noting what is."""
        sequence = self._rdict.latest_sequence_number()
        if reach is not None:
            reach.require_sequence(self.path, sequence)
        if not self.read_only:
            self._acknowledged = Acknowledged(self.path, sequence, sync)

    def _open(self):
        modes = rocksdict.DBRecoveryMode
        try:
            with self.errors():
                return _open(self.path, modes.absolute_consistency(), self.read_only)
        except StorageCorruption:
            unfinished = self._unfinished_bytes()
            if not unfinished:
                raise
        with self.errors():
            rdict = _open(self.path, modes.tolerate_corrupted_tail_records(), self.read_only)
        _LOGGER.warning(
            "store %s: its log ends in an unfinished write of %d bytes, which is dropped; "
            "a process that was killed while writing leaves that, and so does a truncated file",
            self.path,
            unfinished,
        )
        return rdict

    def _unfinished_bytes(self):
        *older, last = [
            wal.unfinished_bytes(log.read_bytes())
            for log in sorted(self.path.glob("*.log"))
            if log.stat().st_size
        ] or [0]
        return 0 if any(tail != 0 for tail in older) else last

    @contextmanager
    def errors(self, where=None):
        """Turn what RocksDB raises into StorageCorruption of `where`, or StoreUnavailable."""
        try:
            yield
        except Exception as error:
            _raise(error, self.path, where)

    def get(self, family, key, where=None):
        """Return the value of a key, or None; for a list of keys, the list of that."""
        try:  # the context manager below would take as long as the reading
            return self._family(family).get(key)
        except Exception as error:
            _raise(error, self.path, where)

    def write(self, puts=(), deletes=()):
        """Write (family, key, value) and delete (family, key), all or nothing."""
        if self.read_only:
            raise StoreUnavailable(path=self.path, reason="it was opened with read_only=True")
        self._family("records")
        batch = rocksdict.WriteBatch(raw_mode=True)
        for family, key in deletes:
            batch.delete(key, self._handles[family])
        for family, key, value in puts:
            batch.put(key, value, self._handles[family])
        with self.errors():
            self._rdict.write(batch, self._write_options)
        self._acknowledged.note(self._rdict.latest_sequence_number())

    def scan(self, family, prefix=b""):
        """Return an iterator over (key, value) in the order of keys, as they are now.

        It raises StorageCorruption at a damaged block, after everything before it.
        """
        with self.errors():
            rows = self._family(family).iter()
            rows.seek(prefix)
        return self._walk(rows, prefix)

    def _walk(self, rows, prefix):
        with self.errors():
            while rows.valid():
                key = rows.key()
                if not key.startswith(prefix):
                    return
                yield key, rows.value()
                rows.next()
            rows.status()

    def require_open(self):
        """Raise StoreUnavailable once the files were given back."""
        if not self._families:
            raise StoreUnavailable(path=self.path, reason="it is closed; open it again")

    def _family(self, name):
        self.require_open()
        return self._families[name]

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
        with _whole(target) as partial, self.errors():
            sequence = self._rdict.latest_sequence_number()
            rocksdict.Checkpoint(self._rdict).create_checkpoint(str(partial))
            Acknowledged(partial, sequence, sync=True).close(sequence)

    def close(self):
        """Give the files back; a second call does nothing."""
        families, self._families, self._handles = self._families, {}, {}
        sequence = self._rdict.latest_sequence_number() if families else 0
        for family in families.values():
            family.close()
        if families:
            self._rdict.close()
            if self._acknowledged is not None:
                self._acknowledged.close(sequence)


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
    with _whole(path) as partial, _creating(path):
        partial.mkdir()
        options, families = _options(), {name: _options() for name in FAMILIES}
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
    except OSError as error:
        raise StoreUnavailable(path=path, reason=f"cannot be created: {error}") from error
    except Exception as error:
        _raise(error, path)


@contextmanager
def _whole(path):
    """Yield a folder beside `path` that becomes `path` when nothing was raised."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise StoreUnavailable(path=path, reason=f"cannot be created: {error}") from error
    try:
        yield scratch / "database"
        os.rename(scratch / "database", path)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _require_rocksdict(path):
    if rocksdict is None:
        raise StoreUnavailable(
            path=path, reason="the package rocksdict is missing: pip install cgcython[store]"
        )


def _require_ours(path):
    try:
        found = set(rocksdict.Rdict.list_cf(str(path)))
    except Exception as error:
        _raise(error, path)
    if not found >= set(FAMILIES):
        raise StoreUnavailable(path=path, reason="it is a RocksDB database, but not a store")


def _open(path, recovery, read_only):
    access = rocksdict.AccessType
    options = _options()
    options.set_wal_recovery_mode(recovery)
    return rocksdict.Rdict(
        str(path),
        options,
        column_families={name: _options() for name in FAMILIES},
        access_type=access.read_only(False) if read_only else access.read_write(),
    )


def _options():
    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(False)
    options.set_paranoid_checks(True)
    options.set_compression_type(rocksdict.DBCompressionType.none())  # codes do not compress
    options.set_keep_log_file_num(4)
    table = rocksdict.BlockBasedOptions()
    table.set_bloom_filter(10, False)
    table.set_block_size(16 * 1024)
    table.set_block_cache(rocksdict.Cache(32 * _MIB))
    options.set_block_based_table_factory(table)
    return options


def _raise(error, path, where=None):
    """Raise StorageCorruption or StoreUnavailable for an error of RocksDB, others as they are."""
    # rocksdict raises bare Exception, and DbClosedError.
    if not (type(error) is Exception or isinstance(error, rocksdict.DbClosedError)):
        raise error
    message = str(error)
    if message.startswith("Corruption") or "No such file" in message:
        raise StorageCorruption(where=where or f"store {path}", reason=message) from error
    if "LOCK" in message:
        message = "another process has it open; close it there, or open it here with read_only=True"
    raise StoreUnavailable(path=path, reason=message) from error
