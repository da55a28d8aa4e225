"""Records of kept tokens hold what numpy would put there; whatever contradicts itself is seen."""

import struct

import numpy as np
import pytest
from looping import looped

from cgcython.kernels import dispatch

F32, U8, U32 = np.float32, np.uint8, np.uint32
CANONICAL, E4M3, PLAIN, INT4, INT2, INT4_F16, INT2_F16 = LAYOUTS = range(7)
TURNED = {INT4: 4, INT2: 2, INT4_F16: 4, INT2_F16: 2}
WITH_F32_SCALES = {INT4_F16: INT4, INT2_F16: INT2}
SHAPES = [(1, 1, 1), (8, 8, 3), (9, 4, 128), (33, 17, 70), (5, 0, 16), (0, 0, 4), (200, 100, 128)]


def case(n, count, dim):
    rng = np.random.default_rng(n)
    kept = np.sort(rng.permutation(n)[:count]).astype(U32)
    return rng.standard_normal((n, dim), dtype=F32), kept, rng.random(count, dtype=F32)


def head(values, kept):
    return np.packbits(np.isin(np.arange(len(values)), kept)).tobytes()


def by_hand(kernel, values, kept, importance, layout):
    """The bytes of a record with struct and numpy; codes are those of other kernels' rows."""
    rows = values[kept]
    if layout == CANONICAL:
        records = [struct.pack("<f", i) + row.tobytes() for i, row in zip(importance, rows)]
        return struct.pack("<I", len(kept)) + b"".join(records)
    if layout == PLAIN:
        return head(values, kept) + rows.tobytes()
    codes, scales = coded(kernel, rows, layout)
    kind = np.float16 if layout in WITH_F32_SCALES else F32
    return head(values, kept) + scales.astype(kind).tobytes() + codes.tobytes()


def coded(kernel, rows, layout):
    bits, scales = TURNED.get(layout, 8), np.empty(len(rows), F32)
    codes = np.empty((len(rows), (rows.shape[1] * bits + 7) // 8), U8)
    if layout == E4M3:
        kernel("e4m3").encode_rows(rows, codes, scales)
    else:
        turned = np.empty_like(rows)
        kernel("dense").turn_rows(rows, turned)
        kernel("maxsim_integers").encode_rows(turned, bits, codes, scales)
    if layout in WITH_F32_SCALES:
        scales = scales.astype(np.float16).astype(F32)
    return codes, scales


def decoded_by_hand(kernel, values, kept, layout):
    rows = values[kept]
    if layout == E4M3:
        kernel("e4m3").decode_rows(*coded(kernel, rows, layout), rows)
    elif layout in TURNED:
        codes, scales = coded(kernel, rows, layout)
        kernel("maxsim_integers").decode_rows(codes, TURNED[layout], scales, rows)
        kernel("dense").turn_rows(rows, rows, True)
    return rows


@looped("layout", LAYOUTS)
@looped("shape", SHAPES)
def test_bytes_are_those_made_by_hand(kernel, shape, layout):
    record = case(*shape)
    expected = by_hand(kernel, *record, layout)
    assert kernel("token_records").encode(*record, layout) == expected


def together(texts, layout, sizes):
    """The arguments of encoding texts of one width in one call."""
    columns = [np.concatenate(column) for column in zip(*texts)]
    edges = [edges_of([len(text[column]) for text in texts]) for column in (0, 1)]
    places = edges_of(sizes)
    values, kept, importance = columns
    return values, edges[0], kept, importance, edges[1], layout, np.empty(places[-1], U8), places


def edges_of(counts):
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


@looped("layout", LAYOUTS)
def test_many_texts_are_written_as_one_by_one(kernel, layout):
    texts = [case(n, count, 70) for n, count in ((33, 17), (0, 0), (5, 5), (1, 1), (200, 100))]
    expected = [kernel("token_records").encode(*text, layout) for text in texts]
    arguments = together(texts, layout, list(map(len, expected)))
    assert kernel("token_records").encode_rows(*arguments) == -1
    assert arguments[-2].tobytes() == b"".join(expected)


@pytest.mark.parametrize("layout", [E4M3, INT4, INT2, INT4_F16, INT2_F16])
def test_the_first_text_that_is_not_finite_is_named(kernel, layout):
    texts = [case(9, 4, 16) for _ in range(3)]
    size = len(kernel("token_records").encode(*texts[0], layout))
    texts[1][0][texts[1][1][2], 3] = np.inf
    arguments = together(texts, layout, [size] * 3)
    assert kernel("token_records").encode_rows(*arguments) == 1


@looped(
    ("change", "message"),
    [
        (lambda given: given[2].fill(9), "kept names row 9 of 9"),
        (lambda given: given[4].__setitem__(1, 3), "3 of 9 tokens do not fill 82 bytes"),
        (lambda given: given[7].__setitem__(1, 81), "4 of 9 tokens do not fill 81 bytes"),
        (lambda given: given[1].__setitem__(1, 30), "row edges must ascend from 0 to 27"),
    ],
)
def test_texts_are_refused_that_do_not_fit(kernel, change, message):
    given = together([case(9, 4, 16) for _ in range(3)], E4M3, [82] * 3)
    change(given)
    with pytest.raises(ValueError, match=message):
        kernel("token_records").encode_rows(*given)


@looped("layout", LAYOUTS)
@looped(("n", "count", "dim"), SHAPES)
def test_they_decode_to_the_kept_rows(kernel, n, count, dim, layout):
    values, kept, importance = case(n, count, dim)
    data = kernel("token_records").encode(values, kept, importance, layout)
    found = kernel("token_records").decode(data, n, count, dim, layout)
    assert found.dtype == F32
    np.testing.assert_array_equal(found, decoded_by_hand(kernel, values, kept, layout))


@pytest.mark.parametrize("level", dispatch.available()[1:])
@looped("layout", TURNED)
@looped("dim", [1, 2, 7, 12, 24, 48, 96, 127, 128, 130, 256, 384, 1032, 4096])
def test_every_level_turns_tokens_to_the_bits_of_the_definition(level, layout, dim):
    records, definition = (dispatch.load("token_records", x) for x in (level, "reference"))
    record = case(9, 5, dim)
    data = records.encode(*record, layout)
    assert data == definition.encode(*record, layout)
    found, expected = (x.decode(data, 9, 5, dim, layout) for x in (records, definition))
    assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_bytes_in_an_array_decode_into_out(kernel, layout):
    values, kept, importance = case(9, 4, 128)
    data = kernel("token_records").encode(values, kept, importance, layout)
    out = np.empty((4, 128), F32)
    found = kernel("token_records").decode(np.frombuffer(data, U8), 9, 4, 128, layout, out)
    assert found is out
    np.testing.assert_array_equal(out, decoded_by_hand(kernel, values, kept, layout))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_many_decode_as_one_does(kernel, layout):
    records = kernel("token_records")
    cases = [case(*shape) for shape in [(9, 4, 16), (5, 0, 16), (33, 17, 16)]]
    parts = [records.encode(*one, layout) for one in cases]
    offsets = np.cumsum([0, *map(len, parts)])
    edges = np.cumsum([0, 4, 0, 17])
    data = np.frombuffer(b"".join(parts), U8).copy()
    values, originals = np.empty((21, 16), F32), np.array([9, 5, 33], U32)
    assert records.decode_rows(data, offsets, originals, edges, layout, values) == -1
    rows = [decoded_by_hand(kernel, *one[:2], layout) for one in cases]
    np.testing.assert_array_equal(values, np.concatenate(rows))
    data[offsets[2]] ^= 1
    assert records.decode_rows(data, offsets, originals, edges, layout, values) == 2


@looped(("place", "byte"), [(0, 0xFF), (0, 0x00), (1, 0x01), (2 + 3, 0x7F), (-1, 0xFF)])
@looped("layout", [E4M3, INT4, INT2, INT4_F16, INT2_F16])
def test_damaged_codes_are_seen(kernel, place, byte, layout):
    kept = np.array([0, 8], U32)
    data = bytearray(kernel("token_records").encode(np.ones((9, 3), F32), kept, None, layout))
    if layout in WITH_F32_SCALES and place == 5:
        place = 3  # the sign and exponent of the first scale
    data[place] = byte
    data[place] |= 0x80 * (byte == 0x7F)
    assert kernel("token_records").decode(bytes(data), 9, 2, 3, layout) is None


@looped("layout", TURNED)
@looped("scale", [-1e-3, -0.0, np.nan, np.inf, -np.inf, 3e38])
def test_scales_no_encoder_writes_are_seen(kernel, scale, layout):
    data = kernel("token_records").encode(*case(8, 1, 16), layout)
    packed = struct.pack("<f", scale)
    if layout in WITH_F32_SCALES:
        packed = np.array(np.inf if scale > 65504 else scale, "<f2").tobytes()
    damaged = data[:1] + packed + data[1 + len(packed) :]
    found = kernel("token_records").decode(damaged, 8, 1, 16, layout)
    assert found is None or (scale == 0 and not found.any())


@looped("layout", WITH_F32_SCALES.values())
@looped("size", [3e38, 1e30, 1e-19, 1e-37, 1e-44])
def test_tokens_of_any_size_keep_their_direction(kernel, size, layout):
    rng = np.random.default_rng(3)
    values = (rng.uniform(-1, 1, (7, 128)) * size).astype(F32)
    data = kernel("token_records").encode(values, np.arange(7, dtype=U32), None, layout)
    found = kernel("token_records").decode(data, 7, 7, 128, layout).astype(float)
    originals = values.astype(float)
    cosines = (found * originals).sum(1)
    cosines /= np.linalg.norm(found, axis=1) * np.linalg.norm(originals, axis=1)
    assert np.all(cosines > (0.98 if layout == INT4 else 0.9) - (size < 1e-40) * 0.1)


@pytest.mark.parametrize("layout", TURNED)
def test_a_token_of_zeros_decodes_to_zeros(kernel, layout):
    data = kernel("token_records").encode(np.zeros((3, 5), F32), np.array([1], U32), None, layout)
    assert not kernel("token_records").decode(data, 3, 1, 5, layout).any()


@pytest.mark.parametrize("layout", TURNED)
def test_tokens_wider_than_the_scratch_are_refused(kernel, layout):
    records, widest = kernel("token_records"), kernel("token_records").WIDEST_TURNED
    assert widest == 4096
    values = np.ones((1, widest + 1), F32)
    with pytest.raises(ValueError, match="takes up to 4096"):
        records.encode(values, np.array([0], U32), None, layout)
    assert records.decode(bytes(5000), 1, 1, widest + 1, layout) is None
    data = records.encode(values[:, :widest], np.array([0], U32), None, layout)
    assert records.decode(data, 1, 1, widest, layout).shape == (1, widest)


@looped("layout", LAYOUTS)
@looped("wrong", [(17, 3, 3), (17, 5, 3), (17, 4, 2), (17, -4, 3)])
def test_numbers_that_do_not_fit_the_bytes_are_seen(kernel, wrong, layout):
    data = kernel("token_records").encode(*case(17, 4, 3), layout)
    assert kernel("token_records").decode(data, 17, 4, 3, layout) is not None
    assert kernel("token_records").decode(data, *wrong, layout) is None


def test_a_bitmap_of_another_length_is_seen(kernel):
    data = kernel("token_records").encode(*case(17, 4, 3), E4M3)
    assert kernel("token_records").decode(data, 16, 4, 3, E4M3) is None


@looped("layout", LAYOUTS)
@looped("count", [2**32, 2**61, 2**62])
def test_lengths_that_overflow_are_seen(kernel, count, layout):
    assert kernel("token_records").decode(bytes(4), 0, count, 0, layout) is None or layout == PLAIN
    assert kernel("token_records").decode(bytes(4), 32, count, 2**31, layout) is None


@pytest.mark.parametrize("layout", [CANONICAL, PLAIN])
def test_values_that_are_not_finite_are_seen(kernel, layout):
    values, kept, importance = case(9, 4, 3)
    values[kept[2], 1] = np.nan
    data = kernel("token_records").encode(values, kept, importance, layout)
    assert kernel("token_records").decode(data, 9, 4, 3, layout) is None


def test_a_kept_row_that_has_no_scale_is_told(kernel):
    values = np.ones((3, 4), F32)
    values[1, 2] = np.inf
    encode = kernel("token_records").encode
    assert encode(values, np.array([0, 1], U32), None, E4M3) is None
    assert encode(values, np.array([0, 2], U32), None, E4M3) is not None


def test_only_plain_finite_matrices_are_sound(kernel):
    is_sound, values = kernel("token_records").is_sound, np.ones((3, 4), F32)
    assert is_sound(values, 4)
    assert is_sound(np.empty((0, 4), F32), 4)
    broken = values.copy()
    broken[2, 3] = np.nan
    others = [values[:, ::2], values.T, values.astype(float), values[0], [[1.0] * 4], None, broken]
    assert not any(is_sound(other, 4) for other in others)
    assert not is_sound(values, 3)


@pytest.mark.parametrize(
    ("values", "kept", "importance", "layout", "message"),
    [
        (np.ones((3, 4), F32), np.array([3], U32), None, E4M3, "names row 3 of 3"),
        (np.ones((3, 4), F32), np.array([2]), None, E4M3, "kept positions"),
        (np.ones((3, 4)), np.array([2], U32), None, E4M3, "matrix"),
        (np.ones((3, 4), F32), np.array([2], U32), None, CANONICAL, "importance"),
        (np.ones((3, 4), F32), np.array([2], U32), np.ones(2, F32), CANONICAL, "importance holds"),
        (np.ones((3, 4), F32), np.array([2], U32), None, 7, "no layout 7"),
    ],
)
def test_the_door_refuses_what_does_not_fit(kernel, values, kept, importance, layout, message):
    with pytest.raises(ValueError, match=message):
        kernel("token_records").encode(values, kept, importance, layout)


@pytest.mark.parametrize(
    "out", [np.ones((2, 4), F32), np.ones((1, 4)), np.ones((1, 8), F32)[:, ::2], 1]
)
def test_the_door_refuses_an_out_of_another_shape(kernel, out):
    with pytest.raises(ValueError, match="out is no writable float32 matrix of 1 rows of 4"):
        kernel("token_records").decode(bytes(1 + 16), 3, 1, 4, PLAIN, out)


def with_scales(kernel, *scales, bits=4):
    """Tokens of 3 values that are encoded with about such scales."""
    codes = np.full((len(scales), (3 * bits + 7) // 8), 0x1B, U8)
    rows = np.empty((len(scales), 3), F32)
    kernel("maxsim_integers").decode_rows(codes, bits, np.array(scales, F32), rows)
    return rows


@looped("layout", WITH_F32_SCALES)
@looped(("scale", "fits"), [(0, True), (2e-5, False), (1e-4, True), (5e4, True), (9e4, False)])
def test_scales_that_f16_would_spoil_are_told(kernel, scale, fits, layout):
    values = with_scales(kernel, 1, scale, 1, bits=TURNED[layout])
    given = values, np.array([0, 1], U32), None
    data = kernel("token_records").encode(*given, layout)
    assert (data is not None) == fits
    if fits:
        found = kernel("token_records").decode(data, 3, 2, 3, layout)
        wider = kernel("token_records").encode(*given, WITH_F32_SCALES[layout])
        expected = kernel("token_records").decode(wider, 3, 2, 3, WITH_F32_SCALES[layout])
        np.testing.assert_allclose(found, expected, rtol=2**-11)
    assert kernel("token_records").encode(values, np.array([0, 2], U32), None, layout)


@looped("layout", WITH_F32_SCALES)
def test_rooms_tell_which_texts_have_f32_scales(kernel, layout):
    texts = [case(9, 4, 16), case(5, 0, 16), case(33, 17, 16)]
    texts[2][0][:] *= 1e-6
    records, layouts = kernel("token_records"), [layout, layout, WITH_F32_SCALES[layout]]
    expected = [records.encode(*text, one) for text, one in zip(texts, layouts)]
    sizes = list(map(len, expected))
    arguments = together(texts, layout, [*sizes[:2], sizes[2] - 2 * 17])
    assert records.encode_rows(*arguments) == 2
    *_, edges, _, data, places = arguments = together(texts, layout, sizes)
    assert records.encode_rows(*arguments) == -1
    assert data.tobytes() == b"".join(expected)
    originals, values = np.array([9, 5, 33], U32), np.empty((21, 16), F32)
    assert records.decode_rows(data, places, originals, edges, layout, values) == -1
    last = records.decode(expected[2], 33, 17, 16, layouts[2])
    np.testing.assert_array_equal(values[4:], last)
    kept = np.empty(3, np.int64)
    records.count_kept(data, places, originals, kept)
    assert kept.tolist() == [4, 0, 17]


def test_a_record_without_its_bitmap_keeps_no_count(kernel):
    data, kept = np.full(3, 255, U8), np.empty(2, np.int64)
    kernel("token_records").count_kept(data, edges_of([2, 1]), np.array([16, 9], U32), kept)
    assert kept.tolist() == [16, -1]
    with pytest.raises(ValueError, match="kept holds 2, originals holds 1"):
        kernel("token_records").count_kept(data, edges_of([3]), np.array([16], U32), kept)
