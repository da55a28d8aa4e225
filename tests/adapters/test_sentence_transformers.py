"""quantize_embeddings gives what sentence-transformers 6.2.0 gave, and two precisions more."""

import logging
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from cgcython import PQ8Codebook, QuantizationMethod, QuantizedBatch, quantize_embeddings
from cgcython.errors import DimensionMismatch, InvalidInput, NonFiniteValue

GOLDEN = dict(np.load(Path(__file__).parents[1] / "golden" / "sentence_transformers.npz"))
X = GOLDEN["x"]
BOOK = PQ8Codebook(np.zeros((7, 256, 3)) + np.arange(256)[:, None] / 64 - 2)


def require_equal(found, name):
    assert found.dtype == GOLDEN[name].dtype
    np.testing.assert_array_equal(found, GOLDEN[name])


@pytest.mark.parametrize("name", ["x", "wide"])
@pytest.mark.parametrize("precision", ["float32", "int8", "uint8", "binary", "ubinary"])
def test_arrays_are_those_of_the_published_function(name, precision):
    require_equal(quantize_embeddings(GOLDEN[name], precision), f"{name}/{precision}")


@pytest.mark.parametrize("precision", ["int8", "uint8"])
def test_ranges_and_calibration_are_those_of_the_published_function(precision):
    ranges, calibration = GOLDEN["ranges"], GOLDEN["calibration"]
    found = quantize_embeddings(X, precision, ranges=ranges)
    require_equal(found, f"ranges/{precision}")
    require_equal(quantize_embeddings(X[0], precision, ranges=ranges), f"single/{precision}")
    found = quantize_embeddings(X, precision, calibration_embeddings=calibration)
    require_equal(found, f"calibration/{precision}")


@pytest.mark.parametrize("precision", ["int8", "uint8"])
def test_matrices_of_tokens_share_their_ranges(precision):
    parts = quantize_embeddings([X[:50], X[50:50], X[50:]], precision)
    for i, part in enumerate(parts):
        require_equal(part, f"parts{i}/{precision}")
    assert quantize_embeddings([], precision) == []


def test_few_embeddings_are_told_to_make_unsure_ranges(caplog):
    with caplog.at_level(logging.WARNING):
        quantize_embeddings(X[:10], "int8")
    assert "int8 ranges are those of only 10 embeddings" in caplog.text


@pytest.mark.parametrize("one", [X[0], X[:1]])
def test_a_single_embedding_needs_ranges(one):
    with pytest.raises(InvalidInput, match="ranges= or calibration_embeddings= for the int8"):
        quantize_embeddings(one, "int8")


def test_float8_is_a_batch_that_ml_dtypes_views():
    batch = quantize_embeddings(X, "float8_e4m3fn")
    assert isinstance(batch, QuantizedBatch)
    assert batch.method is QuantizationMethod.FLOAT8_E4M3
    scales = np.abs(X).max(1, keepdims=True) / 448
    expected = (X / scales).astype(ml_dtypes.float8_e4m3fn).view(np.uint8)
    assert np.mean(batch.columns["codes"] == expected) > 0.999  # the quotient's rounding differs


def test_pq_takes_a_codebook():
    batch = quantize_embeddings(X, "pq", codebook=BOOK)
    np.testing.assert_array_equal(batch.columns["codes"], BOOK.encode(X))
    with pytest.raises(InvalidInput, match=r"PQ8Codebook.train\(samples\) makes, got NoneType"):
        quantize_embeddings(X, "pq")


def test_types_of_others_are_taken():
    narrow = X.astype(ml_dtypes.bfloat16)
    expected = quantize_embeddings(narrow.astype(np.float32), "uint8")
    np.testing.assert_array_equal(quantize_embeddings(narrow, "uint8"), expected)


def test_what_cannot_be_quantized_is_refused():
    with pytest.raises(InvalidInput, match="these are quantized already, got int8"):
        quantize_embeddings(X.astype(np.int8), "binary")
    with pytest.raises(InvalidInput, match="precision: expected float32 or int8"):
        quantize_embeddings(X, "int4")
    with pytest.raises(NonFiniteValue, match="value 1 is nan"):
        quantize_embeddings([[1.0, np.nan]], "binary")
    with pytest.raises(InvalidInput, match=r"\(2, 21\), got \(2, 3\)"):
        quantize_embeddings(X, "int8", ranges=np.ones((2, 3)))
    with pytest.raises(InvalidInput, match="an array of real numbers, got list"):
        quantize_embeddings([[1.0], [1.0, 2.0]], "int8")
    with pytest.raises(DimensionMismatch):
        quantize_embeddings(X[None], "binary")
