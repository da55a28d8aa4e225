"""Sees to it that one process, and within it one database, writes to a folder.

RocksDB's own lock does not: it knows a folder by the text of its path, so that a process may open
one twice, and it is a POSIX lock, which is gone once the process closes any descriptor of its file,
as copying the folder does. So a file of ours in the folder is locked by filelock, and a folder is
known by its device and inode. RocksDB's lock is held besides, for programs that know nothing else.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self, TypeAlias
from weakref import WeakValueDictionary

from cgcython.errors import StoreUnavailable
from cgcython.locks import ForkSafeLock
from cgcython.store.keepers.rocksdb import library
from cgcython.store.keepers.rocksdb.failures import ELSEWHERE
from cgcython.system import at_fork, held_folder, lock_posix, refuses_open_files

NAME = "cgcython.lock"
_Identity: TypeAlias = tuple[int, int]  # device and inode
_HERE = "this process already has it open; use that store, or close it first"


class Ownership:
    """The right to write to a folder, until `release`; a context manager.

    Raises StoreUnavailable where another one has it, and OSError where nothing can be written.
    """

    _identity: _Identity = -1, -1  # of no folder, until it is known

    def __init__(self, path: Path) -> None:
        self._folder = held_folder(path)  # no other gets its inode
        try:
            self._lock = library.filelock.FileLock(path / NAME, thread_local=False)
            about = os.stat(path if self._folder is None else self._folder)
            self._identity = about.st_dev, about.st_ino
            self._take(path)
        except BaseException:  # Ctrl-C too, which may come once all is taken
            self._let_go()
            raise

    def _take(self, path: Path) -> None:
        with _GUARD:
            if self._identity in _OWNED:
                raise StoreUnavailable(path=path, reason=_HERE)
            try:
                self._lock.acquire(blocking=False)
            except library.filelock.Timeout:
                raise StoreUnavailable(path=path, reason=ELSEWHERE) from None
            _OWNED[self._identity] = self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Let others write to the folder."""
        with _GUARD:
            if _OWNED.get(self._identity) is self:
                self._let_go()

    def _let_go(self) -> None:
        if _OWNED.get(self._identity) is self:
            del _OWNED[self._identity]
        if hasattr(self, "_lock"):
            self._lock.release()
        if self._folder is not None:
            os.close(self._folder)


@contextmanager
def owned(path: Path) -> Iterator[None]:
    """Keep all others from writing to a database, other programs too; raises StoreUnavailable.

    On a medium that nobody can write to, nothing keeps them out, and nothing has to.
    """
    try:
        ownership = Ownership(path)
    except OSError:
        yield
        return
    with ownership, locked(path):
        yield


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock by which RocksDB keeps other processes out; raises StoreUnavailable."""
    try:
        file = os.open(path / "LOCK", os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:  # on a medium that nobody can write to, or by Windows' kind of lock
        if refuses_open_files() and os.access(path, os.W_OK):
            raise StoreUnavailable(path=path, reason=ELSEWHERE) from None
        yield
        return
    except OSError:
        yield
        return
    try:
        lock_posix(file)
        yield
    except BlockingIOError:
        raise StoreUnavailable(path=path, reason=ELSEWHERE) from None
    finally:
        os.close(file)


_GUARD = ForkSafeLock()
_OWNED: WeakValueDictionary[_Identity, Ownership] = WeakValueDictionary()
at_fork(_OWNED.clear)  # what a parent owns, its child does not
