"""The frozen values that travel between layers."""

import pickle
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from cgcython.base import QuantizationMethod
from cgcython.errors import (
    DimensionMismatch,
    InvalidInput,
    InvalidQuantizedData,
    NonFiniteValue,
)
from cgcython.metadata import (
    BinaryMetadata,
    Float8Metadata,
    PQ8Metadata,
    SparseMetadata,
    TokenPruningMetadata,
)
from cgcython.records import QuantizedBatch, QuantizedEmbedding, SparseVector, TokenEmbeddings

FLOAT8, SPARSE = QuantizationMethod.FLOAT8_E4M3, QuantizationMethod.SPARSE_NATIVE


def record(data=b"\x01\x02", scale=0.5):
    return QuantizedEmbedding(FLOAT8, 2, data, Float8Metadata(scale))


def test_equal_parts_make_equal_records():
    assert record() == record()
    assert hash(record()) == hash(record())
    assert record() != record(scale=0.25)
    assert record() != record(data=b"\x01\x03")


def test_a_record_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        record().data = b""
    with pytest.raises(FrozenInstanceError):
        del record().data


def test_a_record_survives_pickling():
    assert pickle.loads(pickle.dumps(record())) == record()


@pytest.mark.parametrize(
    "kind", [bytearray, memoryview, lambda data: np.frombuffer(data, np.uint8)]
)
def test_data_of_any_bytes_like_kind_become_bytes(kind):
    assert record(kind(b"\x01\x02")) == record()
    assert type(record(kind(b"\x01\x02")).data) is bytes


@pytest.mark.parametrize("data", ["12", 2, None, [1, 2]])
def test_data_that_are_no_bytes_are_refused(data):
    with pytest.raises(InvalidInput, match="data: expected bytes"):
        record(data)


@pytest.mark.parametrize(
    ("method", "dimension", "size", "metadata", "ratio"),
    [
        ("float8_e4m3", 512, 512, Float8Metadata(1.0), 4),
        ("binary", 1024, 128, BinaryMetadata(), 32),
        ("pq8", 1024, 8, PQ8Metadata(7), 512),
        ("sparse_native", 30522, 4 + 8 * 10, SparseMetadata(30522, 10), 80 / 84),
        ("token_pruning", 128, 16 * 516 + 4, TokenPruningMetadata(32, 16), 32 * 512 / 8260),
        ("sparse_native", 30522, 0, SparseMetadata(30522, 0), 0),
    ],
)
def test_tells_its_real_size_and_ratio(method, dimension, size, metadata, ratio):
    one = QuantizedEmbedding(QuantizationMethod(method), dimension, bytes(size), metadata)
    assert one.size_bytes == size
    assert one.compression_ratio == pytest.approx(ratio)


def test_metadata_are_found_by_name():
    assert Float8Metadata(scale=0.5) == (0.5, 0.0)
    assert PQ8Metadata(codebook_id=3).num_subvectors == 8
    assert SparseMetadata(vocab_size=9, nnz=2).layout == "canonical"
    assert TokenPruningMetadata(original_tokens=4, kept_tokens=2).threshold == 0.5


def test_sparse_vectors_are_sorted():
    vector = SparseVector([9, 2, 5], [0.9, 0.2, 0.5], dimension=10)
    np.testing.assert_array_equal(vector.indices, [2, 5, 9])
    np.testing.assert_array_equal(vector.weights, np.float32([0.2, 0.5, 0.9]))
    assert (vector.indices.dtype, vector.weights.dtype, vector.nnz) == (np.uint32, np.float32, 3)


def test_sparse_vectors_without_an_entry_are_vectors():
    empty = SparseVector([], [], dimension=10)
    assert (empty.nnz, empty.indices.dtype) == (0, np.uint32)
    assert empty == SparseVector(np.empty(0, np.int64), np.empty(0), 10)
    assert empty != SparseVector([], [], dimension=11)


def test_sparse_vectors_are_equal_by_value():
    vector = SparseVector([1, 2], [0.5, 1.5], dimension=10)
    assert vector == SparseVector(np.array([2, 1]), np.array([1.5, 0.5]), np.int64(10))
    assert vector != SparseVector([1, 2], [0.5, 1.0], dimension=10)
    assert vector != SparseVector([1, 3], [0.5, 1.5], dimension=10)
    assert vector != "vector"


def test_arrays_in_canonical_form_are_not_copied():
    indices, weights = np.array([1, 5], np.uint32), np.array([1, 2], np.float32)
    vector = SparseVector(indices, weights, 10)
    assert vector.indices is indices
    assert vector.weights is weights
    assert SparseVector.trusted(indices, weights, 10) == vector


@pytest.mark.parametrize(
    ("indices", "weights", "dimension", "error", "said"),
    [
        ([1, 1], [1, 2], 10, InvalidInput, "no duplicates"),
        ([3, 1, 3], [1, 2, 3], 10, InvalidInput, "no duplicates"),
        ([10], [1], 10, InvalidInput, "expected 0 to 9, got 10"),
        ([-1, 2], [1, 2], 10, InvalidInput, "expected 0 to 9, got -1"),
        ([2**32 + 1], [1], 10, InvalidInput, "expected 0 to 9"),
        ([1.0], [1], 10, InvalidInput, "integers"),
        ([True], [1], 10, InvalidInput, "integers"),
        ([[1]], [[1]], 10, DimensionMismatch, "dimensions of indices"),
        ([1, 2], [1], 10, DimensionMismatch, "expected 2 weights, got 1"),
        ([], [1], 10, DimensionMismatch, "expected 0 weights, got 1"),
        ([1], [float("nan")], 10, NonFiniteValue, "value 0 is nan"),
        ([1, 2], [1, 1e39], 10, NonFiniteValue, "value 1 is inf"),
        ([], [], 0, InvalidInput, "dimension: expected 1 to"),
        ([], [], 2**32, InvalidInput, "dimension: expected 1 to"),
        ([], [], 9.0, InvalidInput, "dimension: expected 1 to"),
    ],
)
def test_refuses_what_is_no_sparse_vector(indices, weights, dimension, error, said):
    with pytest.raises(error, match=said):
        SparseVector(indices, weights, dimension)


def test_token_embeddings_know_their_shape():
    tokens = TokenEmbeddings([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    assert (tokens.token_count, tokens.dims_per_token) == (2, 3)
    assert tokens.embeddings.dtype == np.float32


@pytest.mark.parametrize(
    ("tokens", "error"),
    [
        ([1.0, 2.0], DimensionMismatch),
        ([[1.0], [1.0, 2.0]], InvalidInput),
        ([[np.inf]], NonFiniteValue),
        ("text", InvalidInput),
    ],
)
def test_refuses_what_is_no_token_matrix(tokens, error):
    with pytest.raises(error):
        TokenEmbeddings(tokens)


def test_a_batch_counts_its_rows_and_bytes():
    dense = QuantizedBatch(FLOAT8, 2, {"codes": np.zeros((3, 2), "u1"), "scales": np.ones(3, "f4")})
    ragged = QuantizedBatch(SPARSE, 2, {"data": np.zeros(9, "u1"), "offsets": np.array([0, 4, 9])})
    assert (len(dense), dense.nbytes) == (3, 18)
    assert len(ragged) == 2


@pytest.mark.parametrize("method", QuantizationMethod)
def test_a_batch_without_its_columns_has_no_length(method):
    with pytest.raises(InvalidQuantizedData, match=f"{method} data: a batch without column"):
        len(QuantizedBatch(method, 2, {}))


def test_weights_of_zero_are_no_non_zeros():
    vector = SparseVector([9, 2, 5, 7], [0.0, 1.5, -0.0, 2.5], dimension=10)
    assert (vector.indices.tolist(), vector.weights.tolist()) == ([2, 7], [1.5, 2.5])
    assert SparseVector([3], [0], 10) == SparseVector([], [], 10)


@pytest.mark.parametrize("data", [np.ma.masked_array([1, 2], [0, 1]), [1, np.ma.masked]])
def test_masked_indices_and_weights_are_refused(data):
    for arrays in ((data, [1.0, 2.0]), ([1, 2], data)):
        with pytest.raises(InvalidInput, match="masked"):
            SparseVector(*arrays, 10)
