"""Makes the database of a new store, in a folder that is there and empty, or in a new one.

A folder that is there stays the one it is: it may be a mount point, the place a link leads to, or
somebody's current folder. So the files are made in their place, and until all of them are there a
file `UNFINISHED` says so: whoever finds it and gets the right to write begins anew.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from cgcython.errors import StoreUnavailable
from cgcython.store.keepers.rocksdb import forks, library, ownership, settings
from cgcython.store.keepers.rocksdb.failures import translated
from cgcython.store.keepers.rocksdb.layout import FAMILIES, LATER_FAMILIES, UNFINISHED, exists
from cgcython.store.keepers.rocksdb.library import real_path, require_library
from cgcython.types import StrPath

_MADE = (
    *("CURRENT", "IDENTITY", "LOCK", "LOG*", "MANIFEST-*", "OPTIONS-*", "*.dbtmp", "*.log"),
    *("*.sst", "rocksdict-config.json", UNFINISHED),
)
_NO_FILES = {ownership.NAME, "lost+found"}  # the latter is of the file system's making


def create(path: StrPath, meta: Mapping[bytes, bytes]) -> None:
    """Make an empty database holding `meta`, whole or not at all.

    Does nothing where another process was faster. Raises StoreUnavailable.
    """
    require_library(path)
    forks.will_write(path)
    folder = real_path(path)
    _require_room(folder)
    with _made(folder), ownership.Ownership(folder), _cleared(folder), translated(folder):
        if not exists(folder):
            (folder / UNFINISHED).touch()
            _make(folder, meta)
            (folder / UNFINISHED).unlink()


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """Make a folder where none is, and those above it; where something is raised, remove them."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException as error:
        _remove_lock(folder)
        for one in missing:
            with suppress(OSError):  # not there yet, or another process uses it
                one.rmdir()
        if isinstance(error, OSError):
            reason = f"it cannot be created: {error}; choose another folder"
            raise StoreUnavailable(path=folder, reason=reason) from error
        raise


def _remove_lock(folder: Path) -> None:
    """Remove the file of the lock from a folder without a store, unless another one has it."""
    with suppress(OSError, StoreUnavailable), ownership.Ownership(folder):
        if not exists(folder) and not (folder / UNFINISHED).exists():
            (folder / ownership.NAME).unlink(missing_ok=True)


@contextmanager
def _cleared(folder: Path) -> Iterator[None]:
    """Remove what an earlier attempt left, and what this one leaves where something is raised."""
    try:
        if (folder / UNFINISHED).exists():
            _clear(folder)
        _require_room(folder)  # another process may have come in between
        yield
    except BaseException:
        if not exists(folder):
            _clear(folder)
            (folder / ownership.NAME).unlink(missing_ok=True)
        raise


def _require_room(folder: Path) -> None:
    """Raise StoreUnavailable for what is neither an empty folder, nor a store, nor one begun."""
    if folder.is_dir():
        if exists(folder) or (folder / UNFINISHED).exists():
            return
        if not set(os.listdir(folder)) - _NO_FILES:
            return
    elif not folder.exists():
        return
    raise StoreUnavailable(path=folder, reason="it is neither a store nor an empty folder")


def _clear(folder: Path) -> None:
    for one in sorted({one for pattern in _MADE for one in folder.glob(pattern)}):
        one.unlink(missing_ok=True)  # UNFINISHED, which comes last, says so until then


def _make(folder: Path, meta: Mapping[bytes, bytes]) -> None:
    options = settings.options()
    families = {name: settings.options() for name in (*FAMILIES, *LATER_FAMILIES)}
    for each in (options, *families.values()):
        each.create_if_missing(True)
        each.create_missing_column_families(True)
    rdict = library.rocksdict.Rdict(str(folder), options, column_families=families)
    family = rdict.get_column_family("meta")
    for key, value in meta.items():
        family[key] = value
    family.flush()
    family.close()
    rdict.close()
