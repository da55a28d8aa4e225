"""How far the acknowledged writes of a store reach, in a file beside its log.

A log that was cut off looks like one whose last write was interrupted, and a catalogue (RocksDB's
MANIFEST) that was cut off is one that lists fewer tables: RocksDB opens both. This file tells
them apart: after each write it notes RocksDB's sequence number, which counts changes and never
falls, and how long the catalogue was. Noting costs two microseconds and is handed to the
operating system as the log is; only `close` waits for the disk.

After the death of a process everything noted must be there. After that of the machine, writes
that were not synchronised may be missing, which is told and no damage; the kernel's boot id, noted
too, says which of the two it was.
"""

import logging
import os
import re
import struct
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from cgcython import checksums
from cgcython.checksums import ends_in_own_checksum, with_checksum
from cgcython.errors import StorageCorruption, UnsupportedVersion
from cgcython.store.keepers.rocksdb import wal
from cgcython.system import BINARY, sync_file, write_at_start
from cgcython.types import StrPath

NAME = "ACKNOWLEDGED"
MAGIC, VERSION = b"CGAK", 1
SYNCED, CLOSED = 1, 2  # flags: every write waited for the disk; so did the end of the session
_HEAD, _REST = struct.Struct("<4sB"), struct.Struct("<BQQQ16s")
_BYTES = _HEAD.size + _REST.size + checksums.SIZE
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_LOGGER = logging.getLogger(__name__)


class Reach(NamedTuple):
    """What was noted: the last sequence number, and number and length of the catalogue."""

    flags: int
    sequence: int
    catalogue: int
    catalogue_bytes: int
    boot_id: bytes

    def require_catalogue(self, path: Path) -> None:
        """Raise StorageCorruption for a catalogue that is shorter, or older, than it was."""
        number = _catalogue(path)
        if number is None:
            return  # RocksDB says what is wrong with CURRENT
        found = _catalogue_path(path, number)
        content = found.read_bytes() if found.exists() else b""
        length = len(content) - (wal.unfinished_bytes(content) or 0)
        if number < self.catalogue or (number == self.catalogue and length < self.catalogue_bytes):
            self._missing(
                path,
                f"its catalogue {found.name} has {length} whole bytes, {self.catalogue_bytes} of "
                f"{_catalogue_path(path, self.catalogue).name} were acknowledged",
                certain=self._same_machine(),
            )

    def require_sequence(self, path: Path, sequence: int) -> None:
        """Raise StorageCorruption when changes are missing up to a sequence number."""
        if sequence < self.sequence:
            self._missing(
                path,
                f"the last {self.sequence - sequence} acknowledged changes of keys are missing: "
                "its log, or its catalogue, was cut off or removed",
                certain=self._same_machine() or bool(self.flags & SYNCED),
            )

    def _same_machine(self) -> bool:
        return bool(self.flags & CLOSED) or self.boot_id == _boot_id()

    def _missing(self, path: Path, reason: str, certain: bool) -> None:
        if certain:
            raise StorageCorruption(where=f"store {path}", reason=reason)
        _LOGGER.warning(
            "store %s: %s; the machine stopped since they were written, and they were not "
            'written with durability="sync"',
            path,
            reason,
        )


class Acknowledged:
    """Notes how far the writes of this process reach; `note` after each of them."""

    def __init__(self, path: StrPath, sequence: int, sync: bool) -> None:
        self._path, self._flags = Path(path), SYNCED * sync
        self._number = _catalogue(path) or 0
        self._catalogue: int | None = None
        with suppress(OSError):  # a store of RocksDB's own making may lack them
            self._catalogue = os.open(_catalogue_path(path, self._number), os.O_RDONLY)
        self._file = os.open(self._path / NAME, os.O_RDWR | os.O_CREAT | BINARY, 0o666)
        self._boot_id = _boot_id()
        self.note(sequence)

    def note(self, sequence: int, flags: int = 0) -> None:
        """Note a sequence number that was acknowledged."""
        length = os.fstat(self._catalogue).st_size if self._catalogue is not None else 0
        fields = self._flags | flags, sequence, self._number, length, self._boot_id
        body = _HEAD.pack(MAGIC, VERSION) + _REST.pack(*fields)
        with suppress(OSError):  # the write itself is safe; what was noted before still holds
            write_at_start(self._file, with_checksum(body))

    def close(self, sequence: int, clean: bool = True) -> None:
        """Note the end of the session, clean when it wrote its tables, and wait for the disk."""
        self.note(sequence, CLOSED * clean)
        with suppress(OSError):
            sync_file(self._file)
        for one in (self._file, self._catalogue):
            if one is not None:
                os.close(one)


def read_reach(path: StrPath) -> Reach | None:
    """Return the Reach that was noted in a folder, or None where nothing was, or nothing sound.

    Raises UnsupportedVersion.
    """
    path = Path(path) / NAME
    for _ in range(3):  # a process that is writing may be in the middle of it
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        if len(data) == _BYTES and ends_in_own_checksum(data):
            magic, version = _HEAD.unpack_from(data)
            if magic == MAGIC and version != VERSION:
                reason = f"it has version {version}, this release reads {VERSION}"
                raise UnsupportedVersion(where=str(path), reason=reason)
            return Reach(*_REST.unpack_from(data, _HEAD.size))
    _LOGGER.warning("%s is damaged: whether writes are missing cannot be told this time", path)
    return None


def _catalogue(path: StrPath) -> int | None:
    """Return the number of the catalogue that CURRENT names, or None."""
    try:
        found = re.fullmatch(rb"MANIFEST-(\d+)\n", (Path(path) / "CURRENT").read_bytes())
    except OSError:
        return None
    return None if found is None else int(found[1])


def catalogue_of(path: Path) -> Path | None:
    """Return the catalogue that CURRENT names, or None where there is none of this name."""
    number = _catalogue(path)
    found = None if number is None else _catalogue_path(path, number)
    return found if found is not None and found.is_file() else None


def _catalogue_path(path: StrPath, number: int) -> Path:
    return Path(path) / f"MANIFEST-{number:06}"


def _boot_id() -> bytes:
    try:
        return UUID(_BOOT_ID.read_text(encoding="ascii").strip()).bytes
    except (OSError, ValueError):  # another system: a machine that never stops
        return bytes(16)
