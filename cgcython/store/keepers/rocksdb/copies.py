"""Reads the rows that a store keeps about itself, of which there are two copies, and mends them.

The first is in the family `meta`, the second in COPIES. Damage of one costs nothing: reading takes
the other, and the next process that opens the store to write mends it.
"""

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

from cgcython.errors import StorageCorruption, UnsupportedVersion
from cgcython.store.keeper import Note
from cgcython.store.keepers.rocksdb.database import Database, Put
from cgcython.store.keepers.rocksdb.layout import COPIES
from cgcython.store.keepers.rocksdb.tables import Tables

FAMILIES = ("meta", COPIES)
# Where reading goes on behind a damaged block: the kinds of rows, in the order of their keys.
_STARTS = b"", b"format", b"generations/", b"journal/", b"migration/", b"profile"
_LOGGER = logging.getLogger(__name__)
_Made = TypeVar("_Made")


def read_row(
    files: Tables, key: bytes, parse: Callable[[bytes], _Made], where: str
) -> _Made | None:
    """Return what `parse` makes of the first copy of a row that is whole; None where there is none.

    Where there are copies but none is whole, raises the StorageCorruption of the first.
    """
    damage: StorageCorruption | None = None
    for family in FAMILIES:
        try:
            value = files.get(family, key, where) if files.has(family) else None
            if value is not None:
                return parse(value)
        except UnsupportedVersion:
            raise
        except StorageCorruption as error:
            damage = damage or error
    if damage is not None:
        raise damage
    return None


def both_copies(key: bytes, value: bytes) -> list[Put]:
    """Return what to write to keep a row twice."""
    return [(family, key, value) for family in FAMILIES]


def damaged_copies(files: Tables, rows: Iterable[Note]) -> list[str]:
    """Return the names of the rows of which one copy is damaged and the other whole."""
    found = []
    for row in rows:
        copies = _copies(files, row).values()
        if None in copies and any(copies):
            found.append(row.title)
    return found


def mend(files: Database, rows: Iterable[Note]) -> bool:
    """Write the copies of rows that are missing or damaged, where the other one is whole.

    Where a block of `meta` is damaged and no row is lost with it, the family is made anew; returns
    whether it was.
    """
    whole: dict[bytes, bytes] = {}
    missing: list[Put] = []
    lost = False
    for row in rows:
        copies = _copies(files, row)
        value = next(filter(None, copies.values()), None)
        if value is None:
            lost = lost or bool(copies)
            continue
        whole[row.name] = value
        missing += [(one, row.name, value) for one in FAMILIES if copies.get(one) != value]
    if missing:
        files.write(missing)
    readable, is_whole = _readable(files)
    if is_whole or lost:
        return False
    files.renew("meta", {**readable, **whole})
    _LOGGER.warning("store %s: what it keeps about itself was damaged, and is mended", files.path)
    return True


def _copies(files: Tables, row: Note) -> dict[str, bytes | None]:
    """Return the copies of a row that are there, by family; None for a damaged one."""
    found: dict[str, bytes | None] = {}
    for family in FAMILIES:
        try:
            value = files.get(family, row.name, row.title) if files.has(family) else None
        except StorageCorruption:
            found[family] = None
        else:
            found |= {} if value is None else {family: value}
    if len(found) == len(FAMILIES) and len(set(found.values())) == 1:
        return found
    return {family: value if _is_whole(row, value) else None for family, value in found.items()}


def _is_whole(row: Note, value: bytes | None) -> bool:
    if value is None:
        return False
    try:
        row.parse(value)
    except UnsupportedVersion:  # nothing is wrong with it
        return True
    except StorageCorruption:
        return False
    return True


def _readable(files: Tables) -> tuple[dict[bytes, bytes], bool]:
    """Return the rows of `meta` that can be read, and whether they are all."""
    found: dict[bytes, bytes] = {}
    is_whole = True
    for start in _STARTS:
        try:
            for key, value in files.scan("meta", start=start):
                found[key] = value
        except StorageCorruption:
            is_whole = False
        else:
            break
    return found, is_whole
