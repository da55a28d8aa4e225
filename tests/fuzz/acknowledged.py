"""The file that notes how far acknowledged writes reach."""

import logging
import struct

from fuzz.mutations import change_bytes, with_own_checksum
from fuzz.world import as_file

from cgcython import QuantizationError
from cgcython.store.keepers.rocksdb.acknowledged import NAME, read_reach

_FIELDS = struct.Struct("<4sBBQQQ16s")


def seeds():
    return [with_own_checksum(_FIELDS.pack(b"CGAK", 1, 1, 99, 5, 1000, bytes(16)) + bytes(4))]


def mutate(data, rng):
    return with_own_checksum(change_bytes(data, rng))


def fuzz_one(data):
    logging.disable(logging.CRITICAL)  # it warns of damage
    with as_file(data, NAME) as path:
        try:
            reach = read_reach(path.parent)
            if reach is not None:
                reach.require_sequence(path.parent, 99)
                reach.require_catalogue(path.parent)
        except QuantizationError:
            pass
