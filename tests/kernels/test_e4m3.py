"""E4M3 is small enough to check completely: every code, every midpoint, both neighbours."""

import ml_dtypes
import numpy as np
import pytest
from e4m3_calls import LENGTHS, decode, decode_rows, encode, encode_rows, rows
from looping import looped

from cgcython.kernels import dispatch

F32, U8 = np.float32, np.uint8
FINITE = np.arange(127, dtype=U8).view(ml_dtypes.float8_e4m3fn).astype(F32)
MIDPOINTS = (FINITE[:-1] + FINITE[1:]) / F32(2)
EDGES = np.concatenate([FINITE, MIDPOINTS])
EDGES = np.concatenate([EDGES, np.nextafter(EDGES, F32(-1)), np.nextafter(EDGES, F32(1e9))])
STRIDE = 4099  # through all bit patterns, prime to all powers of two
CHUNK = 1 << 22
MAGNITUDES = [1, 1e-44, 1e-40, 1e-38, 1e-36, 1e-30, 1e18, 3e37]


def witness(values):
    """Return the codes of ml_dtypes, which turns what lies beyond 464 into NaN."""
    with np.errstate(invalid="ignore"):
        codes = values.astype(ml_dtypes.float8_e4m3fn).view(U8)
    beyond = np.abs(values) > 448
    codes[beyond] = 0x7E | np.signbit(values[beyond]) << 7
    return codes


@pytest.mark.parametrize("sign", [1, -1])
def test_rounds_like_an_independent_implementation(kernel, sign):
    np.testing.assert_array_equal(encode(kernel, sign * EDGES), witness(sign * EDGES))


def test_floats_of_all_kinds_round_like_an_independent_implementation(kernel):
    for start in range(0, 1 << 32, CHUNK * STRIDE):
        stop = min(start + CHUNK * STRIDE, 1 << 32)
        values = np.arange(start, stop, STRIDE, dtype=np.uint64).astype(np.uint32).view(F32)
        assert np.array_equal(encode(kernel, values), witness(values)), hex(start)


def test_every_float_rounds_like_an_independent_implementation(part):
    """All 2**32 with --whole, which takes minutes."""
    levels = [dispatch.load("e4m3", level) for level in dispatch.available()]
    for start in part(range(0, 1 << 32, CHUNK), 1024):
        values = np.arange(start, start + CHUNK, dtype=np.uint32).view(F32)
        expected, codes = witness(values), np.empty(CHUNK, U8)
        for e4m3 in levels:
            e4m3.encode(values, codes)
            assert np.array_equal(codes, expected), f"{e4m3.__name__}, from {start:#x} on"


def test_every_code_decodes_like_an_independent_implementation(kernel):
    codes = np.arange(256, dtype=U8)
    expected = codes.view(ml_dtypes.float8_e4m3fn).astype(F32)
    np.testing.assert_array_equal(decode(kernel, codes), expected)
    np.testing.assert_array_equal(np.signbit(decode(kernel, codes)), codes >= 128)


def test_every_code_survives_decoding_and_encoding(kernel):
    codes = np.arange(256, dtype=U8)
    np.testing.assert_array_equal(encode(kernel, decode(kernel, codes)), codes)


def test_anything_too_large_becomes_448(kernel):
    values = np.array([448, 464, 464.1, 1e9, np.inf, -np.inf], F32)
    assert decode(kernel, encode(kernel, values)).tolist() == [448] * 5 + [-448]


def test_decoding_applies_scale_and_bias(kernel):
    codes = np.array([0x38, 0x40, 0x78, 0xB8], U8)
    assert decode(kernel, codes, 0.5, 3).tolist() == [3.5, 4, 131, 2.5]


def test_scales_near_both_ends_of_the_range_are_honoured(kernel):
    codes = np.array([0x01, 0x38], U8)
    for scale in (2.0**127, 2.0**-120, 2.0**-149):
        expected = np.array([2.0**-9, 1]) * scale
        np.testing.assert_array_equal(decode(kernel, codes, scale), expected.astype(F32))


@looped("dim", LENGTHS)
def test_tails_encode_and_decode_like_the_middle(kernel, dim):
    values = np.resize(EDGES, dim)
    codes = encode(kernel, values)
    np.testing.assert_array_equal(codes, witness(values))
    np.testing.assert_array_equal(decode(kernel, codes), decode(kernel, codes.repeat(64))[::64])


@looped("magnitude", MAGNITUDES)
def test_rows_are_what_the_reference_writes(kernel, magnitude):
    reference = dispatch.load("e4m3", "reference")
    for dim in LENGTHS:
        values = rows(3, dim, magnitude)
        codes, scales = encode_rows(kernel, values)
        expected_codes, expected_scales = encode_rows(lambda _: reference, values)
        np.testing.assert_array_equal(codes, expected_codes)
        np.testing.assert_array_equal(scales, expected_scales)
        expected = decode_rows(lambda _: reference, codes, scales)
        np.testing.assert_array_equal(decode_rows(kernel, codes, scales), expected)


def test_scaled_codes_are_those_of_an_independent_implementation(kernel):
    values = rows(40, 512)
    codes, scales = encode_rows(kernel, values)
    peaks = np.abs(values).max(axis=1, keepdims=True)
    np.testing.assert_array_equal(
        codes, witness((values * (F32(448) / peaks)).ravel()).reshape(40, 512)
    )
    np.testing.assert_array_equal(scales, peaks[:, 0] / F32(448))


@looped("magnitude", MAGNITUDES)
def test_every_magnitude_keeps_its_direction(kernel, magnitude):
    values = rows(20, 384, magnitude)
    decoded = decode_rows(kernel, *encode_rows(kernel, values)).astype(float)
    values = values.astype(float)
    norms = np.sqrt((values**2).sum(axis=1) * (decoded**2).sum(axis=1))
    # At 1e-44 a value is a handful of the smallest subnormals: the input itself is that coarse.
    assert (1 - (values * decoded).sum(axis=1) / norms).max() < 6e-4


def test_extreme_rows_round_trip_without_overflow(kernel):
    values = np.array([[3.4e38, -1e-38, 1e-44], [1e-44, -3e-45, 0], [2.0**-118, 1e-38, 0]], F32)
    decoded = decode_rows(kernel, *encode_rows(kernel, values))
    assert np.isfinite(decoded).all()
    np.testing.assert_allclose(np.abs(decoded).max(axis=1), np.abs(values).max(axis=1), rtol=0.07)


def test_peaks_around_the_switch_to_powers_of_two_agree(kernel):
    peaks = np.float64(2) ** -np.arange(115, 150)[:, None] * [1, 1.25, 1.75, 1.7500001, 1.9999]
    values = peaks.astype(F32).reshape(-1, 1) * F32(1) ** np.arange(3, dtype=F32)
    reference = encode_rows(lambda _: dispatch.load("e4m3", "reference"), values)
    for actual, expected in zip(encode_rows(kernel, values), reference):
        np.testing.assert_array_equal(actual, expected)


def test_zero_rows_have_scale_one(kernel):
    codes, scales = encode_rows(kernel, np.array([[0, -0.0, 0], [1, 0, 0]], F32))
    assert codes.tolist() == [[0, 0x80, 0], [0x7E, 0, 0]]
    assert scales[0] == 1


@looped("bad", [np.nan, -np.nan, np.inf, -np.inf])
@looped("at", [0, 1, 37, 69, 70, 209])
def test_the_first_value_that_is_not_finite_is_named(kernel, bad, at):
    values = rows(3, 70)
    values.flat[at] = bad
    values[2, 69] = bad
    codes, scales = np.empty(values.shape, U8), np.empty(3, F32)
    assert kernel("e4m3").encode_rows(values, codes, scales) == at


@looped("dim", LENGTHS)
def test_one_vector_is_a_batch_of_one(kernel, dim):
    values = rows(1, dim)
    (codes,), (scale,) = encode_rows(kernel, values)
    assert kernel("e4m3").encode_vector(values[0], dim) == (codes.tobytes(), scale)
    decoded = kernel("e4m3").decode_vector(codes.tobytes(), scale, 0.25)
    assert decoded.dtype == F32
    np.testing.assert_array_equal(decoded, decode(kernel, codes, scale, 0.25))


@looped(
    "values",
    [
        [1.0, 2.0],
        None,
        np.zeros(2),
        np.zeros(3, F32),
        np.zeros((1, 2), F32),
        np.zeros(4, F32)[::2],
        np.zeros(2, ">f4"),
        np.zeros(9, U8)[1:].view(F32),
        np.array([1, np.nan], F32),
        np.array([np.inf, 1], F32),
    ],
)
def test_anything_but_a_plain_finite_vector_asks_for_a_closer_look(kernel, values):
    assert kernel("e4m3").encode_vector(values, 2) is None


def test_read_only_inputs_are_welcome(kernel):
    values = rows(2, 5)
    values.flags.writeable = False
    codes, scales = encode_rows(kernel, values)
    codes.flags.writeable = scales.flags.writeable = False
    decode_rows(kernel, codes, scales)
    assert kernel("e4m3").encode_vector(values[0], 5)[0] == codes[0].tobytes()


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0)])
def test_nothing_encodes_to_nothing(kernel, shape):
    codes, scales = encode_rows(kernel, np.empty(shape, F32))
    assert decode_rows(kernel, codes, scales).shape == shape
    assert scales.tolist() == [1] * shape[0]


def test_lengths_must_agree(kernel):
    with pytest.raises(ValueError, match="codes holds 3, values holds 4"):
        kernel("e4m3").encode(np.zeros(4, F32), np.zeros(3, U8))
    with pytest.raises(ValueError, match="values holds 3, codes holds 4"):
        kernel("e4m3").decode(np.zeros(4, U8), 1, 0, np.zeros(3, F32))


@pytest.mark.parametrize("bad", [np.zeros(4), np.zeros((2, 2), F32), np.zeros(8, F32)[::2], [0.0]])
def test_only_plain_arrays_pass(kernel, bad):
    if kernel("e4m3").__name__.endswith("reference.e4m3"):
        pytest.skip("the reference takes what NumPy takes")
    with pytest.raises(ValueError, match="values is no contiguous array"):
        kernel("e4m3").encode(bad, np.zeros(4, U8))
    with pytest.raises(ValueError, match="values is no contiguous array"):
        kernel("e4m3").decode(np.zeros(4, U8), 1, 0, bad)


@pytest.mark.parametrize("at", [0, 1, 15])
def test_what_no_cache_holds_is_the_same_in_every_piece(kernel, at):
    if kernel("e4m3").__name__.endswith("reference.e4m3"):
        pytest.skip("the reference has no cache in mind")
    some = np.resize(EDGES, 70_001)
    values = np.resize(some, (1 << 24) + 100 + at)[at:]
    codes = encode(kernel, values)
    assert np.array_equal(codes, np.resize(witness(some), len(codes) + at)[at:])
    decoded = np.empty(len(codes) + at, F32)[at:]
    kernel("e4m3").decode(codes, 1, 0, decoded)
    assert np.array_equal(decoded, decode(kernel, np.arange(256, dtype=U8))[codes])


@pytest.mark.parametrize(
    ("codes", "scales", "message"),
    [
        ((1, 3), 2, "codes holds 1, values holds 2"),
        ((2, 4), 2, "a row of codes holds 4, a row of values holds 3"),
        ((2, 3), 1, "scales holds 1, values holds 2"),
    ],
)
def test_shapes_must_agree(kernel, codes, scales, message):
    with pytest.raises(ValueError, match=message):
        kernel("e4m3").encode_rows(
            np.zeros((2, 3), F32), np.zeros(codes, U8), np.zeros(scales, F32)
        )
