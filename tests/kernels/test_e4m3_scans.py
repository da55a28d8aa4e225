"""Scans of E4M3 codes equal decoding first, whatever the magnitude of the query."""

import numpy as np
import pytest
from e4m3_calls import LENGTHS, cosine_rows, decode, decode_rows, encode_rows, rows
from kernel_levels import FUSING
from looping import looped

from cgcython.kernels import dispatch

F32, U8 = np.float32, np.uint8


@looped("dim", LENGTHS)
def test_scans_equal_decoding_first(kernel, dim):
    values, query = rows(7, dim), rows(1, dim, 3, seed=1)[0]
    codes, scales = encode_rows(kernel, values)
    decoded, out = decode_rows(kernel, codes, scales).astype(float), np.empty(7, F32)
    # Sums of float32 products in 32 lanes are within a few units of the largest partial sum.
    tolerance = 1e-6 * max(1, np.abs(decoded).sum())
    kernel("e4m3").dot_rows(query, codes, scales, out)
    np.testing.assert_allclose(out, decoded @ query, atol=tolerance)
    out = cosine_rows(kernel, query, codes)
    norms = np.sqrt((decoded**2).sum(axis=1) * (query.astype(float) ** 2).sum())
    np.testing.assert_allclose(out, decoded @ query / np.maximum(norms, 1e-30), atol=1e-6)


@pytest.mark.parametrize("magnitude", [1, 1e-38, 1e-36, 1e-30, 1e18, 3e38])
def test_cosines_do_not_depend_on_magnitude(kernel, magnitude):
    codes = encode_rows(kernel, rows(1, 200))[0]
    out = cosine_rows(kernel, decode(kernel, codes[0], magnitude / 448), codes)
    # Where the query is subnormal it has few bits itself.
    np.testing.assert_allclose(out, 1, atol=1e-6 if magnitude > 1e-35 else 2e-3)


def test_a_zero_side_has_cosine_zero(kernel):
    codes = np.array([[0, 0], [0x80, 0], [0x38, 0]], U8)
    assert cosine_rows(kernel, np.array([1, 0], F32), codes).tolist() == [0, 0, 1]
    assert cosine_rows(kernel, np.zeros(2, F32), codes).tolist() == [0, 0, 0]


@looped("code", range(256))
def test_scans_know_every_code(kernel, code):
    codes, out = np.array([[0x38, code, 0x38]], U8), np.empty(1, F32)
    query, value = np.array([0, 2, 0], F32), decode(kernel, codes[0])[1]
    kernel("e4m3").dot_rows(query, codes, np.array([4], F32), out)
    np.testing.assert_array_equal(out, value * 8)
    out = cosine_rows(kernel, query, codes)
    np.testing.assert_allclose(out, value / np.sqrt(value**2 + 2), rtol=1e-6)


@pytest.mark.parametrize("dim", [2047, 2048, 2049, 4200])
def test_scans_take_long_rows_in_parts(kernel, dim):
    rng = np.random.default_rng(dim)
    codes, query = rng.integers(0, 0x7F, (259, dim), U8), rng.standard_normal(dim, F32)
    values = decode_rows(kernel, codes, np.ones(259, F32)).astype(float)
    out = np.empty(259, F32)
    kernel("e4m3").dot_rows(query, codes, np.ones(259, F32), out)
    np.testing.assert_allclose(out, values @ query, atol=1e-6 * (values @ np.abs(query)).max())
    out = cosine_rows(kernel, query, codes)
    norms = np.linalg.norm(values, axis=1) * np.linalg.norm(query)
    np.testing.assert_allclose(out, values @ query / norms, atol=1e-6)


@pytest.mark.parametrize("dim", [9, 333, 2100])
def test_scans_return_the_same_bits_on_every_level_with_fma(dim):
    values, query = rows(9, dim), rows(1, dim, seed=1)[0]
    found = []
    for level in FUSING:
        module, out = dispatch.load("e4m3", level), np.empty((2, 9), F32)
        codes, scales = encode_rows(lambda _, module=module: module, values)
        module.dot_rows(query, codes, scales, out[0])
        out[1] = cosine_rows(lambda _, module=module: module, query, codes)
        found.append(out)
    assert all(np.array_equal(found[0], other) for other in found)


@pytest.mark.parametrize("magnitude", [1e-38, 1e-20, 1e20, 1e36])
def test_products_survive_what_their_sums_would_not(kernel, magnitude):
    query, codes, out = rows(1, 200, magnitude, 1)[0], np.full((1, 200), 0x7E, U8), np.empty(1, F32)
    kernel("e4m3").dot_rows(query, codes, np.array([2.0**-12], F32), out)
    expected = query.astype(float).sum() * 448 * 2.0**-12
    assert abs(out[0] - expected) < 1e-5 * abs(query.astype(float)).sum()


def test_scans_check_their_shapes(kernel):
    codes, out, scan = np.zeros((2, 3), U8), np.zeros(2, F32), kernel("e4m3")
    factors = np.zeros(2, F32)
    with pytest.raises(ValueError, match="a row of codes holds 3, query holds 4"):
        scan.cosine_rows(np.zeros(4, F32), codes, factors, out)
    with pytest.raises(ValueError, match="out holds 1, codes holds 2"):
        scan.cosine_rows(np.zeros(3, F32), codes, factors, out[:1])
    with pytest.raises(ValueError, match="inverse_norms holds 1, codes holds 2"):
        scan.cosine_rows(np.zeros(3, F32), codes, factors[:1], out)
    with pytest.raises(ValueError, match="scales holds 1, codes holds 2"):
        scan.dot_rows(np.zeros(3, F32), codes, factors[:1], out)
    with pytest.raises(ValueError, match="out holds 1, codes holds 2"):
        scan.inverse_norms(codes, out[:1])


def test_lengths_are_those_of_the_codes(kernel):
    codes, out = np.array([[0x38, 0x38], [0x80, 0], [0x01, 0], [0x7E, 0x7F]], U8), np.empty(4, F32)
    kernel("e4m3").inverse_norms(codes, out)
    np.testing.assert_array_equal(out, np.array([2**-0.5, 0, 512, np.nan], F32))


def test_one_vector_decodes_into_memory_that_fits(kernel):
    codes, out = bytes(range(0x38, 0x48)), np.empty(16, np.float32)
    decode = kernel("e4m3").decode_vector
    assert decode(codes, 2.0, 1.0, out) is out
    np.testing.assert_array_equal(out, decode(codes, 2.0, 1.0))


def test_one_vector_encodes_into_memory_that_fits(kernel):
    values, out, bits = rows(1, 70)[0], np.empty(70, U8), np.empty(9, U8)
    codes, scale = kernel("e4m3").encode_vector(values, 70)
    found = kernel("e4m3").encode_vector(values, 70, out)
    assert found[0] is out
    assert (out.tobytes(), found[1]) == (codes, scale)
    assert kernel("bits").pack_vector(values, 70, 0.25, bits) is bits
    assert bits.tobytes() == kernel("bits").pack_vector(values, 70, 0.25)


@pytest.mark.parametrize(
    "out",
    [np.empty(15, U8), np.empty(16, "i1"), np.empty(32, U8)[::2], np.empty((1, 16), U8), b"16"],
    ids=["short", "signed", "strided", "matrix", "no array"],
)
def test_codes_want_a_closer_look_at_other_memory(kernel, out):
    assert kernel("e4m3").encode_vector(np.zeros(16, F32), 16, out) is None
    assert kernel("bits").pack_vector(np.zeros(128, F32), 128, 0.0, out) is None


@pytest.mark.parametrize(
    "out",
    [np.empty(15, "f4"), np.empty(16), np.empty(32, "f4")[::2], np.empty((1, 16), "f4"), "out"],
    ids=["short", "float64", "strided", "matrix", "no array"],
)
def test_one_vector_wants_a_closer_look_at_other_memory(kernel, out):
    assert kernel("e4m3").decode_vector(bytes(16), 1.0, 0.0, out) is None
    assert kernel("bits").unpack_vector(bytes(2), 16, out) is None


def test_one_vector_leaves_read_only_memory_alone(kernel):
    out = np.zeros(16, np.float32)
    out.flags.writeable = False
    assert kernel("e4m3").decode_vector(bytes(16), 1.0, 1.0, out) is None
    assert not out.any()


@looped("dim", [1, 63, 384, 2049, 4096])
@looped("count", [0, 1, 5, 40])
def test_cosines_of_some_rows_are_those_of_all(kernel, dim, count):
    rng = np.random.default_rng(dim)
    codes, query = rng.integers(0, 0x7F, (50, dim), U8), rng.standard_normal(dim, F32)
    norms, out = np.empty(50, F32), np.empty(count, F32)
    kernel("e4m3").inverse_norms(codes, norms)
    chosen = rng.integers(0, 50, count)
    kernel("e4m3").cosine_rows_at(query, codes, norms, chosen, out)
    np.testing.assert_array_equal(out, cosine_rows(kernel, query, codes)[chosen])


@pytest.mark.parametrize(
    ("rows", "dim", "message"),
    [
        ([0, 5], 3, "row 5 is not among 5"),
        ([-1, 0], 3, "row -1 is not among 5"),
        ([0, 1, 2], 3, "out holds 2, rows holds 3"),
        ([0, 1], 4097, "query holds 4097, expected up to 4096"),
    ],
)
def test_rows_that_are_scored_must_be_there(kernel, rows, dim, message):
    codes, out = np.zeros((5, dim), U8), np.empty(2, F32)
    with pytest.raises(ValueError, match=message):
        kernel("e4m3").cosine_rows_at(
            np.zeros(dim, F32), codes, np.zeros(5, F32), np.array(rows), out
        )
