"""Batches and indexes that were written once are read for ever, and written the same."""

from pathlib import Path

import numpy as np
import pytest

from cgcython import (
    BinaryCodec,
    CodeIndex,
    Float8Codec,
    PQ8Codebook,
    QuantizedBatch,
    ScalarCodec,
    SparseCodec,
    SparseVector,
)

ARRAYS = Path(__file__).with_name("v2") / "arrays"
SCALARS = Path(__file__).with_name("v4_scalar")
ROWS = np.load(ARRAYS / "rows.npy")
BOOK = PQ8Codebook.load(ARRAYS / "book.safetensors")
FLOAT8, BITS, SCALAR = Float8Codec(12), BinaryCodec(12, 0.5), ScalarCodec(12, 6)
SPARSE = [SparseVector([3, 7], [1, 2], 400), SparseVector([], [], 400)]
IDS = np.arange(70) * 3
BATCHES = {
    "batch_float8": lambda: FLOAT8.encode_batch(ROWS),
    "batch_binary": lambda: BITS.encode_batch(ROWS),
    "batch_sparse": lambda: SparseCodec(400).encode_batch(SPARSE),
    "batch_scalar": lambda: SCALAR.encode_batch(ROWS),
}
INDEXES = {
    "codes_float8": lambda: CodeIndex(FLOAT8, FLOAT8.encode_batch(ROWS), IDS, "cosine"),
    "codes_binary": lambda: CodeIndex(BITS, BITS.encode_batch(ROWS), IDS),
    "codes_pq_cosine": lambda: CodeIndex(BOOK, BOOK.encode(ROWS), IDS, "cosine"),
    "codes_pq": lambda: CodeIndex(BOOK, BOOK.encode(ROWS), IDS),
    "codes_scalar": lambda: CodeIndex(SCALAR, SCALAR.encode_batch(ROWS), IDS),
}


def golden(name):
    return (SCALARS if "scalar" in name else ARRAYS) / f"{name}.safetensors"


@pytest.mark.parametrize("name", [*BATCHES, *INDEXES])
def test_the_bytes_are_those_of_the_file(name, tmp_path):
    {**BATCHES, **INDEXES}[name]().save(tmp_path / "new")
    assert (tmp_path / "new").read_bytes() == golden(name).read_bytes()


@pytest.mark.parametrize("name", BATCHES)
def test_batches_are_read(name):
    found, expected = QuantizedBatch.load(golden(name)), BATCHES[name]()
    assert (found.method, found.shared) == (expected.method, expected.shared)
    for column, values in expected.columns.items():
        np.testing.assert_array_equal(found.columns[column], values)


@pytest.mark.parametrize("name", INDEXES)
def test_indexes_are_read(name):
    book = BOOK if "pq" in name else None
    found, expected = CodeIndex.load(golden(name), book), INDEXES[name]()
    np.testing.assert_array_equal(found.search(ROWS[:9]), expected.search(ROWS[:9]))
