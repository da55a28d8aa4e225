"""Scalar codes: bytes, what is refused, and any finite vector."""

import numpy as np
import pytest

from cgcython.base import Profile
from cgcython.codecs.base import cosine_loss
from cgcython.codecs.scalar import BITS, ScalarCodec, scalar_bytes
from cgcython.errors import InvalidInput, InvalidQuantizedData
from cgcython.metadata import ScalarMetadata
from cgcython.records import QuantizedBatch, QuantizedEmbedding

ROWS = np.random.default_rng(5).standard_normal((40, 37)).astype(np.float32)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("size", [1e-44, 1e-38, 1e-6, 1, 1e6, 5e37])
def test_vectors_of_any_magnitude_keep_their_direction(bits, size):
    codec, row = ScalarCodec(37, bits), (ROWS[0] * size).astype(np.float32)
    decoded = codec.decode(codec.encode(row)).astype(np.float64)
    most = {8: 1e-4, 6: 2e-3, 4: 0.03, 2: 0.25}[bits] + (0.1 if size == 1e-44 else 0)
    assert cosine_loss(row.astype(np.float64) / size, decoded / size) < most


def test_a_dimension_beyond_one_vectors_scratch_is_encoded_too():
    codec, row = ScalarCodec(5001, 4), np.random.default_rng(1).standard_normal(5001)
    assert codec.encode(row) == codec.row(codec.encode_batch([row]), 0)
    assert codec.loss(row, codec.decode(codec.encode(row))) < 0.012


@pytest.mark.parametrize("bits", [0, 1, 3, 7, 16, 8.0, "8", True, None])
def test_other_bits_are_refused(bits):
    with pytest.raises(InvalidInput, match="bits: expected"):
        ScalarCodec(384, bits)


def test_a_row_of_a_profile_says_the_bits():
    rows = {"a": {"dimension": 37, "method": "scalar"}}
    rows["b"] = {"dimension": 37, "method": "scalar", "bits": 6}
    profile = Profile(rows)
    found = [ScalarCodec.for_row(profile.row(name)) for name in rows]
    assert found == [ScalarCodec(37, 8), ScalarCodec(37, 6)]
    with pytest.raises(InvalidInput, match="expected 8 or 6 or 4 or 2, got 5"):
        Profile({"a": {**rows["b"], "bits": 5}})


@pytest.mark.parametrize("bits", BITS)
def test_codes_are_decoded_by_the_bits_they_tell(bits):
    quantized = ScalarCodec(37, bits).encode(ROWS[0])
    batch = ScalarCodec(37, bits).encode_batch(ROWS)
    expected = ScalarCodec(37, bits).decode(quantized)
    np.testing.assert_array_equal(ScalarCodec(37).decode(quantized), expected)
    np.testing.assert_array_equal(ScalarCodec(37).decode_batch(batch)[0], expected)


@pytest.mark.parametrize(
    ("metadata", "data", "message"),
    [
        (ScalarMetadata(4, 1.0), bytes(18), "expected 19 bytes, got 18"),
        (ScalarMetadata(4, 1.0), bytes(18) + b"\x10", "padding bits are set"),
        (ScalarMetadata(2, 1.0), bytes(9) + b"\x04", "padding bits are set"),
        (ScalarMetadata(6, 1.0), bytes(27) + b"\x40", "padding bits are set"),
        (ScalarMetadata(5, 1.0), bytes(24), "codes of 5 bits, not 8, 6, 4 or 2"),
        (ScalarMetadata(8, float("nan")), bytes(37), "scale is nan and power 0"),
        (ScalarMetadata(8, -1.0), bytes(37), "scale is -1.0 and power 0"),
        (ScalarMetadata(8, 1.0, 128), bytes(37), "scale is 1.0 and power 128"),
        (ScalarMetadata(8, "1"), bytes(37), "scale is 1 and power 0"),
        (ScalarMetadata(8, 1e5), bytes(37), "scale is 100000.0 and power 0"),
        (ScalarMetadata(8, 10**400), bytes(37), "scale is 1000"),
        (ScalarMetadata(8, 1.0, 1.5), bytes(37), "scale is 1.0 and power 1.5"),
        (ScalarMetadata(8.0, 1.0), bytes(37), "codes of 8.0 bits"),
        (ScalarMetadata(np.array([8, 8]), 1.0), bytes(37), "codes of .* bits"),
    ],
)
def test_what_no_encoder_writes_is_refused(metadata, data, message):
    quantized = QuantizedEmbedding(ScalarCodec.method, 37, data, metadata)
    with pytest.raises(InvalidQuantizedData, match=message):
        ScalarCodec(37).decode(quantized)


@pytest.mark.parametrize(
    ("change", "shared", "message"),
    [
        ({"scales": np.full(40, np.inf, np.float16)}, 8, "a scale is negative or not finite"),
        ({"scales": np.full(40, -1, np.float16)}, 8, "a scale is negative or not finite"),
        ({"powers": np.zeros(40, np.int16)}, 8, "column powers is int16"),
        ({"codes": np.zeros((40, 36), np.uint8)}, 8, "column codes is uint8"),
        ({}, 5, "a batch with bits 5"),
        ({}, None, "a batch with bits None"),
        ({}, 8.0, "a batch with bits 8.0"),
        ({}, np.array([8, 8]), "a batch with bits"),
    ],
)
def test_a_batch_that_contradicts_itself_is_refused(change, shared, message):
    made = ScalarCodec(37).encode_batch(ROWS)
    batch = QuantizedBatch(made.method, 37, {**made.columns, **change}, {"bits": shared})
    with pytest.raises(InvalidQuantizedData, match=message):
        ScalarCodec(37).decode_batch(batch)


def test_metadata_may_hold_the_numbers_of_numpy():
    made = ScalarCodec(37).encode(ROWS[0])
    metadata = ScalarMetadata(np.int64(8), np.float16(made.metadata.scale), np.int8(0))
    other = QuantizedEmbedding(made.method, 37, made.data, metadata)
    np.testing.assert_array_equal(ScalarCodec(37).decode(other), ScalarCodec(37).decode(made))


def test_the_bytes_of_an_embedding():
    assert [scalar_bytes(384, bits) for bits in BITS] == [384, 288, 192, 96]
    assert [scalar_bytes(5, bits) for bits in BITS] == [5, 4, 3, 2]
