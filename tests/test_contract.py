"""What all codecs promise, stated once. A new codec joins by adding itself to CASES."""

import json
import pickle
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest

from cgcython.base import QuantizationMethod
from cgcython.codecs.base import codec_class
from cgcython.codecs.binary import BinaryCodec
from cgcython.codecs.codebook import PQ8Codebook
from cgcython.codecs.float8 import Float8Codec
from cgcython.codecs.pq8 import PQ8Codec
from cgcython.codecs.sparse import SparseCodec
from cgcython.codecs.token_pruning import TokenPruningCodec
from cgcython.embedders.ladder import LADDER
from cgcython.errors import (
    DimensionMismatch,
    InvalidInput,
    InvalidQuantizedData,
    MethodMismatch,
    NonFiniteValue,
)
from cgcython.records import QuantizedEmbedding, SparseVector

RNG = np.random.default_rng(12)
DENSE = RNG.standard_normal((9, 36), dtype=np.float32)
TOKENS = [RNG.standard_normal((n, 12), dtype=np.float32) for n in (5, 1, 8, 3, 2, 6, 7, 4, 9)]
CENTROIDS = RNG.standard_normal((4, 256, 8), dtype=np.float32)
ROTATION, MEAN = np.linalg.qr(RNG.standard_normal((36, 32)))[0], RNG.standard_normal(36)


def sparse_vectors(dimension=400):
    for nnz in (3, 0, 40, 1, 7, 11, 20, 2, 5):
        indices = RNG.choice(dimension, nnz, replace=False)
        # Halves of small whole numbers are exact in f16.
        yield SparseVector(indices, RNG.integers(1, 99, nnz) / 2, dimension)


SPARSE = list(sparse_vectors())


class Case(NamedTuple):
    """A codec, inputs for it, one it must refuse as too long, one with NaN, and its loss."""

    codec: Any
    inputs: Any
    too_long: Any
    not_finite: Any
    zero: Any
    most_loss: float = 1.0


NAN_DENSE = np.where(np.arange(36) == 3, np.nan, 1.0)
NAN_TOKENS = np.where(np.arange(12) == 3, np.nan, np.ones((2, 12)))


def dense(codec, most_loss=1.0):
    return Case(codec, DENSE, np.ones(37), NAN_DENSE, np.zeros(36), most_loss)


def sparse(layout, most_loss=1e-7):
    codec = SparseCodec(400, layout)
    not_finite = ([1, 2], [np.nan, 1.0])
    return Case(codec, SPARSE, SparseVector([1], [1], 401), not_finite, ([1], [0.0]), most_loss)


def tokens(layout, most_loss=0.003):
    codec = TokenPruningCodec(12, 1.0, layout=layout)
    return Case(codec, TOKENS, np.ones((2, 13)), NAN_TOKENS, np.zeros((2, 12)), most_loss)


CASES = [
    dense(Float8Codec(36), most_loss=0.003),
    dense(BinaryCodec(36, 0.25)),
    dense(PQ8Codec(PQ8Codebook(RNG.standard_normal((4, 256, 9))))),
    dense(PQ8Codec(PQ8Codebook(CENTROIDS, ROTATION, MEAN))),
    *(sparse(layout) for layout in ("canonical", "compact_f16", "compact_f32")),
    sparse("compact_u8", most_loss=1e-4),
    *(tokens(layout) for layout in ("canonical", "compact_e4m3", "compact_f32")),
    tokens("compact_int4", most_loss=0.01),
    tokens("compact_int2", most_loss=0.15),
]


@pytest.fixture(params=CASES, ids=lambda case: str(case.codec)[:60])
def case(request):
    return request.param


def decoded(value):
    return value.weights if isinstance(value, SparseVector) else value


def rows_of(values):
    """Return the rows of a decoded batch: a matrix, a TokenArray or sparse columns."""
    if isinstance(values, tuple):
        indptr, _, weights = values
        return np.split(weights, indptr[1:-1])
    return list(values)


def test_every_method_is_under_contract():
    assert {case.codec.method for case in CASES} == set(QuantizationMethod)


def test_same_input_gives_same_bytes_on_every_level(case, level):
    assert [case.codec.encode(one) for one in case.inputs] == BYTES[id(case)]


def test_equal_configuration_gives_equal_codecs(case):
    twin = pickle.loads(pickle.dumps(case.codec))
    assert twin == case.codec
    assert twin.encode(case.inputs[0]) == case.codec.encode(case.inputs[0])


def test_decoding_undoes_encoding_within_the_methods_loss(case, level):
    for one in case.inputs:
        quantized = case.codec.encode(one)
        assert case.codec.loss(one, case.codec.decode(quantized)) <= case.most_loss


def test_a_record_tells_its_method_and_dimension(case):
    quantized = case.codec.encode(case.inputs[0])
    assert (quantized.method, quantized.original_dim) == (case.codec.method, case.codec.dim)


def test_a_record_survives_its_bytes(case):
    for one in case.inputs:
        quantized = case.codec.encode(one)
        assert QuantizedEmbedding.from_bytes(quantized.to_bytes()) == quantized


def test_metadata_survive_json(case):
    metadata = case.codec.encode(case.inputs[0]).metadata
    assert type(metadata)(**json.loads(json.dumps(metadata._asdict()))) == metadata


@pytest.mark.parametrize("num_threads", [1, 3])
def test_a_batch_holds_the_same_records(case, level, num_threads):
    batch = case.codec.encode_batch(case.inputs, num_threads=num_threads)
    assert len(batch) == len(case.inputs)
    for i, one in enumerate(case.inputs):
        assert case.codec.row(batch, i) == case.codec.encode(one)
    assert case.codec.rows(batch) == [case.codec.row(batch, i) for i in range(len(batch))]


@pytest.mark.parametrize("num_threads", [1, 3])
def test_a_batch_decodes_to_the_same_values(case, level, num_threads):
    batch = case.codec.encode_batch(case.inputs)
    rows = rows_of(case.codec.decode_batch(batch, num_threads=num_threads))
    assert len(rows) == len(batch)
    for i, row in enumerate(rows):
        one = case.codec.decode(case.codec.row(batch, i))
        np.testing.assert_array_equal(row, decoded(one))


def test_an_empty_batch_is_a_batch(case, level):
    batch = case.codec.encode_batch(case.inputs[:0])
    assert len(batch) == 0
    assert len(case.codec.decode_batch(batch)) <= 3


def test_lists_of_numbers_are_as_welcome_as_arrays(case):
    one = case.inputs[2]
    listed = (one.indices, one.weights) if isinstance(one, SparseVector) else one
    listed = [part.tolist() for part in listed]
    assert case.codec.encode(listed) == case.codec.encode(one)


def test_zeros_are_an_ordinary_embedding(case, level):
    quantized = case.codec.encode(case.zero)
    assert np.isfinite(decoded(case.codec.decode(quantized))).all()


def test_an_input_of_another_length_is_refused(case):
    with pytest.raises(DimensionMismatch):
        case.codec.encode(case.too_long)


def test_nan_is_refused_before_any_byte_is_written(case, level):
    with pytest.raises(NonFiniteValue):
        case.codec.encode(case.not_finite)
    with pytest.raises(NonFiniteValue):
        case.codec.encode_batch([case.inputs[0], case.not_finite])


def test_every_other_number_of_bytes_is_refused(case, level):
    whole = case.codec.encode(case.inputs[0])
    for data in (whole.data[:-1], whole.data + b"\0", b"", whole.data * 2):
        with pytest.raises(InvalidQuantizedData):
            case.codec.decode(with_parts(whole, data=data))


def test_another_methods_record_is_refused(case):
    whole = case.codec.encode(case.inputs[0])
    other = next(one for one in QuantizationMethod if one is not case.codec.method)
    with pytest.raises(MethodMismatch):
        case.codec.decode(with_parts(whole, method=other))


def test_another_dimension_is_refused(case):
    whole = case.codec.encode(case.inputs[0])
    with pytest.raises(DimensionMismatch):
        case.codec.decode(with_parts(whole, original_dim=case.codec.dim + 1))


def test_another_methods_metadata_are_refused(case):
    whole = case.codec.encode(case.inputs[0])
    with pytest.raises(InvalidQuantizedData):
        case.codec.decode(with_parts(whole, metadata=("another", "kind")))


def test_the_expected_size_is_the_size(case):
    for one in case.inputs:
        count = one.nnz if isinstance(one, SparseVector) else len(one)
        assert case.codec.encode(one).size_bytes == case.codec.expected_size(count)


NO_EMBEDDINGS = [None, "x", b"x" * 8, 5, [], np.zeros(1, np.uint8), Exception]


@pytest.mark.parametrize("other", NO_EMBEDDINGS, ids=repr)
def test_what_is_no_encoded_embedding_is_refused(case, other):
    batch = case.codec.encode_batch(case.inputs)
    for call in (
        lambda: case.codec.decode(other),
        lambda: case.codec.decode(batch),
        lambda: case.codec.decode_batch(other),
        lambda: case.codec.decode_batch(case.codec.encode(case.inputs[0])),
        lambda: case.codec.rows(other),
        lambda: case.codec.row(other, 0),
        lambda: case.codec.encode_batch(case.inputs, out=other or "none"),
    ):
        with pytest.raises(InvalidInput, match="quantized: expected a Quantized"):
            call()


def test_a_batch_without_one_of_its_columns_is_refused(case):
    batch = case.codec.encode_batch(case.inputs)
    for name in batch.columns:
        columns = {one: column for one, column in batch.columns.items() if one != name}
        other = replace(batch, columns=columns)
        for read in (case.codec.decode_batch, case.codec.rows):
            with pytest.raises(InvalidQuantizedData, match=name):
                read(other)


@pytest.mark.parametrize("i", [99, -99, 1.5, "0", None])
def test_a_row_that_is_not_there_is_refused(case, i):
    batch = case.codec.encode_batch(case.inputs)
    with pytest.raises(InvalidInput, match="i: expected -"):
        case.codec.row(batch, i)


@pytest.mark.parametrize("dim", [0, -1, 2**40, 1.5, "8", None])
def test_a_dimension_is_a_number_of_values(case, dim):
    if not case.codec.needs_codebook:
        with pytest.raises(InvalidInput, match="dim: expected 1 to"):
            type(case.codec)(dim)


def test_the_class_is_that_of_the_method(case):
    kind = type(case.codec)
    assert codec_class(case.codec.method) is kind
    assert {layout.method for layout in kind.layouts} == {kind.method}
    assert {layout.name for layout in kind.layouts} >= {case.codec.layout}
    assert 0 <= kind.max_loss < 1 <= kind.ratio


def test_the_configuration_makes_an_equal_codec(case):
    assert type(case.codec)(**case.codec.config) == case.codec
    assert set(case.codec.config) >= set(case.codec.settings)


def test_a_codec_of_the_dimension_reads_what_any_codec_wrote(case):
    quantized = case.codec.encode(case.inputs[0])
    codebook = case.codec.config.get("codebook")
    assert (codebook is not None) == case.codec.needs_codebook
    reader = type(case.codec).for_dimension(case.codec.dim, codebook)
    np.testing.assert_array_equal(
        decoded(reader.decode(quantized)), decoded(case.codec.decode(quantized))
    )


def test_batches_have_the_columns_that_the_class_names(case):
    batch = case.codec.encode_batch(case.inputs)
    assert set(batch.columns) == set(case.codec.columns)
    assert case.codec.ragged == ("offsets" in batch.columns)


def test_float32_bytes_are_those_of_the_inputs(case):
    def float32_bytes(one):
        return 8 * one.nnz if isinstance(one, SparseVector) else one.nbytes

    expected = [float32_bytes(one) for one in case.inputs]
    assert [case.codec.encode(one).original_bytes for one in case.inputs] == expected
    batch = case.codec.encode_batch(case.inputs)
    assert case.codec.batch_float32_bytes(batch) == sum(expected)


def test_later_steps_of_the_ladder_take_no_more_bytes(case):
    codecs = [case.codec.compact(step) for step in range(len(LADDER))]
    sizes = [sum(one.encode(x).size_bytes for x in case.inputs) for one in codecs]
    assert sizes == sorted(sizes, reverse=True)
    assert all(one.dim == case.codec.dim for one in codecs)


def with_parts(quantized, **parts):
    fields = ("method", "original_dim", "data", "metadata")
    return QuantizedEmbedding(*(parts.get(name, getattr(quantized, name)) for name in fields))


BYTES = {id(case): [case.codec.encode(one) for one in case.inputs] for case in CASES}
