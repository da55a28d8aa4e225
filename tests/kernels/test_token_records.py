"""Kept rows lie as a bitmap, scales and codes; whatever contradicts the bitmap is seen."""

import numpy as np
import pytest

F32, U8, U32 = np.float32, np.uint8, np.uint32
SHAPES = [(1, 1, 1), (8, 8, 3), (9, 4, 128), (33, 17, 70), (5, 0, 16)]


def case(n, count, dim):
    rng = np.random.default_rng(n)
    kept = np.sort(rng.permutation(n)[:count]).astype(U32)
    return rng.standard_normal((n, dim), dtype=F32), kept


def encode(kernel, values, kept):
    data = np.full((len(values) + 7) // 8 + len(kept) * (4 + values.shape[1]), 0xAA, U8)
    return kernel("e4m3").encode_kept(values, kept, data), data


def decode(kernel, data, n, count, dim):
    out = np.empty((count, dim), F32)
    return kernel("e4m3").decode_kept(data, n, out), out


@pytest.mark.parametrize(("n", "count", "dim"), SHAPES)
def test_kept_rows_are_a_bitmap_then_scales_then_codes(kernel, n, count, dim):
    values, kept = case(n, count, dim)
    codes, scales = np.empty((count, dim), U8), np.empty(count, F32)
    kernel("e4m3").encode_rows(values[kept], codes, scales)
    bitmap = np.packbits(np.isin(np.arange(n), kept))
    finite, data = encode(kernel, values, kept)
    assert finite
    assert data.tobytes() == bitmap.tobytes() + scales.tobytes() + codes.tobytes()


@pytest.mark.parametrize(("n", "count", "dim"), SHAPES)
def test_they_decode_as_rows_do(kernel, n, count, dim):
    values, kept = case(n, count, dim)
    sound, out = decode(kernel, encode(kernel, values, kept)[1], n, count, dim)
    codes, scales, expected = np.empty((count, dim), U8), np.empty(count, F32), np.empty_like(out)
    kernel("e4m3").encode_rows(values[kept], codes, scales)
    kernel("e4m3").decode_rows(codes, scales, expected)
    assert sound
    assert np.array_equal(out, expected)


@pytest.mark.parametrize(
    ("place", "byte"), [(0, 0xFF), (0, 0x00), (1, 0x01), (2 + 3, 0x7F), (-1, 0xFF)]
)
def test_damage_is_seen(kernel, place, byte):
    values = np.ones((9, 2), F32)
    _, data = encode(kernel, values, np.array([0, 8], U32))
    assert decode(kernel, data, 9, 2, 2)[0]
    data[place] = byte
    assert not decode(kernel, data, 9, 2, 2)[0]


def test_a_row_that_is_not_finite_is_told(kernel):
    values = np.ones((3, 4), F32)
    values[1, 2] = np.inf
    assert not encode(kernel, values, np.array([0, 1], U32))[0]
    assert encode(kernel, values, np.array([0, 2], U32))[0]


def test_the_door_refuses_what_does_not_fit(kernel):
    values, data = np.ones((3, 4), F32), np.empty(9, U8)
    with pytest.raises(ValueError, match="kept"):
        kernel("e4m3").encode_kept(values, np.array([3], U32), data)
    with pytest.raises(ValueError, match="data"):
        kernel("e4m3").encode_kept(values, np.array([2], U32), data[:8])
    with pytest.raises(ValueError, match="data"):
        kernel("e4m3").decode_kept(data[:8], 3, np.empty((1, 4), F32))
