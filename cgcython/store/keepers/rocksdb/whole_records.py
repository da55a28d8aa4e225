"""Reads records whole, one after the other, also where tables are damaged.

Manifests are read some at a time, and beside them the same stretch of each embedder's sections, so
that memory does not grow with the store. A damaged block ends a scan: each key of the stretch is
then asked for alone, which names those in the block, and the next stretch scans again.
"""

from collections.abc import Iterator
from itertools import chain, islice
from typing import TypeAlias

from cgcython.errors import StorageCorruption
from cgcython.manifest import listed_sections
from cgcython.store.keeper import Numbers, Read, Record
from cgcython.store.keepers.rocksdb.around_damage import manifests
from cgcython.store.keepers.rocksdb.tables import Row, Tables

STRETCH = 256  # records
_Heads: TypeAlias = dict[bytes, Read]
_Found: TypeAlias = dict[bytes, dict[int, Read]]  # sections by key and number


def whole_records(files: Tables, numbers: Numbers) -> Iterator[tuple[bytes, Record]]:
    """Yield (key, record) in the order of keys, and of sections without a record.

    Raises StorageCorruption, after everything else, for damage behind the last record.
    """
    rows, columns = manifests(files), [_Column(files, one) for one in numbers]
    while stretch := dict(islice(rows, STRETCH)):
        found: _Found = {key: {} for key in stretch}
        for column in columns:
            column.take(stretch, found)
        yield from _records(stretch, found)
    found = {}
    damage = [column.take_rest(found) for column in columns]
    yield from _records({}, found)
    for error in filter(None, damage):
        raise error


def _records(heads: _Heads, found: _Found) -> Iterator[tuple[bytes, Record]]:
    keys = found if len(found) == len(heads) else sorted(found)
    return ((key, Record(heads.get(key), found[key])) for key in keys)


class _Column:
    """The sections of one embedder, taken in the order of keys beside the manifests."""

    def __init__(self, files: Tables, number: int) -> None:
        self._files, self._number, self._prefix = files, number, bytes([number])
        self._rows = self._scan(b"")
        self._next: list[Row] = []

    def take(self, heads: _Heads, found: _Found) -> None:
        """Take the sections up to the last of some keys."""
        last, at = next(reversed(heads)), b""
        try:
            for row in chain(self._next, self._rows):
                key = row[0][1:]
                if key > last:
                    self._next = [row]
                    return
                if key in found:
                    found[key][self._number] = row[1]
                else:
                    found[key] = {self._number: row[1]}
                at = key
            self._next = []
        except StorageCorruption:  # a damaged block ended the scan
            for key in heads:
                if key > at:
                    self._take_alone(key, heads[key], found)
            self._rows, self._next = self._scan(last + b"\0"), []

    def _take_alone(self, key: bytes, head: Read, found: _Found) -> None:
        try:
            section = self._files.get("sections", self._prefix + key)
        except StorageCorruption as error:
            # Whether a manifest that cannot be read listed one is not known.
            if isinstance(head, bytes) and self._number in listed_sections(head):
                found[key][self._number] = error
            return
        if section is not None:
            found[key][self._number] = section

    def take_rest(self, found: _Found) -> StorageCorruption | None:
        """Take all that is left, and return the damage that ended it, if there was any."""
        try:
            for key, section in chain(self._next, self._rows):
                found.setdefault(key[1:], {})[self._number] = section
        except StorageCorruption as error:
            where = f"the end of the sections of embedder {self._number}"
            return StorageCorruption(where=where, reason=error.reason)
        return None

    def _scan(self, key: bytes) -> Iterator[Row]:
        # Within a generator, so that damage is raised where the rows are taken.
        yield from self._files.scan("sections", self._prefix, self._prefix + key)
