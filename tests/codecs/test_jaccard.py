"""Jaccard similarity of bits is scipy's, pair by pair and in batches, on every level."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.spatial.distance import jaccard as jaccard_distance

from cgcython import BinaryEncoder, jaccard_similarities, jaccard_similarity
from cgcython.errors import DimensionMismatch, InvalidInput

BITS = np.random.default_rng(2).random((40, 136)) < np.linspace(0, 1, 40)[:, None]
CODES = np.packbits(BITS, axis=1)


def test_pairs_are_those_of_scipy(level):
    for a, b in zip(range(1, 40), range(39, 0, -1)):
        expected = 1 - jaccard_distance(BITS[a], BITS[b])
        assert jaccard_similarity(CODES[a], CODES[b].tobytes()) == pytest.approx(
            expected, abs=1e-15
        )


def test_batches_are_those_of_scipy(level):
    expected = 1 - cdist(BITS[1:6], BITS, "jaccard")
    found = jaccard_similarities(CODES[1:6], CODES, num_threads=2)
    np.testing.assert_allclose(found, expected, rtol=0, atol=6e-8)  # float32
    np.testing.assert_array_equal(jaccard_similarities(CODES[3], CODES), found[2])


def test_empty_sets_are_equal(level):
    assert jaccard_similarity(bytes(3), bytes(3)) == 1.0
    assert jaccard_similarity(bytes(3), b"\0\0\1") == 0.0
    assert jaccard_similarity(b"", b"") == 1.0
    assert jaccard_similarities(bytes(2), np.zeros((0, 2), np.uint8)).shape == (0,)


def test_padding_bits_do_not_count(level):
    assert jaccard_similarity(b"\xff\x80", b"\xff\x7f", 9) == pytest.approx(8 / 9)
    assert jaccard_similarity(b"\x7f", b"\x01", 1) == 1.0
    with pytest.raises(DimensionMismatch, match="expected 16 bits, got 8"):
        jaccard_similarity(b"ab", b"ab", 8)


def test_the_encoder_has_it():
    assert BinaryEncoder.jaccard_similarity(b"\x03", b"\x01") == 0.5


def test_what_are_no_codes_of_one_length_is_refused(level):
    with pytest.raises(DimensionMismatch, match="expected 2 bytes, got 3"):
        jaccard_similarity(b"ab", b"abc")
    with pytest.raises(InvalidInput, match="expected bytes"):
        jaccard_similarity("ab", b"ab")
    with pytest.raises(InvalidInput, match="packed bits, uint8, got float64"):
        jaccard_similarities(np.ones(2), CODES)
    with pytest.raises(InvalidInput, match="codes: expected an array"):
        jaccard_similarities(CODES[0], [[1.0], [1.0, 2.0]])
    released = memoryview(b"ab")
    released.release()
    with pytest.raises(InvalidInput, match="expected bytes"):
        jaccard_similarities(released, CODES)
    with pytest.raises(DimensionMismatch, match="expected 17 bytes, got 2"):
        jaccard_similarities(CODES[0, :2], CODES)


def test_what_is_no_array_of_codes_is_refused():
    released = memoryview(b"12")
    released.release()
    for codes in ([[1.0], [1.0, 2.0]], released):
        with pytest.raises(InvalidInput):
            jaccard_similarities(codes, np.zeros((1, 2), np.uint8))
