"""Reads the frames of a write-ahead log: what was interrupted, and what is missing.

RocksDB's strict recovery refuses an interrupted last write as it does damage, its tolerant one
accepts both: it takes a last fragment whose length field was damaged for an unfinished one and
drops it. The fragment's checksum tells: an unfinished fragment matches it at no length, a damaged
length leaves a match.

Every recovery takes zeros for the padding of a block, and a log that is gone for one that was not
needed. The batches tell: each begins with the sequence number that follows the one before.
"""

import struct
from itertools import pairwise
from typing import NamedTuple

BLOCK_BYTES = 32 * 1024
_HEAD = struct.Struct("<IHB")  # masked crc32c of type and payload, length, type
_BATCH = struct.Struct("<QI")  # what a batch begins with: sequence number, changes
_RECYCLABLE = range(5, 9)  # these types carry a u32 log number, covered by the checksum
_BEGINNING = {1, 2, 5, 6}  # a whole batch, or the first fragment of one
_CASTAGNOLI = 0x82F63B78


class Fragment(NamedTuple):
    """A fragment of a block: where it lies in the log, and where its payload is."""

    at: int
    checksum: int
    kind: int
    start: int
    end: int


def fragments(log):
    """Yield the fragments of a log; the last one may end behind the end of the log."""
    at = 0
    while at < len(log):
        left = BLOCK_BYTES - at % BLOCK_BYTES
        if left < _HEAD.size:
            at += left  # a block ends in padding where no head fits
            continue
        if len(log) - at < _HEAD.size:
            yield Fragment(at, 0, 0, at, at + _HEAD.size)
            return
        checksum, length, kind = _HEAD.unpack_from(log, at)
        if not (length or kind):
            at += left  # zeros are padding too
            continue
        start = at + _HEAD.size + 4 * (kind in _RECYCLABLE)
        yield Fragment(at, checksum, kind, start, start + length)
        at = start + length


def unfinished_bytes(log):
    """Return the length of the unfinished fragment that ends a log, 0 when it is whole.

    Returns None where the last fragment is damaged rather than unfinished. Fragments before it
    are not checked: RocksDB does that in every mode that raises.
    """
    last = None
    for last in fragments(log):  # noqa: B007
        pass
    if last is None or last.end <= len(log):
        return 0
    tail = log[last.at + _HEAD.size - 1 :]
    whole_head = len(log) - last.at >= _HEAD.size
    return None if whole_head and _matches_somewhere(tail, last.checksum) else len(log) - last.at


def gap(logs):
    """Return the names of two logs and the number of changes missing between them, or None.

    `logs` are (name, content) in the order they were written; the two may be the same.
    """
    batches = ((name, *batch) for name, log in logs for batch in _batches(log))
    for (before, sequence, count), (after, following, _) in pairwise(batches):
        if following != sequence + count:
            return before, after, following - sequence - count
    return None


def _batches(log):
    """Yield sequence number and number of changes of each batch that begins in a log."""
    for one in fragments(log):
        if one.kind in _BEGINNING and one.start + _BATCH.size <= min(one.end, len(log)):
            yield _BATCH.unpack_from(log, one.start)


def _matches_somewhere(tail, masked):
    crc = 0xFFFFFFFF
    for byte in tail:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
        if _masked(crc ^ 0xFFFFFFFF) == masked:
            return True
    return False


def _masked(crc):
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _row(value):
    for _ in range(8):
        value = value >> 1 ^ _CASTAGNOLI * (value & 1)
    return value


_TABLE = [_row(value) for value in range(256)]
