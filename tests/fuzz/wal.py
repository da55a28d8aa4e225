"""The parser of RocksDB's logs: what it says of them, and what is left without the damage."""

import struct
from functools import cache

from fuzz.mutations import change_bytes
from fuzz.store import written

from cgcython.store.keepers.rocksdb import wal
from cgcython.store.keepers.rocksdb.library import crc32c

_HEAD = struct.Struct("<IHB")


@cache
def seeds():
    return [data for name, data in written().items() if name.endswith(".log")]


def mutate(data, rng):
    """Change the log, and compute the checksum of a fragment anew where its head makes sense."""
    data = bytearray(change_bytes(data, rng))
    at = 0
    while at + _HEAD.size <= len(data):
        _, length, _ = _HEAD.unpack_from(data, at)
        covered = data[at + _HEAD.size - 1 : at + _HEAD.size + length]
        crc = crc32c(bytes(covered))
        masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
        struct.pack_into("<I", data, at, masked)
        at += _HEAD.size + length
    return bytes(data)


def fuzz_one(data):
    wal.damaged_at(data)
    wal.unfinished_bytes(data)
    wal.last_sequence(data)
    list(wal.changes(data))
    assert wal.damaged_at(wal.without_damage(data)) is None
