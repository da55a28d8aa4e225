"""Reads the frames of a write-ahead log: what was interrupted, and what is missing.

RocksDB's strict recovery refuses an interrupted last write as it does damage, its tolerant one
accepts both: it takes a last fragment whose length field was damaged for an unfinished one and
drops it. The fragment's checksum tells: an unfinished fragment matches it at no length, a damaged
length leaves a match.

Every recovery takes zeros for the padding of a block, and a log that is gone for one that was not
needed. The batches tell: each begins with the sequence number that follows the one before.

A log is read whole before RocksDB reads it: its reader loops for ever on some that had bytes put
in.
"""

import struct
from collections.abc import Iterable, Iterator
from itertools import pairwise
from mmap import mmap
from pathlib import Path
from typing import NamedTuple, TypeAlias

from cgcython.store.keepers.rocksdb import library

Log: TypeAlias = bytes | mmap

BLOCK_BYTES = 32 * 1024
SEARCHED_BYTES = 2 * BLOCK_BYTES  # behind damage, for the next whole fragment
_HEAD = struct.Struct("<IHB")  # masked crc32c of type and payload, length, type
_BATCH = struct.Struct("<QI")  # what a batch begins with: sequence number, changes
_FULL, _FIRST, _MIDDLE, _LAST = range(1, 5)
_RECYCLABLE = range(5, 9)  # these types carry a u32 log number, covered by the checksum
_KINDS = {*range(1, 9)}
_BEGINNING = {1, 2, 5, 6}  # a whole batch, or the first fragment of one
_END = {1, 4, 5, 8}  # a whole batch, or the last fragment of one
_FOLLOWED = {2, 3, 6, 7}  # fragments that others follow
# Kinds of changes: of a key in a family; of one in the first family, and notes.
_PUT, _DELETE, _PLAIN = 5, 4, {0, 3}


class Gap(NamedTuple):
    """Between two logs, which may be the same one, so many changes are missing."""

    before: Path
    after: Path
    changes: int


class Fragment(NamedTuple):
    """A fragment of a block: its place in the log, that of its payload, and whether it is whole."""

    at: int
    checksum: int
    kind: int
    start: int
    end: int
    whole: bool


def fragments(log: Log) -> Iterator[Fragment]:
    """Yield the fragments of a log; the last one may end behind the end of the log.

    Behind one that is not whole the next begins where it says or, if none does, where the next
    whole one is found: bytes were put in or taken out, and from there on no block is in its place.
    """
    at, block = 0, BLOCK_BYTES
    while at < len(log):
        one = _fragment(log, at, block)
        if one is None:  # padding
            at += BLOCK_BYTES - at % BLOCK_BYTES
            continue
        following, is_padding = one.end, block != BLOCK_BYTES and not one.kind
        if not one.whole and not _goes_on(log, one.end, block):
            found = _next_whole(log, at + 1)
            if found is not None:
                following, block = found, len(log)
        if not is_padding:
            yield one._replace(end=min(one.end, following)) if following < len(log) else one
        at = following


def _fragment(log: Log, at: int, block: int) -> Fragment | None:
    """Return the fragment that begins at a place, None for the padding of a block of some size."""
    left = block - at % block
    if left < _HEAD.size and block == BLOCK_BYTES:
        return None  # a block ends in padding where no head fits
    if len(log) - at < _HEAD.size:
        return Fragment(at, 0, 0, at, at + _HEAD.size, False)
    checksum, length, kind = _HEAD.unpack_from(log, at)
    if not (length or kind) and block == BLOCK_BYTES:
        return None  # zeros are padding too
    start = at + _HEAD.size + 4 * (kind in _RECYCLABLE)
    end = start + length
    fits = kind in _KINDS and end <= len(log) and end - at <= left
    whole = fits and _crc(log[at + _HEAD.size - 1 : end]) == checksum
    return Fragment(at, checksum, kind, start, end, whole)


def _goes_on(log: Log, at: int, block: int) -> bool:
    """Return whether a whole fragment, or padding, is at a place."""
    if at >= len(log):
        return False
    one = _fragment(log, at, block)
    return one is None or one.whole


def _next_whole(log: Log, start: int) -> int | None:
    """Return where the next whole fragment begins, whatever blocks say; None if none is near."""
    for at in range(start, min(len(log) - _HEAD.size, start + SEARCHED_BYTES)):
        if log[at + _HEAD.size - 1] in _KINDS:
            one = _fragment(log, at, len(log))
            if one is not None and one.whole:
                return at
    return None


def damaged_at(log: Log) -> int | None:
    """Return where a log is damaged; None where it is whole or ends in an unfinished batch.

    RocksDB's own reader may loop for ever on a damaged one, which nothing can interrupt.
    """
    before = None
    for one in fragments(log):
        if before is not None and not before.whole:
            return before.at
        before = one
    if before is None or before.whole or before.end > len(log):
        return None
    return before.at


def without_damage(log: Log) -> bytes:
    """Return a log of the whole batches of another, as RocksDB would have written them."""
    found = bytearray()
    for batch in _whole_batches(log):
        rest, kinds = memoryview(batch), (_FULL, _FIRST)
        while rest or kinds[0] == _FULL:
            left = BLOCK_BYTES - len(found) % BLOCK_BYTES
            if left < _HEAD.size:
                found += bytes(left)
                left = BLOCK_BYTES
            part, rest = rest[: left - _HEAD.size], rest[left - _HEAD.size :]
            framed = bytes([kinds[bool(rest)]]) + part
            found += _HEAD.pack(_crc(framed), len(part), framed[0]) + part
            kinds = _LAST, _MIDDLE
    return bytes(found)


def _whole_batches(log: Log) -> Iterator[bytes]:
    batch: bytes | None = None
    for one in fragments(log):
        if one.kind in _BEGINNING:
            batch = b""
        if batch is None:
            continue
        batch = batch + log[one.start : one.end] if one.whole else None
        if batch is not None and one.kind in _END:
            yield batch
            batch = None


def unfinished_bytes(log: Log) -> int | None:
    """Return the length of the unfinished batch that ends a log, 0 when it is whole.

    It may be cut off within a fragment or behind one that others were to follow. Returns None where
    the last fragment is damaged rather than unfinished. Fragments before it are not checked:
    RocksDB does that in every mode that raises.
    """
    last, batch, is_open = None, 0, False
    for last in fragments(log):
        batch = last.at if last.kind in _BEGINNING or not is_open else batch
        is_open = last.kind not in _END
    if last is None or (last.end <= len(log) and last.kind not in _FOLLOWED):
        return 0
    tail = log[last.at + _HEAD.size - 1 : last.end]
    if last.end <= len(log):
        damaged = _crc(tail) != last.checksum
    else:
        whole_head = len(log) - last.at >= _HEAD.size
        damaged = whole_head and _matches_somewhere(tail, last.checksum)
    return None if damaged else len(log) - batch


def gap(logs: Iterable[tuple[Path, Log]]) -> Gap | None:
    """Return the first gap between the batches of logs, or None.

    `logs` are (path, content) in the order they were written.
    """
    batches = ((path, *batch) for path, log in logs for batch in _batches(log))
    for (before, sequence, count), (after, following, _) in pairwise(batches):
        if following != sequence + count:
            return Gap(before, after, following - sequence - count)
    return None


def last_sequence(log: Log) -> int:
    """Return the sequence number of the last change whose batch begins in a log, or 0."""
    last = 0
    for sequence, count in _batches(log):
        last = max(last, sequence + count - 1)
    return last


def _batches(log: Log) -> Iterator[tuple[int, int]]:
    """Yield sequence number and number of changes of each batch that begins in a log.

    They may lie in several fragments: a block that is nearly full holds the first few bytes, or
    the head of a fragment alone.
    """
    head: bytes | None = None
    for one in fragments(log):
        if one.kind in _BEGINNING:
            head = b""
        if head is None:
            continue
        head += log[one.start : min(one.end, one.start + _BATCH.size - len(head))]
        if len(head) == _BATCH.size:
            yield _BATCH.unpack(head)
            head = None


def changes(log: Log) -> Iterator[tuple[int, bytes, bytes | None]]:
    """Yield (family number, key, value or None) of what a log puts and deletes.

    Damaged batches are read as far as they make sense: to say whom they were about.
    """
    batch = b""
    for one in fragments(log):
        payload = log[one.start : one.end]
        batch = payload if one.kind in _BEGINNING else batch + payload
        if one.kind in _END:
            yield from _changes(batch)


def _changes(batch: bytes) -> Iterator[tuple[int, bytes, bytes | None]]:
    at = _BATCH.size
    try:
        while at < len(batch):
            kind, at = batch[at], at + 1
            family, at = _varint(batch, at) if kind in (_PUT, _DELETE) else (0, at)
            key, at = _string(batch, at)
            value, at = _string(batch, at) if kind == _PUT else (None, at)
            if kind in (_PUT, _DELETE):
                yield family, key, value
            elif kind not in _PLAIN:
                return
    except IndexError:
        return  # cut off


def _string(batch: bytes, at: int) -> tuple[bytes, int]:
    length, at = _varint(batch, at)
    if at + length > len(batch):
        raise IndexError
    return batch[at : at + length], at + length


def _varint(batch: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte, at = batch[at], at + 1
        if shift >= 64:
            raise IndexError
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def _matches_somewhere(tail: bytes, masked: int) -> bool:
    """Return whether the first bytes of a tail, some or all, have a checksum."""
    crc = 0
    for at in range(len(tail)):
        crc = library.crc32c(tail[at : at + 1], crc)
        if _masked(crc) == masked:
            return True
    return False


def _crc(framed: bytes) -> int:
    return _masked(library.crc32c(framed))


def _masked(crc: int) -> int:
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
