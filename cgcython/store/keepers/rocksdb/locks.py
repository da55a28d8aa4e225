"""Keeps other processes from a database, as RocksDB does, without opening it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cgcython.errors import StoreUnavailable


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock by which RocksDB keeps other processes out; raises StoreUnavailable."""
    try:
        file = os.open(path / "LOCK", os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:  # on a medium that nobody can write to
        yield
        return
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        reason = "another process has it open; close it there"
        raise StoreUnavailable(path=path, reason=reason) from None
    finally:
        os.close(file)
