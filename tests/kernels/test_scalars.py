"""Turned scalar codes: the rotation by matrices, codes by their values, scores by float64."""

import numpy as np
import pytest
from looping import looped
from scipy.linalg import hadamard

from cgcython.kernels import dispatch

BITS = [8, 6, 4, 2]
DIMS = [1, 2, 3, 5, 7, 17, 36, 64, 100, 129, 130, 384, 511, 4099]
REFERENCE = dispatch.load("scalars", "reference")


def width(dim, bits):
    return -(-dim * bits // 8)


def drawn(n, dim, seed=0, size=1.0):
    return (np.random.default_rng(seed).standard_normal((n, dim)) * size).astype(np.float32)


def encoded(scalars, values, bits):
    n, dim = values.shape
    codes, scales = np.full((n, width(dim, bits)), 77, np.uint8), np.empty(n, np.float32)
    powers, room = np.empty(n, np.int8), np.empty(scalars.scratch(dim), np.float32)
    found = scalars.encode_rows(values, bits, room, codes, scales, powers)
    return found, codes, scales, powers


def decoded(scalars, codes, bits, scales, powers, dim):
    values = np.empty((len(codes), dim), np.float32)
    scalars.decode_rows(codes, bits, scales, powers, values)
    return values


def scored(scalars, query, codes, bits):
    """Return cosines, and what a query was packed as."""
    dim, norms = len(query), np.empty(len(codes), np.float32)
    scalars.inverse_norms(codes, bits, dim, norms)
    packed = np.empty(scalars.packed_size(dim, bits), np.int16)
    facts = scalars.pack_query(query, bits, np.empty(scalars.scratch(dim), np.float32), packed)
    out = np.empty(len(codes), np.float32)
    factor = 1 / np.sqrt(facts[1])
    scalars.score_rows(packed, facts[0], factor, codes, bits, dim, norms, out)
    return out, packed, facts


def signs(first, count):
    """Return the documented signs in whole numbers of any size."""
    found = []
    for n in range(first + 1, first + 1 + count):
        n = n * 0x9E3779B1 % 2**32
        n = (n ^ n >> 15) * 0x85EBCA77 % 2**32
        n = (n ^ n >> 13) * 0xC2B2AE3D % 2**32
        found.append(-1 if (n ^ n >> 16) >> 31 else 1)
    return np.array(found)


def rotation(dim):
    """Return the matrix [dim, dim] that rows are turned by."""
    size = 1 << (dim.bit_length() - 1)
    block, first, second = hadamard(size) / np.sqrt(size), np.eye(dim), np.eye(dim)
    first[:size, :size] = signs(0, size)[:, None] * block
    if dim > size:
        second[dim - size :, dim - size :] = signs(2**31, size)[:, None] * block
    return first @ second


@looped("dim", [2, 3, 36, 128, 384])
def test_rows_decode_to_the_levels_of_the_rotation_that_is_documented(kernel, dim):
    rows, turn = drawn(4, dim), rotation(dim)
    np.testing.assert_allclose(turn @ turn.T, np.eye(dim), atol=1e-12)
    _, codes, scales, powers = encoded(kernel("scalars"), rows, 8)
    turned = (2 * codes.astype(float) - 255) * (scales * 2.0**powers)[:, None] / 256
    np.testing.assert_allclose(turned, rows @ turn, atol=float(scales.max()) / 255)
    values = decoded(kernel("scalars"), codes, 8, scales, powers, dim)
    np.testing.assert_allclose(values, turned @ turn.T, atol=1e-5)


@looped("dim", DIMS)
@looped("bits", BITS)
def test_every_level_writes_and_reads_the_same(kernel, dim, bits):
    sizes = np.array([1, 1e-30, 1e-44, 3e37, 1e6, 0])
    rows = drawn(6, dim, dim, sizes[:, None])
    expected = encoded(REFERENCE, rows, bits)
    found = encoded(kernel("scalars"), rows, bits)
    for one, other in zip(found, expected):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(
        decoded(kernel("scalars"), found[1], bits, *found[2:], dim),
        decoded(REFERENCE, found[1], bits, *found[2:], dim),
    )


@looped("dim", [1, 2, 7, 36, 129, 130, 384, 1153])
@looped("bits", BITS)
def test_every_level_scores_the_same(kernel, dim, bits):
    query = drawn(1, dim, 3)[0]
    codes = encoded(REFERENCE, drawn(11, dim, 1), bits)[1]
    found, packed, facts = scored(kernel("scalars"), query, codes, bits)
    expected = scored(REFERENCE, query, codes, bits)
    np.testing.assert_array_equal(packed, expected[1])
    assert facts == expected[2]
    np.testing.assert_array_equal(found, expected[0])


@looped("dim", [3, 36, 384, 1152, 9000])
@looped("bits", BITS)
def test_scores_are_cosines_of_what_rows_decode_to(kernel, dim, bits):
    query, rows = drawn(1, dim, 3)[0], drawn(7, dim, 1)
    _, codes, scales, powers = encoded(kernel("scalars"), rows, bits)
    values = decoded(kernel("scalars"), codes, bits, scales, powers, dim).astype(float)
    cosines = values @ query / np.linalg.norm(values, axis=1) / np.linalg.norm(query)
    # A part of 32767 of the query's peak, rounded, in each of its numbers.
    np.testing.assert_allclose(scored(kernel("scalars"), query, codes, bits)[0], cosines, atol=4e-5)


@pytest.mark.parametrize(("bits", "most"), [(8, 5e-5), (6, 1e-3), (4, 0.012), (2, 0.13)])
def test_a_single_value_loses_no_more_than_many(kernel, bits, most):
    rows = np.vstack([np.eye(384, dtype=np.float32), np.ones((1, 384), np.float32), drawn(9, 384)])
    _, codes, scales, powers = encoded(kernel("scalars"), rows, bits)
    values = decoded(kernel("scalars"), codes, bits, scales, powers, 384).astype(float)
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(values, axis=1)
    assert (1 - (rows * values).sum(1) / lengths).max() < most


def test_a_scale_is_an_f16_wherever_one_can_hold_it(kernel):
    for size in (1e-4, 0.05, 1.0, 3e3):
        _, _, scales, powers = encoded(kernel("scalars"), drawn(9, 64, size=size), 8)
        assert not powers.any()
        np.testing.assert_array_equal(scales, scales.astype(np.float16))
    _, _, scales, powers = encoded(kernel("scalars"), drawn(9, 64, size=1e-20), 8)
    assert powers.all()
    assert ((scales >= 1) & (scales <= 2)).all()


def test_the_largest_floats_decode_to_finite_values(kernel):
    rows = np.full((2, 100), np.finfo(np.float32).max)
    rows[1, ::3] *= -1
    for bits in BITS:
        _, codes, scales, powers = encoded(kernel("scalars"), rows, bits)
        assert np.isfinite(decoded(kernel("scalars"), codes, bits, scales, powers, 100)).all()


def test_the_first_value_that_is_not_finite_is_told(kernel):
    rows = drawn(3, 36)
    rows[1, 5], rows[2, 0] = np.inf, np.nan
    assert encoded(kernel("scalars"), rows, 4)[0] == 41
    assert kernel("scalars").encode_vector(rows[1], 36, 4) is None


@looped("bits", BITS)
def test_one_vector_is_a_row(kernel, bits):
    rows = drawn(1, 36)
    _, codes, scales, powers = encoded(kernel("scalars"), rows, bits)
    data, scale, power = kernel("scalars").encode_vector(rows[0], 36, bits)
    assert (data, scale, power) == (codes.tobytes(), scales[0], powers[0])
    values = kernel("scalars").decode_vector(data, 36, bits, scale, power)
    np.testing.assert_array_equal(
        values, decoded(kernel("scalars"), codes, bits, scales, powers, 36)[0]
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bits": 5}, "bits is 5, expected 8, 6, 4 or 2"),
        ({"codes": np.empty((3, 27), np.uint8)}, "values holds 4, codes holds 3"),
        ({"codes": np.empty((4, 26), np.uint8)}, "a row of codes holds 26, 36 values holds 27"),
        ({"scales": np.empty(3, np.float32)}, "scales holds 3, values holds 4"),
        ({"powers": np.empty(5, np.int8)}, "powers holds 5, values holds 4"),
        ({"room": np.empty(87, np.float32)}, "room holds 87, the scratch of a row holds 88"),
    ],
)
def test_arrays_must_fit(kernel, change, message):
    arguments = {
        "values": np.ones((4, 36), np.float32),
        "bits": 6,
        "room": np.empty(88, np.float32),
        "codes": np.empty((4, 27), np.uint8),
        "scales": np.empty(4, np.float32),
        "powers": np.empty(4, np.int8),
    }
    with pytest.raises(ValueError, match=message):
        kernel("scalars").encode_rows(**(arguments | change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"factors": np.ones(3, np.float32)}, "factors holds 3, codes holds 4"),
        ({"packed": np.ones(191, np.int16)}, "packed holds 191, a query holds 128"),
        ({"out": np.ones(5, np.float32)}, "out holds 5, codes holds 4"),
        ({"dim": 40}, "a row of codes holds 18, 40 values holds 20"),
    ],
)
def test_what_is_scored_must_fit(kernel, change, message):
    arguments = {
        "packed": np.ones(128, np.int16),
        "total": 0,
        "factor": 1.0,
        "codes": np.ones((4, 18), np.uint8),
        "bits": 4,
        "dim": 36,
        "factors": np.ones(4, np.float32),
        "out": np.empty(4, np.float32),
    }
    kernel("scalars").score_rows(**arguments)
    with pytest.raises(ValueError, match=message):
        kernel("scalars").score_rows(**(arguments | change))
    with pytest.raises(ValueError, match="power is 128"):
        kernel("scalars").decode_vector(bytes(36), 36, 8, 1.0, 128)
