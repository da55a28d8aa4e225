"""Sign codes: the bits of numpy.packbits, distances by popcount, padding never counted."""

import numpy as np
import pytest
from looping import looped

from cgcython.base import QuantizationMethod
from cgcython.codecs.binary import BinaryCodec, binary_similarity, hamming_distance
from cgcython.errors import DimensionMismatch, InvalidInput, InvalidQuantizedData
from cgcython.metadata import BinaryMetadata
from cgcython.records import QuantizedEmbedding

RNG = np.random.default_rng(9)


@looped("threshold", [0.0, -0.5, 0.1])
@looped("dim", [1, 7, 8, 9, 63, 64, 1000, 1024])
def test_bits_are_those_of_numpy(level, dim, threshold):
    values = RNG.standard_normal((5, dim)).astype(np.float32)
    codec = BinaryCodec(dim, threshold)
    expected = np.packbits(values >= np.float32(threshold), axis=1)
    np.testing.assert_array_equal(codec.encode_batch(values).columns["codes"], expected)
    assert codec.encode(values[0]).data == expected[0].tobytes()


def test_a_value_at_the_threshold_is_one(level):
    values = [0.0, -0.0, 1e-45, -1e-45]
    assert BinaryCodec(4).encode(values).data == b"\xe0"


def test_decodes_to_plus_and_minus_one(level):
    codec = BinaryCodec(11)
    values = RNG.standard_normal(11)
    expected = np.where(values >= 0, 1, -1)
    out = np.empty(11, np.float32)
    np.testing.assert_array_equal(codec.decode(codec.encode(values)), expected)
    assert codec.decode(codec.encode(values), out) is out
    np.testing.assert_array_equal(out, expected)


def test_a_code_of_a_code_is_the_same_code(level):
    codec = BinaryCodec(100)
    quantized = codec.encode(RNG.standard_normal(100))
    assert codec.encode(codec.decode(quantized)) == quantized


def test_the_threshold_travels_with_records_and_batches():
    batch = BinaryCodec(9, 0.1).encode_batch(np.ones((2, 9)))
    metadata = BinaryCodec(9, 0.5).row(batch, 0).metadata
    assert metadata == BinaryMetadata(float(np.float32(0.1)))
    assert BinaryCodec(9, 0.1).encode(np.ones(9)).metadata == metadata


@pytest.mark.parametrize("threshold", [np.nan, np.inf, 1e39, -1e39, "x", None])
def test_a_threshold_that_no_float32_reaches_is_refused(threshold):
    with pytest.raises(InvalidInput, match="threshold: expected a finite number"):
        BinaryCodec(8, threshold)


def test_padding_bits_that_are_set_are_refused(level):
    metadata = BinaryMetadata(0.0)
    hostile = QuantizedEmbedding(QuantizationMethod.BINARY, 9, b"\xff\x81", metadata)
    with pytest.raises(InvalidQuantizedData, match="padding bits are set"):
        BinaryCodec(9).decode(hostile)
    batch = BinaryCodec(9).encode_batch(np.ones((3, 9)))
    batch.columns["codes"][1, 1] |= 1
    with pytest.raises(InvalidQuantizedData, match="padding bits are set"):
        BinaryCodec(9).decode_batch(batch)


@looped("size", [0, 1, 7, 8, 9, 63, 64, 65, 128, 1000])
def test_distance_counts_the_bits_that_differ(level, size):
    a, b = RNG.integers(0, 256, (2, size)).astype(np.uint8)
    expected = int(np.unpackbits(a ^ b).sum())
    assert hamming_distance(a.tobytes(), b.tobytes()) == expected
    assert hamming_distance(a, b) == expected
    assert hamming_distance(bytearray(a), memoryview(b)) == expected


def test_codes_of_different_lengths_have_no_distance(level):
    with pytest.raises(DimensionMismatch, match="expected 2 bytes, got 3"):
        hamming_distance(b"ab", b"abc")


@pytest.mark.parametrize("pair", [("ab", b"ab"), (b"ab", 2), (None, b"ab"), ([1, 2], b"ab")])
def test_only_bytes_have_a_distance(level, pair):
    with pytest.raises(InvalidInput, match="expected bytes"):
        hamming_distance(*pair)


def test_similarity_is_the_part_of_bits_that_agree(level):
    a, b = RNG.integers(0, 256, (2, 128)).astype(np.uint8)
    agree = np.mean(np.unpackbits(a) == np.unpackbits(b))
    assert binary_similarity(a, b, 1024) == pytest.approx(agree)
    assert binary_similarity(a, a, 1024) == 1.0
    assert binary_similarity(a, ~a, 1024) == 0.0


def test_padding_bits_do_not_count(level):
    assert binary_similarity(b"\xff\x80", b"\xff\x7f", 9) == pytest.approx(8 / 9)
    assert binary_similarity(b"\xff\x80", b"\xff\xff", 9) == 1.0


@pytest.mark.parametrize("num_bits", [-1, 0, 8, 15.5, 17, 1024])
def test_the_number_of_bits_must_fit_the_bytes(num_bits):
    with pytest.raises(DimensionMismatch, match=f"expected 16 bits, got {num_bits}"):
        binary_similarity(b"ab", b"ab", num_bits)


def test_masked_bytes_have_no_distance(level):
    masked = np.ma.masked_array(np.zeros(4, np.uint8), [0, 1, 0, 0])
    for pair in ((masked, bytes(4)), (bytes(4), masked)):
        with pytest.raises(InvalidInput, match="value 1 masked"):
            hamming_distance(*pair)
