"""Turns the errors of RocksDB into StorageCorruption, or StoreUnavailable with a remedy."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from cgcython.errors import StorageCorruption, StoreUnavailable
from cgcython.store.keepers.rocksdb import library
from cgcython.types import StrPath

_FULL = (
    "its disk is full ({message}); free some of it, then close the store and open it again: "
    "what was acknowledged is kept"
)
_FORBIDDEN = "it cannot be written ({message}); open it with read_only=True or make it writable"
ELSEWHERE = "another process has it open; close it there, or open it here with read_only=True"
# In this order: a lock that cannot be opened is held by nobody.
_REMEDIES = {
    "No space left": _FULL,
    "quota exceeded": _FULL,
    "Permission denied": _FORBIDDEN,
    "Read-only file system": _FORBIDDEN,
    "LOCK": ELSEWHERE,
}


@contextmanager
def translated(path: StrPath, where: str | None = None) -> Iterator[None]:
    """Raise StorageCorruption of `where`, or StoreUnavailable, for what RocksDB raises inside."""
    try:
        yield
    except Exception as error:
        raise_translated(error, path, where)


def raise_translated(error: Exception, path: StrPath, where: str | None = None) -> NoReturn:
    """Raise StorageCorruption or StoreUnavailable for an error of RocksDB or of the system.

    Others are raised as they are.
    """
    # rocksdict raises bare Exception, DbClosedError, and OSError for a file of its own.
    known = type(error) is Exception or isinstance(
        error, (OSError, library.rocksdict.DbClosedError)
    )
    if not known:
        raise error
    message = str(error)
    is_missing = "No such file" in message and not _is_elsewhere(error, path)
    if message.startswith("Corruption") or is_missing:
        raise StorageCorruption(where=where or f"store {path}", reason=message) from error
    raise StoreUnavailable(path=path, reason=_with_remedy(message)) from error


def _is_elsewhere(error: Exception, path: StrPath) -> bool:
    """Tell whether the system misses a file that is not the store's, a temporary one perhaps."""
    name = error.filename if isinstance(error, OSError) else None
    if not isinstance(name, str):
        return False
    return Path(path).absolute() not in (Path(name).absolute(), *Path(name).absolute().parents)


def _with_remedy(message: str) -> str:
    for sign, remedy in _REMEDIES.items():
        if sign in message:
            return remedy.format(message=message)
    return message
