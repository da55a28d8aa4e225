"""Sees to it that one job writes to a folder of shards."""

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
        self._path, self._made = folder / LOCK, [folder, *folder.parents]
        self._made = [one for one in self._made if not one.exists()]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(self._path)
        except BaseException as error:
            self._remove_made()
            if isinstance(error, OSError):
                reason = error.strerror or str(error)
                raise FileUnavailable(path=str(folder), reason=reason) from None
            raise

    def release(self) -> None:
        """Let others write to the folder, which goes where it was made and nothing is in it."""
        if self._lock.is_locked:
            # While it is held: who waits for the file that is gone notices, and makes a new one.
            self._path.unlink(missing_ok=True)
            self._lock.release()
            self._remove_made()

    def _remove_made(self) -> None:
        for one in self._made:
            with suppress(OSError):
                one.rmdir()


def _locked(path: Path) -> "FileLock":
    import filelock

    lock = filelock.FileLock(path, thread_local=False)
    try:
        lock.acquire(blocking=False)
        return lock
    except filelock.Timeout:
        raise StoreUnavailable(path=path.parent, reason=_TAKEN) from None
    except BaseException:  # Ctrl-C, which may come once it is taken
        if lock.is_locked:
            path.unlink(missing_ok=True)
            lock.release()
        raise
