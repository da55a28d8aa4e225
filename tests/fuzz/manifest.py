"""Manifest.from_bytes, and what it says of the record."""

from fuzz.mutations import change_bytes, with_own_checksum
from fuzz.world import records

from cgcython import QuantizationError
from cgcython.manifest import Manifest


def seeds():
    return [one.manifest for one in records()]


def mutate(data, rng):
    return with_own_checksum(change_bytes(data, rng))


def fuzz_one(data):
    try:
        found = Manifest.from_bytes(data)
    except QuantizationError:
        return
    assert Manifest.from_bytes(found.to_bytes()) == found
    assert len(found.info.content_hash) == 16
