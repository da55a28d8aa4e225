"""Sign bits in blocks: distances and the nearest rows beside the bits themselves."""

import numpy as np
import pytest
from looping import looped
from scipy.linalg import hadamard

from cgcython.kernels import dispatch


def blocked(words):
    """Return rows of words u64 [n, words] as blocks of eight rows."""
    n, width = words.shape
    padded = np.zeros((-(-n // 8) * 8, width), np.uint64)
    padded[:n] = words
    return np.ascontiguousarray(padded.reshape(-1, 8, width).transpose(0, 2, 1))


def drawn(n, width, seed=0, below=2**64 - 1):
    return np.random.default_rng(seed).integers(0, below, (n, width), np.uint64)


def as_query(words):
    return np.repeat(words, 8).reshape(-1, 8)


def differing(query, words):
    bits = np.unpackbits((words ^ query).view(np.uint8), axis=1)
    return bits.sum(axis=1, dtype=np.uint32)


def nearest(kernel, query, words, k, room=None):
    room = k + 64 if room is None else room
    ids, distances = np.empty(room, np.int64), np.empty(room, np.uint32)
    arguments = as_query(query), blocked(words), len(words), k, ids, distances
    kernel("sign_blocks").nearest(*arguments)
    return ids[:k], distances[:k]


@looped("n", [0, 1, 7, 8, 9, 64, 71, 300])
@looped("width", [1, 2, 6, 16])
def test_distances_are_the_bits_that_differ(kernel, n, width):
    words, query = drawn(n, width), drawn(1, width, 1)[0]
    out = np.full(n, 77, np.uint32)
    kernel("sign_blocks").distances(as_query(query), blocked(words), out)
    np.testing.assert_array_equal(out, differing(query, words))


@looped("n", [1, 5, 64, 65, 1000, 3001])
@looped("part", [0, 0.01, 0.3, 1])
@looped("room", [64, 200])
def test_the_nearest_are_the_first_of_least_distance_in_order(kernel, n, part, room):
    k = int(np.ceil(n * part))
    words, query = drawn(n, 2, n, below=300), drawn(1, 2, 1, below=300)[0]  # many are equal
    expected = differing(query, words)
    wanted = np.sort(np.argsort(expected, kind="stable")[:k])
    ids, distances = nearest(kernel, query, words, k, k + room)
    np.testing.assert_array_equal(ids, wanted)
    np.testing.assert_array_equal(distances, expected[wanted])


def test_equal_rows_are_found_in_order(kernel):
    ids, distances = nearest(kernel, drawn(1, 6)[0], np.repeat(drawn(1, 6), 5000, axis=0), 300)
    assert ids.tolist() == list(range(300))
    assert not distances.any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": 21}, "ids holds 84, 21 of 20 rows take 85"),
        ({"k": -1}, "ids holds 84, -1 of 20 rows take 63"),
        ({"k": 20, "ids": np.empty(83, np.int64)}, "distances holds 84, ids holds 83"),
        ({"rows": 25}, "3 blocks of 8 do not hold 25 rows"),
        ({"rows": 16}, "3 blocks of 8 do not hold 16 rows"),
        ({"rows": -1}, "3 blocks of 8 do not hold -1 rows"),
        ({"query": np.zeros((3, 8), np.uint64)}, "a block holds 2, query holds 3"),
        ({"query": np.zeros((2, 4), np.uint64)}, "a word of query holds 4"),
        ({"blocks": np.zeros((3, 2, 4), np.uint64)}, "a word of blocks holds 4"),
    ],
)
def test_arrays_must_fit(kernel, change, message):
    arguments = {
        "query": np.zeros((2, 8), np.uint64),
        "blocks": np.zeros((3, 2, 8), np.uint64),
        "rows": 20,
        "k": 20,
        "ids": np.empty(84, np.int64),
        "distances": np.empty(84, np.uint32),
    }
    with pytest.raises(ValueError, match=message):
        kernel("sign_blocks").nearest(**(arguments | change))


def packed(kernel, values, factors, centre, flips):
    words = flips.shape[1] // 64
    out = np.full((len(values), words), 77, np.uint64)
    scratch = np.empty(128 * words, np.float32)
    kernel("sign_blocks").pack(values, factors, centre, flips, scratch, out)
    return out


def flips_of(turns, words, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (turns, 64 * words), np.uint8)


@looped("dim", [1, 7, 63, 64, 65, 100, 128, 300, 384, 768, 1024])
@looped("turns", [1, 2, 3])
def test_signs_are_those_of_matrices_in_float64(kernel, dim, turns):
    rng, words = np.random.default_rng(dim), -(-dim // 64)
    values, centre = rng.standard_normal((9, dim), np.float32), rng.standard_normal(dim, np.float32)
    factors, flips = rng.random(9, np.float32), flips_of(turns, words)
    rows = np.pad(values * factors[:, None] - centre, [(0, 0), (0, 64 * words - dim)]).astype(float)
    block = rows.shape[1] & -rows.shape[1]
    for signs in 1.0 - 2 * (flips & 1):
        dealt = rows.reshape(9, -1, block).swapaxes(1, 2).reshape(rows.shape) * signs
        rows = (dealt.reshape(9, -1, block) @ hadamard(block)).reshape(rows.shape)
    found = packed(kernel, values, factors, centre, flips).view(np.uint8)
    bits = np.unpackbits(found, axis=1, bitorder="little")
    clear = np.abs(rows) > 1e-4 * np.abs(rows).max()
    np.testing.assert_array_equal(bits[clear], (rows >= 0)[clear])
    assert clear.mean() > 0.5  # filled up rows have exact zeros, whose sums round


@looped("dim", [64, 100, 384, 1024])
def test_every_level_packs_the_same_bits(kernel, dim):
    rng, words = np.random.default_rng(dim), -(-dim // 64)
    values, centre = rng.standard_normal((500, dim), np.float32), rng.random(dim, np.float32)
    factors, flips = rng.random(500, np.float32), flips_of(2, words)
    reference = packed(
        lambda _: dispatch.load("sign_blocks", "reference"), values, factors, centre, flips
    )
    np.testing.assert_array_equal(packed(kernel, values, factors, centre, flips), reference)


def test_a_value_of_zero_is_a_one(kernel):
    centre = np.zeros(64, np.float32)
    bits = packed(
        kernel, np.zeros((2, 64), np.float32), np.ones(2, np.float32), centre, flips_of(1, 1)
    )
    assert bits.tolist() == [[2**64 - 1]] * 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"factors": np.ones(3, np.float32)}, "factors holds 3, values holds 4"),
        ({"centre": np.ones(69, np.float32)}, "centre holds 69, a row of values holds 70"),
        ({"flips": flips_of(2, 1)}, "a row of flips holds 64, a row of signs holds 128"),
        ({"scratch": np.empty(255, np.float32)}, "scratch holds 255, two rows of signs holds 256"),
        ({"packed": np.empty((4, 1), np.uint64)}, "a row of packed holds 1 words for 70 values"),
        ({"packed": np.empty((5, 2), np.uint64)}, "packed holds 5, values holds 4"),
    ],
)
def test_what_is_packed_must_fit(kernel, change, message):
    arguments = {
        "values": np.ones((4, 70), np.float32),
        "factors": np.ones(4, np.float32),
        "centre": np.ones(70, np.float32),
        "flips": flips_of(2, 2),
        "scratch": np.empty(256, np.float32),
        "packed": np.empty((4, 2), np.uint64),
    }
    with pytest.raises(ValueError, match=message):
        kernel("sign_blocks").pack(**(arguments | change))
