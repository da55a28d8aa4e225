"""Opens what is left of a damaged database, and says what of it is missing.

The damaged files are only read: RocksDB opens a copy.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TypeAlias, overload

from cgcython.errors import StorageCorruption, StoreUnavailable
from cgcython.manifest import MAGIC
from cgcython.store.ids import is_key
from cgcython.store.keepers.rocksdb import acknowledged, forks, library, recovery, settings, wal
from cgcython.store.keepers.rocksdb.failures import translated
from cgcython.store.keepers.rocksdb.layout import COPIES, require_ours
from cgcython.store.keepers.rocksdb.tables import GivenBack, LiveTables, Row

Changes: TypeAlias = dict[bytes, bytes | None]  # values by key, None for what was deleted
_LINKED = ".sst"  # table files, which RocksDB never changes
_TIME_BYTES = 8  # what stands before a record in the trash


class LastChanges(NamedTuple):
    """What the logs did last to the manifests of records, and to the trash."""

    records: Changes
    trash: Changes


def salvage(path: Path, copy: Path) -> "Salvaged":
    """Return what can be read of a damaged database, of which a copy is made.

    Whatever of the log can be read is read, whatever is behind damage too; RocksDB, which may loop
    for ever on damage, gets logs without it. Where the catalogue is of no use, or lists fewer
    tables than it did, RocksDB makes one of the tables.
    """
    forks.will_write(path)
    _copy(path, copy)
    for log in _logs(copy):
        content = log.read_bytes()
        if wal.damaged_at(content) is not None:
            log.write_bytes(wal.without_damage(content))
    if not _is_cut_off(path):
        with suppress(StorageCorruption, StoreUnavailable):
            return Salvaged(path, copy)
    (copy / "CURRENT").unlink(missing_ok=True)
    with translated(path):
        library.rocksdict.Rdict.repair(str(copy), settings.salvaging())
    return Salvaged(path, copy)


class Salvaged(LiveTables):
    """The column families of a damaged database, and what its logs tell beside them."""

    read_only = True

    def __init__(self, damaged: Path, copy: Path) -> None:
        self.path, self._damaged = copy, damaged
        names = require_ours(copy, complete=False)
        with translated(copy):
            families = {name: settings.salvaging() for name in names}
            rdict = library.rocksdict.Rdict(
                str(copy), settings.salvaging(), column_families=families
            )
        self._hold(rdict, [*names, COPIES])
        self._sequence = rdict.latest_sequence_number()

    @overload
    def get(self, family: str, key: bytes, where: str | None = None) -> bytes | None: ...
    @overload
    def get(
        self, family: str, key: list[bytes], where: str | None = None
    ) -> list[bytes | None]: ...
    def get(
        self, family: str, key: bytes | list[bytes], where: str | None = None
    ) -> bytes | list[bytes | None] | None:
        """Return the value of a key, or None, also where the whole family is gone."""
        if family in self._families:
            return super().get(family, key, where)
        return None if isinstance(key, bytes) else [None] * len(key)

    def scan(self, family: str, prefix: bytes = b"", start: bytes = b"") -> Iterator[Row]:
        """Return an iterator over (key, value); nothing where the whole family is gone."""
        return super().scan(family, prefix, start) if family in self._families else iter(())

    def last_changes(self) -> LastChanges:
        """Return what the logs did last; damaged changes count: a record is not as before one."""
        return _last_changes([log.read_bytes() for log in _logs(self._damaged)])

    def missing_changes(self) -> list[str]:
        """Return sentences about acknowledged changes that cannot be told any more."""
        logs = [(log, log.read_bytes()) for log in _logs(self._damaged)]
        reached = max([self._sequence, *(wal.last_sequence(log) for _, log in logs)])
        found = []
        with suppress(StorageCorruption):  # a note of a later version
            reach = acknowledged.read_reach(self._damaged)
            if reach is not None and reached < reach.sequence:
                found.append(
                    f"the last {reach.sequence - reached} acknowledged changes of keys; the "
                    "records they were about, which cannot be told, are as they were before"
                )
        gap = wal.gap(logs)
        if gap is not None and gap.changes > 0:
            found.append(
                f"{gap.changes} changes of keys in {gap.before.name} and {gap.after.name}; the "
                "records they were about, which cannot be told, may be as they were before"
            )
        return found

    def close(self) -> None:
        """Give the files back."""
        if not self.is_open:
            return
        self._close_cursors()
        for rdict in (*self._families.values(), self._rdict):
            with suppress(Exception):  # they are damaged, and not kept
                rdict.close()
        self._families = GivenBack(self.path)


def _copy(path: Path, copy: Path) -> None:
    """Copy the files of a database; tables are linked where that is possible."""
    copy.mkdir()
    for one in path.iterdir():
        if not one.is_file() or one.name in ("LOCK", acknowledged.NAME):
            continue
        try:
            if one.suffix != _LINKED:
                raise OSError
            os.link(one, copy / one.name)
        except OSError:
            shutil.copyfile(one, copy / one.name)


def _is_cut_off(path: Path) -> bool:
    """Return whether the catalogue lists fewer tables than it did."""
    try:
        recovery.reach_of(path)
    except StorageCorruption:
        return True
    return False


def _logs(path: Path) -> list[Path]:
    return sorted(path.glob("*.log"), key=lambda log: int(log.stem))


def _last_changes(logs: list[bytes]) -> LastChanges:
    """Return what logs did last, told by the first bytes of what they wrote.

    The trash is read here as well because a catalogue that RocksDB made anew lacks families
    without tables.
    """
    found, families = LastChanges({}, {}), dict[int, int]()
    for log in logs:
        for family, key, value in wal.changes(log):
            if not is_key(key):
                continue
            for changes, start in ((found.records, 0), (found.trash, _TIME_BYTES)):
                if value is None and families.get(start) == family:
                    changes[key] = None
                elif value is not None and value[start : start + len(MAGIC)] == MAGIC:
                    families[start] = family
                    changes[key] = value
    return found
