"""Sees to it that one job writes to a folder of shards."""

from __future__ import annotations

import os
import weakref
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cgcython.errors import FileUnavailable, StoreUnavailable

if TYPE_CHECKING:  # imported when first used: it takes as long as a small command
    from filelock import FileLock

LOCK = ".lock"
_TAKEN = "another job is writing to this folder; wait for its end, or choose another folder"


class FolderLock:
    """The right to write shards into a folder, until `release`; a folder is made where none is.

    The lock lies in the folder, so that it is one and the same however the path is spelled. Raises
    StoreUnavailable where another job has it, FileUnavailable where nothing can be written.
    """

    def __init__(self, folder: Path) -> None:
        hold = _Hold(folder)
        self._hold = hold
        weakref.finalize(self, hold.release)  # where Ctrl-C fell before `release`
        try:
            folder.mkdir(parents=True, exist_ok=True)
            hold.take()
        except BaseException as error:
            hold.release()
            if isinstance(error, OSError):
                reason = error.strerror or str(error)
                raise FileUnavailable(path=str(folder), reason=reason) from None
            raise

    def release(self) -> None:
        """Let others write to the folder, which goes where it was made and nothing is in it."""
        self._hold.release()


class _Hold:
    """What is held of a folder: the lock, and those folders that were made for it."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._path = folder, str(folder / LOCK)
        self._lock: FileLock | None = None
        self._made = [str(one) for one in (folder, *folder.parents) if not one.exists()]

    def take(self) -> None:
        import filelock

        lock = filelock.FileLock(self._path, thread_local=False)
        try:
            lock.acquire(blocking=False)
        except filelock.Timeout:
            raise StoreUnavailable(path=self._folder, reason=_TAKEN) from None
        except KeyboardInterrupt:  # the file may be there by now, and who has it removes it
            with suppress(filelock.Timeout):
                lock.acquire(blocking=False)
                self._lock = lock
            raise
        self._lock = lock

    def release(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            # While it is held: who waits for the file that is gone notices, and makes a new one.
            try:  # noqa: SIM105  # no function of Python, at which Ctrl-C could fall
                os.unlink(self._path)
            except OSError:
                pass
            lock.release(force=True)
        made, self._made = self._made, []
        for one in made:
            with suppress(OSError):
                os.rmdir(one)
