"""Sign codes: packing beside numpy.packbits, distances beside faiss."""

import faiss
import numpy as np
import pytest
from looping import looped

F32, U8 = np.float32, np.uint8
LENGTHS = [*range(71), 384, 1024]


def rows(n, dim, seed=0):
    return np.random.default_rng(seed).standard_normal((n, dim)).astype(F32)


def codes(n, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, width), U8)


def pack(kernel, values, threshold=0.0):
    packed = np.full((len(values), (values.shape[1] + 7) // 8), 0xAA, U8)
    assert kernel("bits").pack_rows(values, threshold, packed) == -1
    return packed


def distances(kernel, query, rows):
    out = np.empty(len(rows), np.uint32)
    kernel("bits").hamming_rows(query, rows, out)
    return out


@pytest.mark.parametrize("dim", [1, 7, 20, 64, 1000, 1024, 1031])
def test_agreement_is_one_less_the_part_of_bits_that_differ(kernel, dim):
    rng = np.random.default_rng(dim)
    bits = rng.integers(0, 2, (600, dim)).astype(np.uint8)
    codes, out = np.packbits(bits, axis=1), np.empty(600, np.float32)
    kernel("bits").agreement_rows(codes[3], codes, dim, out)
    differing = (bits != bits[3]).sum(axis=1).astype(np.float32)
    np.testing.assert_array_equal(out, 1 - differing / np.float32(dim))


@pytest.mark.parametrize(
    ("width", "rows", "num_bits", "message"),
    [
        (3, 5, 24, "out holds 5, codes holds 4"),
        (2, 4, 24, "a row of codes holds 3, query holds 2"),
        (3, 4, 16, "a row of codes holds 3 bytes for 16 bits"),
        (3, 4, 0, "a row of codes holds 3 bytes for 0 bits"),
    ],
)
def test_agreement_is_of_arrays_that_fit(kernel, width, rows, num_bits, message):
    query, codes = np.zeros(width, np.uint8), np.zeros((4, 3), np.uint8)
    with pytest.raises(ValueError, match=message):
        kernel("bits").agreement_rows(query, codes, num_bits, np.empty(rows, np.float32))


def nearest(kernel, query, rows, k):
    ids, found = np.empty(k, np.int64), np.empty(k, np.uint32)
    kernel("bits").hamming_topk(query, rows, ids, found)
    return ids, found


@looped("dim", LENGTHS)
def test_bits_are_those_of_numpy(kernel, dim):
    values = rows(5, dim)
    for threshold in (0.0, 0.3, -0.1):
        expected = np.packbits(values >= F32(threshold), axis=1)
        np.testing.assert_array_equal(pack(kernel, values, threshold), expected)


def test_a_value_on_the_threshold_is_one(kernel):
    values = np.array([[0, -0.0, 1e-45, -1e-45, 0.5, np.nextafter(F32(0.5), F32(0))]], F32)
    assert pack(kernel, values).tolist() == [[0b11101100]]
    assert pack(kernel, values, 0.5).tolist() == [[0b00001000]]


@looped("bad", [np.nan, -np.nan, np.inf, -np.inf])
@looped("at", [0, 1, 37, 69, 70, 209])
def test_the_first_value_that_is_not_finite_is_named(kernel, bad, at):
    values = rows(3, 70)
    values.flat[at] = bad
    values[2, 69] = bad
    assert kernel("bits").pack_rows(values, 0, np.empty((3, 9), U8)) == at
    assert kernel("bits").pack_vector(values.ravel(), 210, 0) is None


@looped("dim", LENGTHS)
def test_one_vector_is_a_batch_of_one(kernel, dim):
    values = rows(1, dim)
    packed = pack(kernel, values, 0.2)[0].tobytes()
    assert kernel("bits").pack_vector(values[0], dim, 0.2) == packed


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
    ],
)
def test_anything_but_a_plain_vector_asks_for_a_closer_look(kernel, values):
    assert kernel("bits").pack_vector(values, 2, 0.0) is None


@looped("dim", LENGTHS)
def test_bits_unpack_to_signs(kernel, dim):
    packed = codes(4, (dim + 7) // 8)
    values = np.empty((4, dim), F32)
    kernel("bits").unpack_rows(packed, values)
    expected = np.where(np.unpackbits(packed, axis=1)[:, :dim], F32(1), F32(-1))
    np.testing.assert_array_equal(values, expected)
    one = kernel("bits").unpack_vector(packed[0].tobytes(), dim)
    assert one.dtype == F32
    np.testing.assert_array_equal(one, expected[0])


@looped("width", [*range(131), 192, 1000])
def test_distances_count_differing_bits(kernel, width):
    query, stored = codes(1, width, seed=1)[0], codes(21, width)
    expected = np.bitwise_count(stored ^ query).sum(axis=1, dtype=np.uint32)
    np.testing.assert_array_equal(distances(kernel, query, stored), expected)
    assert kernel("bits").hamming(query, stored[0]) == expected[0]
    assert kernel("bits").hamming(query.tobytes(), stored[1].tobytes()) == expected[1]


def test_distances_reach_every_bit(kernel):
    for width in (16, 128, 100_000):
        full = np.full((1, width), 0xFF, U8)
        assert distances(kernel, np.zeros(width, U8), full).tolist() == [8 * width]
        assert kernel("bits").hamming(bytes(width), full[0]) == 8 * width


def test_any_bytes_like_pair_has_a_distance(kernel):
    hamming = kernel("bits").hamming
    a, b = bytes([0xFF, 1]), bytes([0x0F, 3])
    for kind in (bytes, bytearray, memoryview, lambda x: np.frombuffer(x, U8)):
        assert hamming(kind(a), kind(b)) == hamming(a, kind(b)) == hamming(kind(a), b) == 5
    assert hamming(np.frombuffer(a, np.uint16), b) == 5
    assert hamming(np.frombuffer(a, U8)[::-1].copy(), b[::-1]) == 5
    assert hamming(b"", b"") == 0


def test_strided_bytes_are_refused(kernel):
    with pytest.raises((TypeError, ValueError, BufferError)):
        kernel("bits").hamming(np.zeros(4, U8)[::2], b"ab")


@pytest.mark.parametrize("bad", [None, 3, "ab", [1, 2]])
def test_what_is_not_bytes_is_refused(kernel, bad):
    with pytest.raises(TypeError):
        kernel("bits").hamming(bad, b"ab")


def test_unequal_lengths_are_refused(kernel):
    with pytest.raises(ValueError, match="a holds 1, b holds 2"):
        kernel("bits").hamming(b"a", b"ab")
    with pytest.raises(ValueError, match="a row of codes holds 3, query holds 2"):
        distances(kernel, np.zeros(2, U8), np.zeros((4, 3), U8))


@pytest.mark.parametrize("width", [8, 16, 32, 48, 128])
def test_the_nearest_are_those_of_faiss(kernel, width):
    query, stored = codes(1, width, seed=1), codes(3000, width)
    index = faiss.IndexBinaryFlat(8 * width)
    index.add(stored)
    expected = np.sort(index.search(query, 50)[0][0])
    np.testing.assert_array_equal(nearest(kernel, query[0], stored, 50)[1], expected)


@pytest.mark.parametrize("k", [0, 1, 2, 10, 500, 2999, 3000])
def test_the_nearest_come_by_distance_then_index(kernel, k):
    stored = codes(3000, 2)  # sixteen bits: almost all are ties
    query = stored[7]
    every = distances(kernel, query, stored)
    ids, found = nearest(kernel, query, stored, k)
    np.testing.assert_array_equal(ids, np.argsort(every, kind="stable")[:k])
    np.testing.assert_array_equal(found, every[ids])


@pytest.mark.parametrize("order", [1, -1])
def test_sorted_codes_are_no_trap(kernel, order):
    stored = np.packbits(np.tri(1024, dtype=bool)[::order], axis=1)
    ids, found = nearest(kernel, np.zeros(128, U8), stored, 9)
    assert found.tolist() == list(range(1, 10))
    assert ids.tolist() == [i if order > 0 else 1023 - i for i in range(9)]


def test_more_than_there_are_is_refused(kernel):
    with pytest.raises(ValueError, match="ids holds 3, codes holds 2"):
        nearest(kernel, np.zeros(4, U8), np.zeros((2, 4), U8), 3)


@pytest.mark.parametrize("shape", [(0, 0), (0, 16), (5, 0)])
def test_nothing_packs_to_nothing(kernel, shape):
    packed = pack(kernel, np.empty(shape, F32))
    assert packed.shape == (shape[0], shape[1] // 8)
    assert distances(kernel, np.zeros(packed.shape[1], U8), packed).tolist() == [0] * shape[0]
    assert kernel("bits").padding_is_zero(packed, shape[1])


def test_padding_is_checked_bit_by_bit(kernel):
    is_zero = kernel("bits").padding_is_zero
    for num_bits in range(1, 17):
        packed = np.zeros((2, (num_bits + 7) // 8), U8)
        for bit in range(8 * packed.shape[1]):
            packed[1] = np.packbits(np.arange(8 * packed.shape[1]) == bit)
            assert is_zero(packed, num_bits) == (bit < num_bits)


def test_widths_must_fit_the_bits(kernel):
    bits = kernel("bits")
    with pytest.raises(ValueError, match="a row of packed holds 2 bytes for 8 bits"):
        bits.padding_is_zero(np.zeros((1, 2), U8), 8)
    with pytest.raises(ValueError, match="a row of packed holds 1 bytes for 9 bits"):
        bits.unpack_vector(b"a", 9)
    with pytest.raises(ValueError, match="a row of packed holds 0 bytes for -1 bits"):
        bits.unpack_vector(b"", -1)
    with pytest.raises(ValueError, match="a row of packed holds 2 bytes for 3 bits"):
        bits.pack_rows(np.zeros((1, 3), F32), 0, np.zeros((1, 2), U8))
    with pytest.raises(ValueError, match="packed holds 2, values holds 1"):
        bits.pack_rows(np.zeros((1, 3), F32), 0, np.zeros((2, 1), U8))


def test_read_only_inputs_are_welcome(kernel):
    values, stored = rows(2, 16), codes(2, 2)
    values.flags.writeable = stored.flags.writeable = False
    pack(kernel, values)
    assert kernel("bits").hamming(stored[0], stored[0]) == 0
    assert distances(kernel, stored[0], stored)[0] == 0
