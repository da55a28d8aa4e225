"""What all codecs promise, stated once. A new codec joins codec_cases.CASES."""

import json
import pickle
import zlib
from dataclasses import replace

import numpy as np
import pytest
from codec_cases import CASES, decoded

from cgcython import frames
from cgcython.base import ModelId, QuantizationMethod
from cgcython.errors import (
    DimensionMismatch,
    InvalidInput,
    InvalidQuantizedData,
    MethodMismatch,
    NonFiniteValue,
)
from cgcython.records import QuantizedEmbedding, SparseVector


@pytest.fixture(params=CASES, ids=lambda case: str(case.codec)[:60])
def case(request):
    return request.param


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


@pytest.mark.parametrize("embedder", [None, ModelId.HDC])
def test_the_sections_of_a_batch_are_those_of_its_rows(case, level, embedder):
    batch = case.codec.encode_batch(case.inputs)
    sections = case.codec.sections(batch, embedder)
    assert sections.rows == [
        frames.write_section(case.codec.encode(one), embedder) for one in case.inputs
    ]
    assert sections.crcs.tolist() == [zlib.crc32(one[:-4]) for one in sections.rows]
    assert sections.sizes.tolist() == list(map(len, sections.rows))


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


def test_masked_values_are_refused_whatever_lies_under_the_mask(case, level):
    one = case.inputs[0]
    if isinstance(one, SparseVector):
        return  # it has no masks: tests/records/test_embeddings.py
    masked = np.ma.masked_array(one, np.arange(one.size).reshape(one.shape) == 1)
    for call in (lambda: case.codec.encode(masked), lambda: case.codec.encode_batch([masked])):
        with pytest.raises(InvalidInput, match="value 1 masked"):
            call()
    plain = np.ma.masked_array(one, mask=False)
    assert case.codec.encode(plain) == case.codec.encode(one)


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


def with_parts(quantized, **parts):
    fields = ("method", "original_dim", "data", "metadata")
    return QuantizedEmbedding(*(parts.get(name, getattr(quantized, name)) for name in fields))


BYTES = {id(case): [case.codec.encode(one) for one in case.inputs] for case in CASES}
