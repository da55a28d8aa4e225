"""QuantizedFingerprint.from_bytes, and decoding what it lets through."""

import struct
from zlib import crc32

from fuzz.mutations import change_bytes
from fuzz.world import memories, records

from cgcython import QuantizationError, QuantizedFingerprint

_FIRST, _TIMES, _ENTRY = struct.Struct("<4sBBH"), struct.Struct("<QQI"), struct.Struct("<BI")
_SECTION = struct.Struct("<BBII")


def seeds():
    return [one.to_bytes() for one in records()]


def mutate(data, rng):
    return sealed(change_bytes(data, rng))


def fuzz_one(data):
    try:
        found = QuantizedFingerprint.from_bytes(data)
        assert found.to_bytes() == data
        found.decode(memories().router)
    except QuantizationError:
        pass


def sealed(data):
    """Compute the checksums of all sections, and of the manifest, anew as far as they are there."""
    data = bytearray(data)
    try:
        version, count = data[4], data[5]
        start = _FIRST.size + (_TIMES.size if version > 1 else 0)
        length = _TIMES.unpack_from(data, _FIRST.size)[2] if version > 1 else 0
        end = start + count * _ENTRY.size + length
        at = end + 4
        for number in range(count):
            stop = at + _SECTION.size + _SECTION.unpack_from(data, at)[3]
            crc = crc32(data[at:stop])
            struct.pack_into("<I", data, stop, crc)
            # A section's checksum covers the bytes before it; the manifest lists the same.
            struct.pack_into("<I", data, start + number * _ENTRY.size + 1, crc)
            at = stop + 4
        struct.pack_into("<I", data, end, crc32(data[:end]))
    except (struct.error, IndexError):
        pass
    return bytes(data)
