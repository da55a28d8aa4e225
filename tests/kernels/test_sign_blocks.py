"""Sign bits in blocks: distances and the nearest rows beside the bits themselves."""

import numpy as np
import pytest
from looping import looped


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
