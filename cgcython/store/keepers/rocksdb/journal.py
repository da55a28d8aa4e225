"""The history of a store's writes: what changed since a moment, for as long as it reaches back.

Every write adds one entry in its own atomic batch. Whoever keeps something beside the store (the
columns of a search, an index) notes the position it has seen, and asks later what changed.
"""

import logging
import os
import struct
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

from cgcython.errors import StorageCorruption
from cgcython.store.keepers.rocksdb import journal_entries
from cgcython.store.keepers.rocksdb.database import Database, Put
from cgcython.store.keepers.rocksdb.format import FREE, read_version, version_puts
from cgcython.store.keepers.rocksdb.tables import Tables

if TYPE_CHECKING:
    from rocksdict import WriteBatch

_LOGGER = logging.getLogger(__name__)
KEPT_CHANGES = 1 << 18  # beyond, reading everything anew is faster than record by record
_FLOOR = b"journal/floor"
_KEY, _ENDS = struct.Struct(">Q"), struct.Struct("<QQ")
# Below the counter are random bits: two copies of a store that were written to apart share
# counters, but not positions.
_RANDOM_BITS, _RESET_STEP = 24, 1 << 32
_End: TypeAlias = tuple[int, int]  # a position, and how many changes were ever noted up to it


class Journal:
    """Says which records changed since a position, of files that nobody changes meanwhile."""

    def __init__(self, files: Tables) -> None:
        self._files = files
        self._end: _End | None = None

    def position(self) -> int:
        """Return the position of the last write: a number that only grows.

        It is 0 where the journal is damaged, until a process that writes begins it anew.
        """
        self._files.require_open()
        try:
            self._end = end = self._end or self._read_end()
        except StorageCorruption:
            return 0
        return end[0]

    def changes_since(self, position: int, number: int | None = None) -> list[bytes] | None:
        """Return the sorted keys that changed after a position, of one embedder when given.

        Returns None when the journal cannot tell: it no longer reaches back that far, its entries
        are damaged, or the position is that of another copy of the store.
        """
        if not self._files.has("journal"):
            return None
        changed: set[bytes] = set()
        try:
            # In this order: a truncation in between then makes the position unknown.
            rows = self._files.scan("journal", start=_KEY.pack(position))
            is_floor = position == self._floor()[0]
            for key, value in rows:
                if key == _KEY.pack(position):
                    is_floor = True
                elif is_floor:
                    changed.update(journal_entries.changed(value, number))
                else:
                    return None
        except StorageCorruption:
            return None
        return sorted(changed) if is_floor else None

    def _read_end(self) -> _End:
        row = self._files.last("journal") if self._files.has("journal") else None
        return self._floor() if row is None else _end_of(*row)

    def _floor(self) -> _End:
        """Return position and changes of the last entry that was forgotten."""
        found = self._files.get("meta", _FLOOR)
        if found is None:
            return 0, 0
        if len(found) != _ENDS.size:
            where, reason = f"journal of {self._files.path}", f"its floor has {len(found)} bytes"
            raise StorageCorruption(where=where, reason=reason)
        position, changes = _ENDS.unpack(found)
        return position, changes


class WritableJournal(Journal):
    """A Journal to which each batch of a writer adds an entry."""

    _files: Database

    def __init__(self, files: Database) -> None:
        super().__init__(files)
        self._is_free: bool | None = None  # whether the store has format 3; None if unknown

    def position(self) -> int:
        """Return the position of the last write: a number that only grows."""
        self._files.require_open()
        return (self._end or self._read_end())[0]

    def truncate(self, upto: int) -> None:
        """Forget the entries up to a position; those after it stay."""
        row = self._files.last("journal", _KEY.pack(upto))
        if row is not None:
            self._forget(row[0], _end_of(*row))

    def commit(self, batch: "WriteBatch", changes: Mapping[bytes, int]) -> None:
        """Add the entry of a batch and write it, all or nothing.

        `changes` holds a mask of embedders by key. The first ones that need it give the store
        format 3, in the same batch. The caller holds the lock of writers.
        """
        position, total = self._end or self._read_end()
        counter = (position >> _RANDOM_BITS) + 1
        end = _position(counter), total + len(changes)
        is_plain = journal_entries.are_plain(changes)
        entry = journal_entries.packed(end[1], changes, is_plain)
        if not (is_plain or self._has_format_3()):
            for family, key, value in version_puts(FREE):
                batch.put(key, value, self._files.handle(family))
        is_free = not is_plain or self._is_free
        self._end = self._is_free = None  # unknown, should the next line raise
        batch.put(_KEY.pack(end[0]), entry, self._files.handle("journal"))
        self._files.commit(batch)
        self._end, self._is_free = end, is_free
        if counter % 1024 == 0:
            self._shorten(end[1])

    def _has_format_3(self) -> bool:
        if self._is_free is None:
            self._is_free = read_version(self._files) == FREE
        return self._is_free

    def mend(self) -> None:
        """Find where the journal ends, and begin anew where it does not tell."""
        try:
            self._floor()
            self._end = self._read_end()
        except StorageCorruption as error:
            _LOGGER.warning("store %s: its journal is begun anew: %s", self._files.path, error)
            before = self._latest()
            self._files.renew("journal", {})
            self.reset(after=before)

    def reset(self, puts: Iterable[Put] = (), after: int | None = None) -> None:
        """Begin anew, so that no earlier position is known; `puts` are written with it."""
        latest = self._latest() if after is None else after
        counter = (latest >> _RANDOM_BITS) + _RESET_STEP
        self._forget(b"\xff" * _KEY.size, (_position(counter), 0), puts)

    def _latest(self) -> int:
        """Return the latest position that can be read."""
        found = [0]
        for read in (self._floor, self._read_end):
            with suppress(StorageCorruption):
                found.append(read()[0])
        return max(found)

    def _forget(self, last: bytes, floor: _End, puts: Iterable[Put] = ()) -> None:
        put = ("meta", _FLOOR, _ENDS.pack(*floor))
        self._files.write([*puts, put], ranges=[("journal", b"", last + b"\0")])
        self._end = None

    def _shorten(self, total: int) -> None:
        """Forget all but KEPT_CHANGES changes once there are twice as many, found by bisection."""
        floor, forgotten = self._floor()
        if total - forgotten <= 2 * KEPT_CHANGES:
            return
        low, high = (floor >> _RANDOM_BITS) + 1, self.position() >> _RANDOM_BITS
        while low < high:
            middle = (low + high) // 2
            _, value = next(self._files.scan("journal", start=_KEY.pack(middle << _RANDOM_BITS)))
            if journal_entries.total(value) > total - KEPT_CHANGES:
                high = middle
            else:
                low = middle + 1
        self.truncate((low << _RANDOM_BITS) - 1)


def mask_of(numbers: Iterable[int]) -> int:
    """Return the bits of some embedders.

    >>> bin(mask_of([0, 8]))
    '0b100000001'
    """
    mask = 0
    for number in numbers:
        mask |= 1 << number
    return mask


def _end_of(key: bytes, entry: bytes) -> _End:
    return int.from_bytes(key, "big"), journal_entries.total(entry)


def _position(counter: int) -> int:
    return counter << _RANDOM_BITS | int.from_bytes(os.urandom(_RANDOM_BITS // 8), "little")
