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
_END = {1, 4, 5, 8}  # a whole batch, or the last fragment of one
_FOLLOWED = {2, 3, 6, 7}  # fragments that others follow
# Kinds of changes: of a key in a family; of one in the first family, and notes.
_PUT, _DELETE, _PLAIN = 5, 4, {0, 3}
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


def gap(logs):
    """Return the names of two logs and the number of changes missing between them, or None.

    `logs` are (name, content) in the order they were written; the two may be the same.
    """
    batches = ((name, *batch) for name, log in logs for batch in _batches(log))
    for (before, sequence, count), (after, following, _) in pairwise(batches):
        if following != sequence + count:
            return before, after, following - sequence - count
    return None


def last_sequence(log):
    """Return the sequence number of the last change whose batch begins in a log, or 0."""
    last = 0
    for sequence, count in _batches(log):
        last = max(last, sequence + count - 1)
    return last


def _batches(log):
    """Yield sequence number and number of changes of each batch that begins in a log.

    They may lie in several fragments: a block that is nearly full holds the first few bytes, or
    the head of a fragment alone.
    """
    head = None
    for one in fragments(log):
        if one.kind in _BEGINNING:
            head = b""
        if head is None:
            continue
        head += log[one.start : min(one.end, one.start + _BATCH.size - len(head))]
        if len(head) == _BATCH.size:
            yield _BATCH.unpack(head)
            head = None


def changes(log):
    """Yield (family number, key, value or None) of what a log puts and deletes.

    Damaged batches are read as far as they make sense: to say whom they were about.
    """
    batch = b""
    for one in fragments(log):
        payload = log[one.start : one.end]
        batch = payload if one.kind in _BEGINNING else batch + payload
        if one.kind in _END:
            yield from _changes(batch)


def _changes(batch):
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


def _string(batch, at):
    length, at = _varint(batch, at)
    if at + length > len(batch):
        raise IndexError
    return batch[at : at + length], at + length


def _varint(batch, at):
    value = shift = 0
    while True:
        byte, at = batch[at], at + 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def _matches_somewhere(tail, masked):
    return masked in _crcs(tail)


def _crc(tail):
    *_, crc = _crcs(tail)
    return crc


def _crcs(tail):
    """Yield the masked checksum of the first byte, of the first two, and so on."""
    crc = 0xFFFFFFFF
    for byte in tail:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
        yield _masked(crc ^ 0xFFFFFFFF)


def _masked(crc):
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _row(value):
    for _ in range(8):
        value = value >> 1 ^ _CASTAGNOLI * (value & 1)
    return value


_TABLE = [_row(value) for value in range(256)]
