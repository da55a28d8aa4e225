"""What the class of a codec says of its method is true of its codecs."""

import numpy as np
import pytest
from codec_cases import CASES, decoded

from cgcython.codecs.base import codec_class
from cgcython.embedders.ladder import LADDER
from cgcython.records import SparseVector


@pytest.fixture(params=CASES, ids=lambda case: str(case.codec)[:60])
def case(request):
    return request.param


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
