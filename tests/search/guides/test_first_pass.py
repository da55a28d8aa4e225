"""The first pass: one bit per value of every row, and how deep the neighbours lie by them."""

import numpy as np
import pytest
from structured import clustered

from cgcython import PQ8Codebook, kernels
from cgcython.codecs.binary import BinaryCodec
from cgcython.codecs.training import CodebookWarning
from cgcython.search.binary_scan import BinaryScan
from cgcython.search.float8_scans import Float8Scan
from cgcython.search.guides.first_pass import FirstPass
from cgcython.search.guides.signs import Signs, units
from cgcython.search.pq_scan import PQ8Scan


def float8(vectors):
    codes, scales = np.empty(vectors.shape, np.uint8), np.empty(len(vectors), np.float32)
    kernels.e4m3.encode_rows(vectors, codes, scales)
    return Float8Scan(codes, scales)


@pytest.fixture(scope="module")
def scan():
    return float8(clustered(100, 3000))


@pytest.fixture(scope="module")
def expected(scan):
    return bits_of(Signs.of(scan).blocks(scan, np.arange(500)), 500)


def bits_of(blocks, rows):
    words = np.ascontiguousarray(blocks.transpose(0, 2, 1)).reshape(-1, blocks.shape[1])[:rows]
    return np.unpackbits(words.view(np.uint8), axis=1)


def test_levels_differ_in_no_more_than_signs_of_almost_nothing(level, scan, expected):
    bits = bits_of(Signs.of(scan).blocks(scan, np.arange(500)), 500)
    assert bits.shape == (500, 128)
    assert (bits == expected).mean() > 0.9995


def test_turning_keeps_angles(scan):
    """The share of equal signs is that of random planes: 1 - angle / pi."""
    signs, rows = Signs.of(scan), np.arange(400)
    centred = units(scan.vectors(rows)) - signs.centre
    bits = bits_of(signs.blocks(scan, rows), 400)
    cosines = np.corrcoef(np.pad(centred, [(0, 0), (0, 28)]))
    equal = (bits[:, None] == bits[None]).mean(axis=2)
    error = equal - (1 - np.arccos(cosines.clip(-1, 1)) / np.pi)
    assert np.abs(error).mean() < 0.04


def test_every_bit_says_something(scan):
    shares = bits_of(Signs.of(scan).blocks(scan, np.arange(3000)), 3000).mean(axis=0)
    assert 0.3 < shares.min() < shares.max() < 0.7


def test_extended_bits_are_those_of_the_same_turn(scan):
    for rows in (2000, 2001, 2007, 2999):
        guide = FirstPass.of(scan.take(np.arange(rows))).extended(scan)
        whole = Signs(guide.centre, guide.flips).blocks(scan, np.arange(3000))
        np.testing.assert_array_equal(guide.blocks, whole)


def test_no_scale_of_rows_or_queries_matters(scan):
    vectors = clustered(100, 3000) * np.float32(2) ** np.arange(-60, 60, 0.04)[:, None]
    rows = vectors.astype(np.float32)
    guide, other = FirstPass.of(scan), FirstPass.of(float8(rows))
    share = (bits_of(guide.blocks, 3000) == bits_of(other.blocks, 3000)).mean()
    assert share > 0.999
    np.testing.assert_array_equal(
        guide.near(scan, rows[0], 10).rows, guide.near(scan, rows[0] * 2.0**60, 10).rows
    )


def test_rows_of_zeros_and_huge_scales_are_ordinary_rows():
    codes = np.full((40, 70), 0x7E, np.uint8)
    codes[0] = 0
    guide = FirstPass.of(Float8Scan(codes, np.full(40, 3e38, np.float32)))
    assert len(guide) == 40
    assert np.isfinite(guide.centre).all()


def test_more_neighbours_lie_deeper(scan):
    guide = FirstPass.of(scan)
    depths = [guide.depth(count) for count in (1, 10, 11, 50, 100, 101, 1000, 3000, 9999)]
    assert depths == sorted(depths)
    assert depths[0] == depths[1] >= 10
    assert depths[-2:] == [3000, 3000]


def test_depths_grow_with_the_rows(scan):
    few = FirstPass.of(scan.take(np.arange(2000)))
    assert few.extended(scan).depth(10) == round(few.depth(10) * 1.5)


def test_codes_as_short_as_the_bits_have_no_first_pass(few_steps):
    vectors = clustered(64, 300)
    with pytest.warns(CodebookWarning):
        book = PQ8Codebook.train(vectors, 8, rotation=None)
    codes = np.frombuffer(b"".join(map(book.quantize, vectors)), np.uint8).reshape(-1, 8)
    assert not FirstPass.suits(PQ8Scan(codes, book))
    assert not FirstPass.suits(BinaryScan(codes, BinaryCodec(64)))
    assert FirstPass.suits(float8(vectors))
