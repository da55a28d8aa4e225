"""Decides whether what a store left behind may be opened: killed is fine, cut off is damage.

RocksDB's strict recovery refuses damaged logs, and interrupted last writes with them; its tolerant
one drops those. Neither notices a log that was cut off, or zeros in one. So the batches of all logs
must follow each other (wal.py), and reach as far as was acknowledged (acknowledged.py).
"""

import logging
import mmap
from collections.abc import Collection
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Protocol, TypeAlias

from cgcython.errors import StorageCorruption
from cgcython.store.keepers.rocksdb import wal
from cgcython.store.keepers.rocksdb.acknowledged import Reach, catalogue_of, read_reach

_Logs: TypeAlias = list[tuple[Path, mmap.mmap]]

_LOGGER = logging.getLogger(__name__)


class Opener(Protocol):
    """Opens the database of a folder, and keeps it."""

    def open(self, strict: bool) -> None:
        """Open it in RocksDB's strict recovery, or in its tolerant one."""

    def first_log(self, without: Collection[str] = ()) -> int:
        """Return the number of the oldest log that is needed; some are not read for that."""


def reach_of(path: Path) -> Reach | None:
    """Return the Reach noted in a folder, or None.

    Raises StorageCorruption for a catalogue that is damaged or cut off.
    """
    _require_whole_catalogue(path)
    reach = read_reach(path)
    if reach is not None:
        reach.require_catalogue(path)
    return reach


def _require_whole_catalogue(path: Path) -> None:
    """Raise StorageCorruption for a damaged catalogue, which is framed as a log is.

    RocksDB may loop for ever on one that had bytes put in.
    """
    catalogue = catalogue_of(path)
    content = b"" if catalogue is None else catalogue.read_bytes()
    if wal.damaged_at(content) is not None or wal.unfinished_bytes(content) is None:
        reason = f"its catalogue {catalogue} is damaged"
        raise StorageCorruption(where=f"store {path}", reason=reason)


def recover(path: Path, opener: Opener) -> None:
    """Open a database, when its logs are whole or end in an interrupted write.

    Raises StorageCorruption.
    """
    with ExitStack() as stack:
        logs = [(log, _mapped(log, stack)) for log in _logs(path)]
        _require_whole(path, logs, opener)
        _require_contiguous(path, logs, opener)
        try:
            opener.open(strict=True)
        except StorageCorruption:
            unfinished = _unfinished_bytes([content for _, content in logs])
            if not unfinished:
                raise
            opener.open(strict=False)
            if not _have_grown(logs):  # by a process that writes: then its write is finished
                _LOGGER.warning(
                    "store %s: its log ends in an unfinished write of %d bytes, which is dropped; "
                    "a process that was killed while writing leaves that",
                    path,
                    unfinished,
                )


def _have_grown(logs: _Logs) -> bool:
    return any(log.exists() and log.stat().st_size > len(content) for log, content in logs)


def _logs(path: Path) -> list[Path]:
    """Return the logs that hold something, oldest first."""
    logs = [log for log in Path(path).glob("*.log") if log.stem.isdigit() and log.stat().st_size]
    return sorted(logs, key=_number)


def log_numbers(path: Path) -> list[int]:
    """Return the numbers of the logs in a folder, of those that are empty too."""
    return [_number(log) for log in path.glob("*.log") if log.stem.isdigit()]


def _number(log: Path) -> int:
    return int(log.stem)


def _mapped(log: Path, stack: ExitStack) -> mmap.mmap:
    with open(log, "rb") as file:
        return stack.enter_context(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _require_whole(path: Path, logs: _Logs, opener: Opener) -> None:
    """Raise StorageCorruption for a damaged log that is needed, before RocksDB reads it."""
    damaged = {log: at for log, content in logs if (at := wal.damaged_at(content)) is not None}
    if not damaged:
        return
    with suppress(StorageCorruption):  # then all are needed
        first = opener.first_log([log.name for log in damaged])
        damaged = {log: at for log, at in damaged.items() if _number(log) >= first}
    for log, at in damaged.items():
        reason = f"its log {log.name} is damaged at byte {at} of {log.stat().st_size}"
        raise StorageCorruption(where=f"store {path}", reason=reason)


def _require_contiguous(path: Path, logs: _Logs, opener: Opener) -> None:
    if wal.gap(logs) is None:
        return
    first = opener.first_log()  # older logs may be gone, for they are not needed
    gap = wal.gap([(log, content) for log, content in logs if _number(log) >= first])
    if gap is not None:
        before, after = gap.before.name, gap.after.name
        where = before if before == after else f"{before} and {after}"
        reason = f"{abs(gap.changes)} changes of keys are missing in its log, in {where}"
        raise StorageCorruption(where=f"store {path}", reason=reason)


def _unfinished_bytes(logs: list[mmap.mmap]) -> int:
    """Return the length of the unfinished write that the last log ends in, 0 for damage too."""
    *older, last = [wal.unfinished_bytes(log) for log in logs] or [0]
    return 0 if last is None or any(tail != 0 for tail in older) else last
