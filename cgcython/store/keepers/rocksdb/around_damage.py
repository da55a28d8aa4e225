"""Finds the records of a store whose tables are damaged in places.

A damaged block ends a scan, but its keys are known elsewhere: each record has sections of several
embedders, and a key can be asked for alone.
"""

import heapq
from collections.abc import Iterator
from itertools import islice
from typing import TypeAlias

from cgcython.base import NUMBERS
from cgcython.errors import StorageCorruption
from cgcython.store.keepers.rocksdb.tables import Tables

Listed: TypeAlias = tuple[
    bytes, bytes | StorageCorruption
]  # key, manifest or what is wrong with it
ASKED = 1024  # keys behind a damaged block, until the scan is tried again


def manifests(database: Tables) -> Iterator[Listed]:
    """Yield (key, manifest) in the order of keys; for one that cannot be read, the error.

    Behind a damaged block the sections' keys tell which ids lie in it.
    """
    start, whole = b"", False
    while not whole:
        try:
            for row in database.scan("records", start=start):
                start = row[0] + b"\0"
                yield row
            whole = True
        except StorageCorruption:
            keys = islice(ids_of_sections(database, start), ASKED)
            whole = True
            for start in keys:
                listed = _row(database, start)
                if listed is not None:
                    yield listed
                whole = False
            start += b"\0"


def _row(database: Tables, key: bytes) -> Listed | None:
    try:
        manifest = database.get("records", key)
    except StorageCorruption as error:
        return key, error
    return None if manifest is None else (key, manifest)


def ids_of_sections(database: Tables, start: bytes = b"") -> Iterator[bytes]:
    """Yield the ids from `start` on that have a section, ascending, each once."""
    last = None
    for key in heapq.merge(*(_keys(database, bytes([one]), start) for one in NUMBERS)):
        if key != last:
            last = key
            yield key


def _keys(database: Tables, prefix: bytes, start: bytes) -> Iterator[bytes]:
    try:
        for key, _ in database.scan("sections", prefix, prefix + start):
            yield key[1:]
    except StorageCorruption:
        return  # the same records have sections of other embedders
