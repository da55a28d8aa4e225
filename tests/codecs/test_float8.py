"""Float8 records: scaled to their peak, within 0.3 % on any data, hostile records refused."""

from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest

from cgcython.base import QuantizationMethod
from cgcython.codecs.float8 import Float8Codec
from cgcython.errors import InvalidInput, InvalidQuantizedData, NonFiniteValue
from cgcython.metadata import Float8Metadata
from cgcython.records import QuantizedEmbedding

FLOAT8, DIM = QuantizationMethod.FLOAT8_E4M3, 512
CODEC = Float8Codec(DIM)
RNG = np.random.default_rng(8)
NORMAL = RNG.standard_normal((100, DIM))
OUTLIERS = np.where(RNG.random((100, DIM)) < 0.01, 20, 1) * NORMAL
DATA = {
    "normal": NORMAL,
    "uniform": RNG.uniform(-1, 1, (100, DIM)),
    "positive": RNG.random((100, DIM)),
    "outliers": OUTLIERS,
}


def record(data, scale=1.0, bias=0.0):
    return QuantizedEmbedding(FLOAT8, len(data), data, Float8Metadata(scale, bias))


def test_a_code_per_value_and_one_scale(level):
    quantized = Float8Codec(4).encode([1.0, -0.5, 0.0, 0.25])
    assert quantized.data.hex() == "7ef6006e"
    assert quantized.metadata == Float8Metadata(float(np.float32(1 / 448)), 0.0)


@pytest.mark.parametrize("values", DATA.values(), ids=DATA)
def test_codes_are_those_of_an_independent_implementation(level, values):
    values = values.astype(np.float32)
    scaled = values * (np.float32(448) / np.abs(values).max(1, keepdims=True))
    batch = CODEC.encode_batch(values)
    expected = scaled.astype(ml_dtypes.float8_e4m3fn).view(np.uint8)
    np.testing.assert_array_equal(batch.columns["codes"], expected)


@pytest.mark.parametrize("values", DATA.values(), ids=DATA)
def test_loses_no_more_than_the_specified_part(level, values):
    decoded = CODEC.decode_batch(CODEC.encode_batch(values))
    losses = [CODEC.loss(*pair) for pair in zip(values, decoded)]
    assert np.mean(losses) <= 0.0004
    assert np.max(losses) <= 0.0006


@pytest.mark.parametrize("size", [1e-44, 1e-40, 1e-38, 1e-20, 1.0, 1e20, 3e38])
def test_tiny_and_huge_vectors_keep_their_shape(level, size):
    values = np.linspace(-1, 1, 64, dtype=np.float32) * np.float32(size)
    codec = Float8Codec(64)
    decoded = codec.decode(codec.encode(values))
    # Half a step of the codes, whose peak lies between 224 and 448; and float32's own near zero.
    assert np.abs(decoded - values).max() <= size * 16 / 224 + 2**-149
    assert codec.loss(values, decoded) <= (0.003 if size > 1e-42 else 0.02)


@pytest.mark.parametrize(
    ("size", "part"), [(1e-36, 1e-6), (1e-38, 1e-4), (1e-40, 4e-3), (1e-41, 0.04)]
)
def test_a_tiny_peak_comes_back_as_well_as_float32_can_hold_its_scale(level, size, part):
    values = np.full(40, size, np.float32)
    codec = Float8Codec(40)
    np.testing.assert_allclose(codec.decode(codec.encode(values)), values, rtol=part)
    batch = codec.encode_batch(np.stack([values, -values]))
    np.testing.assert_allclose(codec.decode_batch(batch), [values, -values], rtol=part)


def test_values_far_below_the_peak_become_zero(level):
    codec = Float8Codec(3)
    decoded = codec.decode(codec.encode([3e38, 1e-38, -1.0]))
    np.testing.assert_allclose(decoded, [3e38, 0, 0], rtol=1e-6)


def test_zeros_have_scale_one(level):
    quantized = CODEC.encode(np.zeros(DIM))
    assert quantized.metadata.scale == 1.0
    assert not CODEC.decode(quantized).any()


@pytest.mark.parametrize("values", [NORMAL[0].astype(kind) for kind in ("f2", "f4", "f8", ">f4")])
def test_numbers_of_any_width_give_the_codes_of_float32(level, values):
    assert CODEC.encode(values) == CODEC.encode(np.array(values, np.float32))
    assert CODEC.encode(np.repeat(values, 2)[::2]) == CODEC.encode(values)


def test_any_scale_and_bias_are_honoured(level):
    codec = Float8Codec(3)
    for scale, bias in ((2.0, 0.5), (-1.0, 0.0), (0.0, 3.0)):
        decoded = codec.decode(record(b"\x38\xb8\x40", scale, bias))
        np.testing.assert_array_equal(decoded, np.float32([1, -1, 2]) * scale + bias)


def test_decodes_into_memory_the_caller_has(level):
    quantized, out = CODEC.encode(NORMAL[0]), np.empty(DIM, np.float32)
    assert CODEC.decode(quantized, out) is out
    np.testing.assert_array_equal(out, CODEC.decode(quantized))
    batch, out = CODEC.encode_batch(NORMAL), np.empty((100, DIM), np.float32)
    assert CODEC.decode_batch(batch, out=out) is out
    np.testing.assert_array_equal(out, CODEC.decode_batch(batch))


def test_encodes_into_the_columns_of_another_batch(level):
    other = CODEC.encode_batch(OUTLIERS)
    batch = CODEC.encode_batch(NORMAL, out=other)
    assert batch.columns["codes"] is other.columns["codes"]
    assert CODEC.row(batch, 7) == CODEC.encode(NORMAL[7])


@pytest.mark.parametrize(
    "out",
    [np.empty(DIM), np.empty(DIM + 1, "f4"), np.empty((DIM, 2), "f4")[:, 0], [0.0] * DIM],
    ids=["float64", "too long", "strided", "list"],
)
def test_memory_that_does_not_fit_is_refused(out):
    with pytest.raises(InvalidInput, match="out: expected a writable, C-contiguous array"):
        CODEC.decode(CODEC.encode(NORMAL[0]), out)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e39])
def test_the_first_bad_value_is_named(level, value):
    values = NORMAL.copy()
    values[40, 3] = values[50, 0] = value
    with pytest.raises(NonFiniteValue, match=f"value {40 * DIM + 3} is"):
        CODEC.encode_batch(values, num_threads=2)
    with pytest.raises(NonFiniteValue, match="value 3 is"):
        CODEC.encode(values[40])


@pytest.mark.parametrize("scale", [np.nan, np.inf, 1e36, -1e36])
def test_scales_beyond_float32_are_refused(scale):
    with pytest.raises(InvalidQuantizedData, match="overflow"):
        Float8Codec(2).decode(record(b"\x7e\x7e", scale))
    batch = CODEC.encode_batch(NORMAL[:2])
    batch.columns["scales"][1] = scale
    with pytest.raises(InvalidQuantizedData, match="overflow"):
        CODEC.decode_batch(batch)


@pytest.mark.parametrize("metadata", [Float8Metadata("x"), Float8Metadata(1.0, None)])
def test_metadata_that_are_no_numbers_are_refused(metadata):
    with pytest.raises(InvalidQuantizedData, match="no numbers"):
        Float8Codec(2).decode(replace(record(b"\x7e\x7e", 1.0), metadata=metadata))


@pytest.mark.parametrize("code", [0x7F, 0xFF])
def test_codes_that_are_no_number_are_refused(code):
    with pytest.raises(InvalidQuantizedData, match="a code is NaN"):
        Float8Codec(2).decode(record(bytes([0x38, code])))


def test_columns_that_do_not_fit_are_refused():
    batch = CODEC.encode_batch(NORMAL)
    batch.columns["scales"] = batch.columns["scales"][:-1]
    with pytest.raises(InvalidQuantizedData, match=r"column scales is float32 \(99,\)"):
        CODEC.decode_batch(batch)
    del batch.columns["scales"]
    with pytest.raises(InvalidQuantizedData, match="column scales is NoneType"):
        CODEC.decode_batch(batch)
