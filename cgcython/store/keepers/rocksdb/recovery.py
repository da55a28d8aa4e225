"""Decides whether what a store left behind may be opened: killed is fine, cut off is damage.

RocksDB's strict recovery refuses damaged logs, and interrupted last writes with them; its tolerant
one drops those. Neither notices a log that was cut off, or zeros in one. So the batches of all logs
must follow each other (wal.py), and reach as far as was acknowledged (acknowledged.py).
"""

import logging
import mmap
from contextlib import ExitStack, suppress
from pathlib import Path

from cgcython.errors import StorageCorruption
from cgcython.store.keepers.rocksdb import wal
from cgcython.store.keepers.rocksdb.acknowledged import read_reach

_LOGGER = logging.getLogger(__name__)


def reach_of(path):
    """Return the Reach noted in a folder, or None; raises StorageCorruption for a cut catalogue."""
    reach = read_reach(path)
    if reach is not None:
        reach.require_catalogue(path)
    return reach


def recover(path, opened, first_log):
    """Return the database that `opened(strict)` opens, when its logs are whole or interrupted.

    `first_log(without)` is the number of the oldest log that is needed, found without reading
    some. Raises StorageCorruption.
    """
    with ExitStack() as stack:
        logs = [(log, _mapped(log, stack)) for log in _logs(path)]
        _require_whole(path, logs, first_log)
        _require_contiguous(path, logs, first_log)
        try:
            return opened(True)
        except StorageCorruption:
            unfinished = _unfinished_bytes([content for _, content in logs])
            if not unfinished:
                raise
            database = opened(False)
            _LOGGER.warning(
                "store %s: its log ends in an unfinished write of %d bytes, which is dropped; "
                "a process that was killed while writing leaves that",
                path,
                unfinished,
            )
    return database


def _logs(path):
    logs = [log for log in Path(path).glob("*.log") if log.stem.isdigit() and log.stat().st_size]
    return sorted(logs, key=_number)


def _number(log):
    return int(log.stem)


def _mapped(log, stack):
    with open(log, "rb") as file:
        return stack.enter_context(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _require_whole(path, logs, first_log):
    """Raise StorageCorruption for a damaged log that is needed, before RocksDB reads it."""
    damaged = {log: at for log, content in logs if (at := wal.damaged_at(content)) is not None}
    if not damaged:
        return
    with suppress(StorageCorruption):  # then all are needed
        first = first_log([log.name for log in damaged])
        damaged = {log: at for log, at in damaged.items() if _number(log) >= first}
    for log, at in damaged.items():
        reason = f"its log {log.name} is damaged at byte {at} of {log.stat().st_size}"
        raise StorageCorruption(where=f"store {path}", reason=reason)


def _require_contiguous(path, logs, first_log):
    if wal.gap(logs) is None:
        return
    first = first_log()  # older logs may be gone, for they are not needed
    gap = wal.gap([(log, content) for log, content in logs if _number(log) >= first])
    if gap is not None:
        before, after, changes = gap
        where = before.name if before == after else f"{before.name} and {after.name}"
        reason = f"{abs(changes)} changes of keys are missing in its log, in {where}"
        raise StorageCorruption(where=f"store {path}", reason=reason)


def _unfinished_bytes(logs):
    *older, last = [wal.unfinished_bytes(log) for log in logs] or [0]
    return 0 if any(tail != 0 for tail in older) else last
