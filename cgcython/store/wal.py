"""Tells a write-ahead log whose last write was interrupted from one that was damaged.

RocksDB's strict recovery refuses both, its tolerant one accepts both: it takes a last fragment
whose length field was damaged for an unfinished one and drops it. The fragment's checksum tells:
an unfinished fragment matches it at no length, a damaged length leaves a match.
"""

import struct

BLOCK_BYTES = 32 * 1024
_HEAD = struct.Struct("<IHB")  # masked crc32c of type and payload, length, type
_RECYCLABLE = range(5, 9)  # these types carry a u32 log number, covered by the checksum
_CASTAGNOLI = 0x82F63B78


def unfinished_bytes(log):
    """Return the length of the unfinished fragment that ends a log, 0 when it is whole.

    Returns None where the last fragment is damaged rather than unfinished. Fragments before it
    are not checked: RocksDB does that in every mode that raises.
    """
    at = 0
    while at < len(log):
        left = BLOCK_BYTES - at % BLOCK_BYTES
        if left < _HEAD.size:
            at += left  # a block ends in padding where no head fits
            continue
        if len(log) - at < _HEAD.size:
            return len(log) - at
        checksum, length, kind = _HEAD.unpack_from(log, at)
        end = at + _HEAD.size + length + 4 * (kind in _RECYCLABLE)
        if end > len(log):
            tail = log[at + _HEAD.size - 1 :]
            return None if _matches_somewhere(tail, checksum) else len(log) - at
        at = end
    return 0


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
