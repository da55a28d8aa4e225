"""Counts what a store keeps and sums it up in one number, which is the same wherever it lies."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple, Protocol, TypeVar

from cgcython.errors import StorageCorruption
from cgcython.manifest import listed_sections
from cgcython.store.keeper import Read, Record
from cgcython.store.opening import PROFILE
from cgcython.store.quality import QUALITY
from cgcython.store.shelf import CODEBOOK, GENERATIONS
from cgcython.types import Progress

# Notes of a keeper's own, such as the format of a folder, are not those of the store.
SHARED_NOTES = (PROFILE, CODEBOOK, GENERATIONS, QUALITY)
BATCH = 256  # records
_LENGTH = struct.Struct("<Q")
_SUMS = 1 << 256
_RECORD, _GONE, _NOTE = b"record", b"gone", b"note"
_Item = TypeVar("_Item")


class Source(Protocol):
    """What can be copied: a ReadKeeper, or what yields records as one does."""

    @property
    def place(self) -> str:
        """Where it is."""

    def stripes(self) -> int:
        """Return the number of stripes."""

    def scan_records(self, stripe: int | None = None) -> Iterator[tuple[bytes, Record]]:
        """Yield (key, record), ascending within a stripe."""

    def scan_gone(self, stripe: int | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, value) of what the trash keeps."""

    def records(self, keys: Sequence[bytes]) -> Sequence[Record | StorageCorruption | None]:
        """Return the record of each key."""

    def gone(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        """Return what the trash keeps under each key."""

    def notes(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the notes whose names have a prefix."""

    def position(self) -> int:
        """Return the position of the last write."""

    def changes_since(self, position: int) -> list[bytes] | None:
        """Return the keys that changed after a position, None where that is not known."""


class Tally(NamedTuple):
    """What a store keeps, all of it read.

    `digest` sums up the SHA-256 of each record, each record in the trash and each note, in whatever
    order they come: it is the same for two stores just where all their bytes are.
    """

    records: int
    trashed: int
    bytes: int
    digest: str


def tally(keeper: Source, progress: Progress | None = None) -> Tally:
    """Return the Tally of a store. Raises StorageCorruption where something cannot be read."""
    total = size = 0
    counts = {_RECORD: 0, _GONE: 0, _NOTE: 0}
    for batch in batches(_items(keeper), BATCH):
        for parts in batch:
            counts[parts[0]] += 1
            total += int.from_bytes(_hash(parts), "big")
            size += sum(map(len, parts[2:]))
        if progress is not None:
            progress(sum(1 for parts in batch if parts[0] != _NOTE))
    return Tally(counts[_RECORD], counts[_GONE], size, f"{total % _SUMS:064x}")


def _items(keeper: Source) -> Iterator[list[bytes]]:
    """Yield the kind, the name and the bytes of all that a store keeps."""
    for name, value in shared_notes(keeper).items():
        yield [_NOTE, name, value]
    for stripe in range(keeper.stripes()):
        for key, record in keeper.scan_records(stripe):
            if record.head is not None:
                head, sections = content_of(record)
                yield [_RECORD, key, head, *sections.values()]
        for key, value in keeper.scan_gone(stripe):
            yield [_GONE, key, value]


def content_of(record: Record) -> tuple[bytes, dict[int, bytes]]:
    """Return the head of a record and the sections that it lists, by the number of the embedder.

    Raises StorageCorruption where one of them is damaged or missing.
    """
    head = _whole(record.head)
    listed = listed_sections(head)
    if not listed.keys() <= record.sections.keys():
        raise StorageCorruption(where="record", reason="a section of it is missing")
    return head, {number: _whole(record.sections[number]) for number in sorted(listed)}


def _whole(read: Read | None) -> bytes:
    if isinstance(read, StorageCorruption):
        raise read
    return read or b""


def _hash(parts: Iterable[bytes]) -> bytes:
    found = hashlib.sha256()
    for part in parts:
        found.update(_LENGTH.pack(len(part)))
        found.update(part)
    return found.digest()


def shared_notes(keeper: Source) -> Mapping[bytes, bytes]:
    """Return the notes that a copy of a store has too, codebooks before what names them."""
    return {name: value for prefix in SHARED_NOTES for name, value in keeper.notes(prefix)}


def batches(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    """Yield lists of some items one after the other."""
    rows = iter(items)
    while batch := list(islice(rows, size)):
        yield batch
