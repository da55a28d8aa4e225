"""Reads a database while another process writes to it, whose files may move meanwhile.

A writer makes, renames and removes files, in no order that a reader could rely on. What a reader
cannot read is damaged only where it was the same before and after, and at a second look too.
"""

import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias, TypeVar

from cgcython.errors import StorageCorruption, StoreUnavailable, UnsupportedVersion

PATIENCE_S = 30.0
_PAUSES_S = 0.001, 0.25  # between looks: the first, and the longest
# RocksDB's messages to people, and rocksdict's note of its options: readers write them too.
_OTHERS = ("LOG", "rocksdict-config.json")
_LOGGER = logging.getLogger(__name__)
_Result = TypeVar("_Result")
State: TypeAlias = frozenset[tuple[str, int, int, int]]  # name, inode, bytes and time of each file


def patiently(path: Path, read: Callable[[], _Result]) -> _Result:
    """Return what `read` returns, which is called again where files moved while it failed.

    Raises its StorageCorruption or StoreUnavailable where nothing moved between two looks, and
    StoreUnavailable where the files never stood still.
    """
    until, pause, failed_in = time.monotonic() + PATIENCE_S, _PAUSES_S[0], None
    while True:
        before = state_of(path)
        try:
            return read()
        except UnsupportedVersion:
            raise
        except (StorageCorruption, StoreUnavailable) as error:
            after = state_of(path)
            if after == before == failed_in:
                raise
            if time.monotonic() > until:
                reason = (
                    f"another process changed its files all the time for {PATIENCE_S:.0f} s, "
                    f"and what was read did not fit together ({error.reason}); try again"
                )
                raise StoreUnavailable(path=path, reason=reason) from error
            _LOGGER.debug("store %s: looking again after %s", path, error)
        failed_in = after if after == before else None
        time.sleep(pause)
        pause = min(2 * pause, _PAUSES_S[1])


def state_of(path: Path) -> State:
    """Return what tells whether the files of a database moved."""
    found = set()
    for name in os.listdir(path):
        with suppress(FileNotFoundError):  # removed since it was listed
            about = os.stat(path / name)
            if not name.startswith(_OTHERS):
                found.add((name, about.st_ino, about.st_size, about.st_mtime_ns))
    return frozenset(found)
