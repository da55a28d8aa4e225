"""A damaged store is worked on beside its place, while no other process has it open."""

import fcntl
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

from cgcython.errors import StoreUnavailable
from cgcython.store.keepers.rocksdb import acknowledged


def copied(path, copy):
    """Copy the files of a database; tables, which RocksDB never changes, are linked if possible."""
    copy.mkdir()
    for one in path.iterdir():
        if not one.is_file() or one.name in ("LOCK", acknowledged.NAME):
            continue
        try:
            if one.suffix != ".sst":
                raise OSError
            os.link(one, copy / one.name)
        except OSError:
            shutil.copyfile(one, copy / one.name)
    return copy


@contextmanager
def scratch(target):
    """Yield a folder beside `target` that is gone afterwards."""
    try:
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.repair.", dir=target.parent))
    except OSError as error:
        reason = f"cannot write beside it: {error}; choose another place (out=, --out)"
        raise StoreUnavailable(path=target, reason=reason) from error
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def locked(path):
    """Hold the lock by which RocksDB keeps other processes out."""
    try:
        file = os.open(path / "LOCK", os.O_RDWR)
    except OSError:  # gone, or on a medium that nobody can write to
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
