"""Sparse kernels against struct, whole numbers of Python and numpy.float16."""

import math
import struct

import numpy as np
import pytest
from looping import looped

CANONICAL, F16, F32, U8 = LAYOUTS = range(4)
SOUND, BAD_LENGTH, BAD_COUNT, BAD_PADDING, BAD_INDEX, BAD_WEIGHT = range(6)
# (nnz, dimension): empty, single, full, around powers of two of the quotient, E6 at 5 and 10 %.
SHAPES = [
    (0, 10), (1, 1), (1, 2**32 - 1), (3, 3), (7, 15), (8, 16), (16, 255), (16, 256), (31, 1000),
    (33, 2**31), (64, 64 * 31), (100, 30522), (1526, 30522), (1527, 30522), (3052, 30522),
    (30522, 30522), (1000, 2**24),
]  # fmt: skip


def vector(nnz, dimension, seed=0):
    """Indices with both ends of the range among them, and weights that f16 holds."""
    rng = np.random.default_rng([seed, nnz, dimension])
    if nnz == dimension:
        indices = np.arange(nnz)
    else:
        found = {0, dimension - 1} if nnz > 1 else set()
        while len(found) < nnz:
            found.update(rng.integers(0, dimension, nnz - len(found)).tolist())
        indices = sorted(found)
    weights = rng.choice([-1, 1], nnz) * rng.lognormal(0, 2, nnz)
    weights[rng.random(nnz) < 0.1] = 0
    return np.array(indices, np.uint32), np.clip(weights, -6e4, 6e4).astype(np.float32)


def held(weights, layout):
    if layout == U8 and len(weights):
        lowest, step, codes = steps_by_hand(weights)
        roots = [lowest + step * code for code in codes]
        return np.array([root * abs(root) for root in roots], np.float32)
    return weights.astype(np.float16).astype(np.float32) if layout == F16 else weights


def roots_of(weights):
    return [math.copysign(math.sqrt(abs(weight)), weight) for weight in weights.tolist()]


def steps_by_hand(weights):
    """The lowest root, the step and the codes, in Python's own numbers."""
    roots = roots_of(weights)
    lowest = np.float32(min(roots)) + np.float32(0)
    if float(lowest) < min(roots):
        lowest = np.nextafter(lowest, np.float32(np.inf))
    span = max(max(roots) - float(lowest), 0.0)
    step = np.float32(span / 255)
    if 255 * float(step) > span:
        step = np.nextafter(step, np.float32(0))
    codes = [round(max((root - float(lowest)) / float(step or 1), 0)) for root in roots]
    return float(lowest), float(step), codes


def with_peak(weights):
    """The same weights with a normal half as the largest, so that every vector fits."""
    return np.concatenate([[np.float32(6e4)], weights[1:]]) if len(weights) else weights


def bytes_by_hand(indices, weights, dimension, layout):
    """The three layouts with struct and whole numbers alone."""
    pairs = list(zip(indices.tolist(), weights.tolist()))
    if layout == CANONICAL:
        return struct.pack("<I", len(pairs)) + b"".join(struct.pack("<If", *p) for p in pairs)
    if not pairs:
        return b""
    low_bits = (dimension // len(pairs)).bit_length() - 1
    low = sum((i & (1 << low_bits) - 1) << low_bits * n for n, (i, _) in enumerate(pairs))
    high = sum(1 << (i >> low_bits) + n for n, (i, _) in enumerate(pairs))
    high_bits = len(pairs) + (dimension - 1 >> low_bits) + 1
    strings = [(low, low_bits * len(pairs)), (high, high_bits)]
    coded = b"".join(bits.to_bytes((count + 7) // 8, "little") for bits, count in strings)
    if layout == U8:
        lowest, step, codes = steps_by_hand(weights)
        return coded + struct.pack("<ff", lowest, step) + bytes(codes)
    return coded + struct.pack(f"<{len(pairs)}{'e' if layout == F16 else 'f'}", *weights)


def encoded(sparse, indices, weights, dimension, layout):
    data = np.empty(sparse.size(len(indices), dimension, layout), np.uint8)
    assert sparse.encode(indices, weights, dimension, layout, data)
    return data


def decoded(sparse, data, nnz, dimension, layout):
    indices, weights = np.empty(nnz, np.uint32), np.empty(nnz, np.float32)
    return sparse.decode(data, dimension, layout, indices, weights), indices, weights


@looped("layout", LAYOUTS)
@looped(("nnz", "dimension"), SHAPES)
def test_bytes_are_those_made_by_hand(kernel, nnz, dimension, layout):
    indices, weights = vector(nnz, dimension)
    weights = with_peak(weights)
    data = encoded(kernel("sparse"), indices, weights, dimension, layout)
    assert data.tobytes() == bytes_by_hand(indices, weights, dimension, layout)


@looped("layout", LAYOUTS)
@looped(("nnz", "dimension"), SHAPES)
def test_decoding_undoes_encoding(kernel, nnz, dimension, layout):
    indices, weights = vector(nnz, dimension)
    weights, sparse = with_peak(weights), kernel("sparse")
    data = encoded(sparse, indices, weights, dimension, layout)
    status, found, values = decoded(sparse, data, nnz, dimension, layout)
    assert status == SOUND
    np.testing.assert_array_equal(found, indices)
    np.testing.assert_array_equal(values.view("u4"), held(weights, layout).view("u4"))


EXTREMES = {
    "one weight": [3.25],
    "equal weights": [0.1] * 5,
    "both zeros": [0.0, -0.0, 0.0],
    "negative": [-3.0, -1.0, -2.0],
    "the whole range": [-3.4028235e38, 3.4028235e38, 0, 1],
    "the largest": [3.4028235e38, 3e38, 1e38],
    "the smallest": [1e-45, 3e-45, 1e-44, 0],
    "far apart": [1e-30, 1e30, 1.0],
}


@looped("weights", EXTREMES.values())
def test_roots_stay_within_half_a_step_of_any_weights(kernel, weights):
    sparse, weights = kernel("sparse"), np.array(weights, np.float32)
    indices = np.arange(len(weights), dtype=np.uint32)
    data = encoded(sparse, indices, weights, 100, U8)
    status, _, found = decoded(sparse, data, len(weights), 100, U8)
    assert status == SOUND
    roots, found = np.array(roots_of(weights)), np.array(roots_of(found))
    error = np.abs(found - roots).max()
    assert error <= np.ptp(roots) / 510 * (1 + 1e-5) + np.abs(roots).max() * 2**-22
    assert encoded(sparse, indices[::-1][::-1], weights, 100, U8).tobytes() == data.tobytes()


@pytest.mark.parametrize(
    ("lowest", "step"), [(np.nan, 1), (np.inf, 1), (0, np.nan), (0, -1), (0, np.inf), (1e19, 1e18)]
)
def test_steps_no_encoder_writes_are_seen(kernel, lowest, step):
    indices, weights = vector(50, 1000)
    data = encoded(kernel("sparse"), indices, weights, 1000, U8)
    data[-58:-50] = np.frombuffer(struct.pack("<ff", lowest, step), np.uint8)
    assert decoded(kernel("sparse"), data, 50, 1000, U8)[0] == BAD_WEIGHT


def test_every_small_vector_round_trips(kernel):
    sparse, dimension = kernel("sparse"), 9
    for bits in range(1 << dimension):
        indices = np.flatnonzero(bits >> np.arange(dimension) & 1).astype(np.uint32)
        weights = np.ones(len(indices), np.float32)
        data = encoded(sparse, indices, weights, dimension, F16)
        assert data.tobytes() == bytes_by_hand(indices, weights, dimension, F16)
        status, found, _ = decoded(sparse, data, len(indices), dimension, F16)
        assert (status, found.tolist()) == (SOUND, indices.tolist())


def test_a_sparse_vector_of_e6_at_five_percent_takes_a_third_of_its_pairs(kernel):
    size = kernel("sparse").size
    assert [size(1526, 30522, layout) for layout in LAYOUTS] == [12212, 4245, 7297, 2727]


@pytest.mark.parametrize("gap", [1, 15, 16, 17, 20])
def test_the_size_depends_on_the_numbers_alone(kernel, gap):
    indices = (np.arange(1526) * gap).astype(np.uint32)
    weights = np.ones(1526, np.float32)
    assert len(kernel("sparse").encode_vector(indices, weights, 30522, F16)) == 4245


@pytest.mark.parametrize(("nnz", "dimension"), [(5, 4), (-1, 4), (1, 2**32)])
def test_sizes_that_cannot_be_are_refused(kernel, nnz, dimension):
    with pytest.raises(ValueError, match="non-zeros among"):
        kernel("sparse").size(nnz, dimension, F16)


def test_every_half_decodes_like_numpy(kernel):
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)]
    dimension, sparse = len(halves), kernel("sparse")
    indices = np.arange(dimension, dtype=np.uint32)
    data = encoded(sparse, indices, np.ones(dimension, np.float32), dimension, F16)
    data[-2 * dimension :] = halves.view(np.uint8)
    status, _, weights = decoded(sparse, data, dimension, dimension, F16)
    assert status == SOUND
    np.testing.assert_array_equal(weights.view("u4"), halves.astype(np.float32).view("u4"))


def test_every_half_midpoint_and_its_neighbours_round_like_numpy(kernel):
    halves = np.arange(0x7BFF, dtype=np.uint16).view(np.float16).astype(np.float32)
    middles = (halves[1:] + halves[:-1]) / 2
    edges = np.concatenate([halves, middles, np.nextafter(middles, 0), np.nextafter(middles, 9e9)])
    edges = np.concatenate([edges, -edges])
    indices = np.arange(len(edges), dtype=np.uint32)
    data = encoded(kernel("sparse"), indices, edges, len(edges), F16)
    expected = edges.astype(np.float16).view(np.uint16)
    np.testing.assert_array_equal(data[-2 * len(edges) :].view(np.uint16), expected)


@looped(
    ("weight", "fits"),
    [
        (0.0, 1), (-0.0, 1), (2**-14, 1), (-(2**-14), 1), (np.nextafter(np.float32(2**-14), 0), 0),
        (65504, 1), (np.nextafter(np.float32(65520), 0), 1), (65520, 0), (-65520, 0), (1e-40, 0),
        (np.inf, 0), (np.nan, 0),
    ],
)  # fmt: skip
@looped("place", [0, 15, 16, 20])
def test_weights_fit_when_the_largest_is_a_normal_half(kernel, weight, fits, place):
    weights = np.zeros(21, np.float32)
    weights[place] = weight
    sparse, found = kernel("sparse"), np.empty(1, np.uint8)
    sparse.fits_half(np.array([0, 21]), weights, found)
    assert found[0] == fits
    indices = np.arange(21, dtype=np.uint32)
    assert (sparse.encode_vector(indices, weights, 300, F16) is not None) == fits


@looped("layout", LAYOUTS)
@looped("place", [0, 1, 7, 16, 40])
@looped("damage", ["equal", "descending", "beyond", "nan", "inf"])
def test_unsound_vectors_are_not_encoded(kernel, layout, place, damage):
    indices, weights = np.arange(10, 420, 10, dtype=np.uint32), np.ones(41, np.float32)
    if damage in ("equal", "descending"):
        indices[max(1, place)] = indices[max(1, place) - 1] - (damage == "descending")
    elif damage == "beyond":
        indices[-1] = 500
    else:
        weights[place] = float(damage)
    assert kernel("sparse").encode_vector(indices, weights, 500, layout) is None
    data = np.empty(kernel("sparse").size(41, 500, layout), np.uint8)
    assert not kernel("sparse").encode(indices, weights, 500, layout, data)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_truncated_and_extended_bytes_are_refused(kernel, layout):
    indices, weights = vector(50, 1000)
    data = encoded(kernel("sparse"), indices, with_peak(weights), 1000, layout)
    for wrong in (data[:-1], np.append(data, np.uint8(0)), data[:0]):
        assert decoded(kernel("sparse"), wrong, 50, 1000, layout)[0] == BAD_LENGTH
        assert kernel("sparse").decode_vector(wrong.tobytes(), 50, 1000, layout) is None


@looped("layout", LAYOUTS)
@looped("nnz", [1, 5, 50])
def test_every_flipped_bit_gives_a_status_or_another_sound_vector(kernel, layout, nnz):
    sparse, (indices, weights) = kernel("sparse"), vector(nnz, 1001)
    data = encoded(sparse, indices, with_peak(weights), 1001, layout)
    for bit in range(8 * len(data)):
        data[bit >> 3] ^= 1 << (bit & 7)
        status, found, values = decoded(sparse, data, nnz, 1001, layout)
        if status == SOUND:
            assert np.all(np.diff(found.astype(int)) > 0)
            assert found[-1] < 1001
            assert np.isfinite(values).all()
        data[bit >> 3] ^= 1 << (bit & 7)


@pytest.mark.parametrize(
    ("byte", "bit", "status"),
    [
        (2, 0x10, BAD_PADDING),
        (4, 0x10, BAD_PADDING),
        (3, 0x02, BAD_COUNT),
        (1, 0x01, BAD_INDEX),  # 20 and 21 become 20 and 20
        (8, 0x40, BAD_WEIGHT),  # 1.0 becomes infinite
    ],
)
def test_what_is_wrong_is_named(kernel, byte, bit, status):
    indices, weights = np.array([3, 20, 21, 60, 99], np.uint32), np.ones(5, np.float32)
    data = encoded(kernel("sparse"), indices, weights, 100, F32)
    # 5 * 4 low bits in three bytes, 12 high bits in two, then the weights.
    assert data[:5].tolist() == [0x43, 0xC5, 0x03, 0b01001101, 0b00000100]
    data[byte] ^= bit
    assert decoded(kernel("sparse"), data, 5, 100, F32)[0] == status


def test_a_count_that_differs_is_named(kernel):
    data = np.frombuffer(struct.pack("<IIf", 2, 3, 1.0), np.uint8)
    assert decoded(kernel("sparse"), data, 1, 100, CANONICAL)[0] == BAD_COUNT


@pytest.mark.parametrize("layout", LAYOUTS)
def test_random_bytes_never_leave_the_arrays(kernel, layout):
    rng, sparse = np.random.default_rng(5), kernel("sparse")
    for nnz, dimension in [(1, 1), (3, 70), (40, 900), (200, 2**20)]:
        length = sparse.size(nnz, dimension, layout)
        for density in (2, 8, 200):
            data = rng.integers(0, density, length).astype(np.uint8)
            guarded, values = np.full(nnz + 64, 7, np.uint32), np.full(nnz + 64, 7, np.float32)
            sparse.decode(data, dimension, layout, guarded[:nnz], values[:nnz])
            assert np.all(guarded[nnz:] == 7)
            assert np.all(values[nnz:] == 7)


@pytest.mark.parametrize("nnz", [-1, 6, 2**40])
def test_more_non_zeros_than_values_are_refused(kernel, nnz):
    assert kernel("sparse").decode_vector(b"", nnz, 5, F16) is None


def test_one_vector_takes_only_plain_arrays(kernel):
    encode_vector = kernel("sparse").encode_vector
    indices, weights = vector(20, 1000)
    for wrong in ([1, 2], indices.astype(np.int64), indices.astype(">u4"), indices[::2]):
        assert encode_vector(wrong, weights, 1000, F32) is None
    for wrong in ([1.0] * 20, weights.astype(float), weights.reshape(4, 5), weights[:-1]):
        assert encode_vector(indices, wrong, 1000, F32) is None


@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_vector_and_arrays_agree(kernel, layout):
    sparse, (indices, weights) = kernel("sparse"), vector(1526, 30522)
    weights = with_peak(weights)
    data = sparse.encode_vector(indices, weights, 30522, layout)
    assert data == encoded(sparse, indices, weights, 30522, layout).tobytes()
    found, values = sparse.decode_vector(data, 1526, 30522, layout)
    assert (found.dtype, values.dtype) == (np.uint32, np.float32)
    np.testing.assert_array_equal(found, indices)
    np.testing.assert_array_equal(values, held(weights, layout))


def rows(counts, dimension, seed=0):
    parts = [vector(count, dimension, seed + row) for row, count in enumerate(counts)]
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    indices = np.concatenate([np.empty(0, np.uint32), *(one for one, _ in parts)])
    weights = np.concatenate([np.empty(0, np.float32), *(with_peak(one) for _, one in parts)])
    return indptr, indices, weights


COUNTS = [0, 1, 15, 16, 17, 100, 0, 33, 64, 7]


def encoded_rows(sparse, indptr, indices, weights, dimension, layouts):
    offsets = np.empty(len(indptr), np.int64)
    sparse.measure_rows(indptr, dimension, layouts, offsets)
    data = np.empty(offsets[-1], np.uint8)
    bad = sparse.encode_rows(indptr, indices, weights, dimension, layouts, data, offsets)
    return bad, data, offsets


def test_rows_hold_what_single_vectors_hold(kernel):
    sparse, (indptr, indices, weights) = kernel("sparse"), rows(COUNTS, 1000)
    layouts = np.resize(np.array(LAYOUTS, np.uint8), len(COUNTS))
    bad, data, offsets = encoded_rows(sparse, indptr, indices, weights, 1000, layouts)
    assert bad == -1
    for row, layout in enumerate(layouts):
        part = slice(indptr[row], indptr[row + 1])
        expected = bytes_by_hand(indices[part], weights[part], 1000, layout)
        assert data[offsets[row] : offsets[row + 1]].tobytes() == expected


def test_rows_round_trip(kernel):
    sparse, (indptr, indices, weights) = kernel("sparse"), rows(COUNTS, 1000)
    layouts = np.resize(np.array([CANONICAL, F32], np.uint8), len(COUNTS))
    _, data, offsets = encoded_rows(sparse, indptr, indices, weights, 1000, layouts)
    found, values = np.empty_like(indices), np.empty_like(weights)
    assert sparse.decode_rows(data, offsets, layouts, 1000, indptr, found, values) == -1
    np.testing.assert_array_equal(found, indices)
    np.testing.assert_array_equal(values, weights)


def test_the_first_bad_row_is_named(kernel):
    sparse, (indptr, indices, weights) = kernel("sparse"), rows(COUNTS, 1000)
    layouts = np.full(len(COUNTS), F32, np.uint8)
    _, data, offsets = encoded_rows(sparse, indptr, indices, weights, 1000, layouts)
    for row in (5, 4):
        weights[indptr[row]] = np.nan
        bad, *_ = encoded_rows(sparse, indptr, indices, weights, 1000, layouts)
        assert bad == row
        data[offsets[row + 1] - 1] = data[offsets[row + 1] - 2] = 0xFF
        found, values = np.empty_like(indices), np.empty_like(weights)
        assert sparse.decode_rows(data, offsets, layouts, 1000, indptr, found, values) == row


@pytest.mark.parametrize("edges", [[-1, 5, 7], [0, 8, 7], [0, 5, 8], [0, 7], [0, 1, 2, 7], []])
def test_row_edges_must_lie_within_the_columns(kernel, edges):
    sparse, edges = kernel("sparse"), np.array(edges, np.int64)
    weights = np.ones(7, np.float32)
    with pytest.raises(ValueError, match="row edges"):
        sparse.fits_half(edges, weights, np.empty(2, np.uint8))


def listed(kernel, layout, count=300):
    """Vectors of many lengths, their bytes one by one, and room for them."""
    vectors = [vector(7 * i % 50, 1000, seed=i) for i in range(count)]
    indices, weights = [one for one, _ in vectors], [one for _, one in vectors]
    expected = [kernel("sparse").encode_vector(*one, 1000, layout) for one in vectors]
    offsets = np.concatenate([[0], np.cumsum(list(map(len, expected)))]).astype(np.int64)
    room = np.full(count, layout, np.uint8), np.empty(offsets[-1], np.uint8), offsets
    return indices, weights, b"".join(expected), room


@looped("layout", LAYOUTS)
def test_a_list_of_vectors_is_written_as_one_by_one(kernel, layout):
    indices, weights, expected, room = listed(kernel, layout)
    assert kernel("sparse").encode_vectors(indices, weights, 1000, *room) == -1
    assert room[1].tobytes() == expected


@looped("place", [0, 299])
@looped(
    "change",
    [
        lambda indices, weights: (indices[::-1].copy(), weights),
        lambda indices, weights: (indices, weights * np.float32(np.nan)),
        lambda indices, weights: (indices.astype(np.int64), weights),
        lambda indices, weights: (indices, weights.astype(np.float64)),
        lambda indices, weights: (indices, weights[:-1]),
        lambda indices, weights: (None, weights),
    ],
)
def test_the_first_vector_that_is_none_is_named(kernel, change, place):
    indices, weights, _, room = listed(kernel, F32)
    indices[place], weights[place] = vector(7 * place % 50, 1000, seed=place)
    place = place or 1  # the first is empty, and in any order
    indices[place], weights[place] = change(indices[place], weights[place])
    assert kernel("sparse").encode_vectors(indices, weights, 1000, *room) == place


@looped(
    ("change", "message"),
    [
        (lambda room: room[2].__setitem__(1, 1), "row 0 has 1 bytes"),
        (lambda room: room[2].__setitem__(-1, 10**6), "row edges must ascend"),
        (lambda room: room[0].fill(9), "no layout 9"),
    ],
)
def test_room_for_a_list_must_fit(kernel, change, message):
    indices, weights, _, room = listed(kernel, F32)
    change(room)
    with pytest.raises(ValueError, match=message):
        kernel("sparse").encode_vectors(indices, weights, 1000, *room)


def test_lists_agree_in_length_and_are_lists(kernel):
    indices, weights, _, room = listed(kernel, F32)
    with pytest.raises(ValueError, match="weights holds 299, layouts holds 300"):
        kernel("sparse").encode_vectors(indices, weights[:-1], 1000, *room)
    with pytest.raises(TypeError):
        kernel("sparse").encode_vectors(tuple(indices), weights, 1000, *room)


def test_halves_are_told_for_each_of_a_list(kernel):
    weights = [np.full(3, one, np.float32) for one in (1, 1e9, 0, 1e-9, 65504)] * 60
    fits = np.full(300, 7, np.uint8)
    assert kernel("sparse").fits_half_vectors(weights, fits)
    assert fits.tolist() == [1, 0, 1, 0, 1] * 60
    assert not kernel("sparse").fits_half_vectors([*weights[:-1], np.ones(3)], fits)
