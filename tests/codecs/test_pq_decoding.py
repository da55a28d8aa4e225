"""Codes of a rotated codebook are decoded by a table once that pays, to the same bits."""

import numpy as np
import pytest

from cgcython import PQ8Codebook
from cgcython.codecs import pq_decoding
from cgcython.codecs.pq_decoding import TABLE_AFTER

RNG = np.random.default_rng(3)
CODES = RNG.integers(0, 256, (TABLE_AFTER, 8), np.uint8)


def rotated_book(dim=200, width=136):
    turn = np.linalg.qr(RNG.standard_normal((dim, width)))[0]
    return PQ8Codebook(RNG.standard_normal((8, 256, width // 8)), turn, np.ones(dim))


@pytest.fixture
def tables(monkeypatch, level):
    """Return the list of the tables that are made."""
    made = []
    make = pq_decoding.kernels.pq.back_table

    def noted(prepared, table):
        made.append(table)
        return make(prepared, table)

    monkeypatch.setattr(pq_decoding.kernels.pq, "back_table", noted)
    return made


def test_a_table_is_made_once_when_enough_were_decoded(tables):
    book = rotated_book()
    first = [book.dequantize(codes.tobytes()) for codes in CODES[1:]]
    assert tables == []
    book.dequantize(CODES[0].tobytes())
    assert len(tables) == 1
    later = [book.dequantize(codes.tobytes()) for codes in CODES[1:]]
    np.testing.assert_array_equal(first, later)
    assert len(tables) == 1


def test_a_large_batch_makes_the_table_before_it_is_decoded(tables):
    book = rotated_book()
    few = book.decode(CODES[:9])
    assert tables == []
    many = book.decode(CODES, num_threads=2)
    assert len(tables) == 1
    assert many[:9].tobytes() == few.tobytes() == book.decode(CODES[:9]).tobytes()


def test_a_table_that_is_too_large_is_not_made(tables, monkeypatch):
    monkeypatch.setattr(pq_decoding, "MOST_TABLE_BYTES", 8 * 256 * 200 * 4 - 1)
    book = rotated_book()
    book.decode(CODES)
    assert tables == []


def test_without_a_rotation_there_is_no_table(tables):
    book = PQ8Codebook(RNG.standard_normal((8, 256, 4)))
    book.decode(CODES)
    assert tables == []
