"""CRC-32 as zlib has it: of bytes that carry their own, and of arrays in any order."""

import ctypes
import zlib

import numpy as np
import pytest

from cgcython import checksums

DATA = np.random.default_rng(0).integers(0, 256, 70, np.uint8).tobytes()


@pytest.mark.parametrize("size", [0, 1, 4, 70])
def test_bytes_that_end_in_their_own_checksum_are_known_by_it(size):
    sealed = checksums.with_checksum(DATA[:size])
    assert sealed[size:] == zlib.crc32(DATA[:size]).to_bytes(4, "little")
    assert checksums.ends_in_own_checksum(sealed)
    assert checksums.ends_in_own_checksum(memoryview(sealed))


def test_any_flipped_bit_and_any_cut_is_noticed():
    sealed = checksums.with_checksum(DATA)
    for bit in range(8 * len(sealed)):
        flipped = bytearray(sealed)
        flipped[bit // 8] ^= 1 << bit % 8
        assert not checksums.ends_in_own_checksum(flipped)
    assert not any(checksums.ends_in_own_checksum(sealed[:end]) for end in range(4, len(sealed)))


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype="<i8").reshape(3, 4),
        np.arange(12, dtype="<f4").reshape(3, 4)[:, ::2],
        np.asfortranarray(np.arange(12, dtype="<u2").reshape(3, 4)),
        np.empty((0, 16), np.uint8),
        np.float32(7).reshape(()),
    ],
)
def test_an_array_has_the_checksum_of_its_values_in_order(array):
    assert checksums.of_array(array) == zlib.crc32(array.tobytes())


def test_zlib_s_own_function_is_found_where_python_links_to_it():
    address = checksums.address_in_c()
    if not address:
        pytest.skip("this Python brings zlib within itself")
    kind = ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.c_ulong, ctypes.c_char_p, ctypes.c_uint)
    assert kind(address)(0, DATA, len(DATA)) == zlib.crc32(DATA)


def test_a_python_without_the_library_beside_it_has_no_address(monkeypatch):
    monkeypatch.delattr(zlib, "__file__", raising=False)
    assert checksums.address_in_c() == 0
