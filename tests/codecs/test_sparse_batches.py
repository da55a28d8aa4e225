"""SparseCodec: batches hold what single vectors hold, and name the row that is wrong."""

import numpy as np
import pytest
from looping import looped
from sparse_rows import sparse_vector

from cgcython.base import QuantizationMethod
from cgcython.codecs.sparse import SparseCodec
from cgcython.codecs.sparse_layouts import NAMES
from cgcython.errors import (
    DimensionMismatch,
    InvalidInput,
    InvalidQuantizedData,
    MethodMismatch,
    NonFiniteValue,
)
from cgcython.records import QuantizedBatch

DIM = 1000
EXACT = "canonical", "compact_f32"
pytestmark = pytest.mark.usefixtures("level")


def vectors(count=20):
    return [sparse_vector(nnz, seed=nnz) for nnz in range(count)]


def csr(some):
    indptr = np.cumsum([0, *(vector.nnz for vector in some)])
    return (
        indptr,
        np.concatenate([vector.indices for vector in some]),
        np.concatenate([vector.weights for vector in some]),
        DIM,
    )


@looped("layout", NAMES)
@looped("num_threads", [1, 2, 7])
def test_batches_hold_the_records_of_single_vectors(layout, num_threads):
    codec, some = SparseCodec(DIM, layout), vectors()
    batch = codec.encode_batch(some, num_threads=num_threads)
    assert [codec.row(batch, i) for i in range(len(batch))] == [codec.encode(v) for v in some]
    assert codec.row(batch, -1) == codec.encode(some[-1])


@pytest.mark.parametrize("layout", EXACT)
@pytest.mark.parametrize("num_threads", [1, 3])
def test_batches_decode_to_csr_columns(layout, num_threads):
    codec, columns = SparseCodec(DIM, layout), csr(vectors())
    decoded = codec.decode_batch(codec.encode_batch(columns), num_threads=num_threads)
    for found, expected in zip(decoded, columns):
        np.testing.assert_array_equal(found, expected)
    assert [column.dtype for column in decoded] == [np.int64, np.uint32, np.float32]
    again = codec.decode_batch(codec.encode_batch(columns), out=decoded)
    assert all(a is b for a, b in zip(again, decoded))


@pytest.mark.parametrize("nothing", [[], (), ([0], [], [], DIM)])
def test_empty_batches_are_batches(nothing):
    codec = SparseCodec(DIM, "compact_f16")
    batch = codec.encode_batch(nothing)
    indptr, indices, weights = codec.decode_batch(batch)
    assert (len(batch), indptr.tolist(), len(indices), len(weights)) == (0, [0], 0, 0)


@pytest.mark.parametrize("layout", NAMES)
def test_real_vectors_are_kept(data, layout):
    codec = SparseCodec(30522, layout)
    with np.load(data / "sparse_cranfield.npz") as real:
        columns = [real[name] for name in ("d_indptr", "d_idx", "d_w")]
    batch = codec.encode_batch((*columns, 30522), num_threads=2)
    indptr, indices, weights = codec.decode_batch(batch, num_threads=2)
    np.testing.assert_array_equal(indptr, columns[0])
    np.testing.assert_array_equal(indices, columns[1])
    if layout in EXACT:
        np.testing.assert_array_equal(weights.view("u4"), columns[2].view("u4"))
    elif layout == "compact_f16":
        np.testing.assert_allclose(weights, columns[2], rtol=2.0**-11)
    else:
        half_a_step = np.ptp(np.sqrt(columns[2])) / 510
        found, roots = np.sqrt(weights), np.sqrt(columns[2])
        np.testing.assert_allclose(found, roots, atol=half_a_step * 1.0001)


def test_rows_of_any_integer_type_are_taken_and_sorted():
    codec = SparseCodec(DIM)
    columns = [0, 2, 3], np.array([9, 4, 1], np.int16), [1.0, 2.0, 3.0], DIM
    batch = codec.encode_batch(columns)
    expected = codec.encode_batch([([4, 9], [2.0, 1.0]), ([1], [3.0])])
    np.testing.assert_array_equal(batch.columns["data"], expected.columns["data"])


@looped(
    ("columns", "error"),
    [
        (([0, 2], [4, 4], [1.0, 1.0]), InvalidInput),
        (([0, 1], [2**32 + 1], [1.0]), InvalidInput),
        (([0, 1], [-1], [1.0]), InvalidInput),
        (([0, 2], [1], [1.0]), InvalidInput),
        (([1, 0], [1], [1.0]), InvalidInput),
        (([0.0, 1.0], [1], [1.0]), InvalidInput),
        (([0, 1], [1.0], [1.0]), InvalidInput),
        (([0, 1], [1, 2], [1.0]), DimensionMismatch),
        (([0, 1], [[1]], [[1.0]]), DimensionMismatch),
        (([0, 1], [1], [np.inf]), NonFiniteValue),
    ],
)
def test_columns_that_are_no_vectors_are_refused(columns, error):
    for layout in NAMES:
        with pytest.raises(error):
            SparseCodec(DIM, layout).encode_batch((*columns, DIM))
    with pytest.raises(DimensionMismatch):
        SparseCodec(DIM + 1).encode_batch((*columns, DIM))


def test_the_row_of_a_bad_vector_is_noted():
    columns = np.array([0, 1, 3]), np.array([1, 5, 5]), np.ones(3), DIM
    with pytest.raises(InvalidInput) as caught:
        SparseCodec(DIM).encode_batch(columns)
    assert caught.value.__notes__ == ["in row 1"]


@looped(
    "wrong",
    [
        {"nnz": np.full(3, 2**32 - 1, np.uint32)},
        {"nnz": np.zeros(3, np.uint32)},
        {"nnz": np.zeros(2, np.uint32)},
        {"layouts": np.full(3, 3, np.uint8)},
        {"layouts": np.zeros(3, np.int64)},
        {"offsets": np.array([0, 12, 24, 2**40])},
        {"offsets": np.array([0, 24, 12, 36])},
        {"data": np.zeros(35, np.uint8)},
        {"data": None},
    ],
)
def test_columns_that_contradict_each_other_are_refused(wrong):
    codec = SparseCodec(DIM)
    good = codec.encode_batch([([1], [1.0])] * 3)
    with pytest.raises(InvalidQuantizedData):
        codec.decode_batch(QuantizedBatch(good.method, DIM, {**good.columns, **wrong}))


def test_the_row_of_damaged_bytes_is_noted():
    codec = SparseCodec(DIM)
    batch = codec.encode_batch([([1], [1.0])] * 5)
    batch.columns["data"][12 * 3 + 11] = 0xFF
    batch.columns["data"][12 * 3 + 10] = 0xFF
    with pytest.raises(InvalidQuantizedData, match="finite") as caught:
        codec.decode_batch(batch, num_threads=2)
    assert caught.value.__notes__ == ["in row 3"]


def test_batches_of_other_methods_are_refused():
    batch = SparseCodec(DIM).encode_batch(vectors())
    with pytest.raises(DimensionMismatch):
        SparseCodec(DIM + 1).decode_batch(batch)
    with pytest.raises(MethodMismatch):
        SparseCodec(DIM).decode_batch(QuantizedBatch(QuantizationMethod.BINARY, DIM, batch.columns))
