"""`quantize_embeddings` as sentence-transformers has it, and two precisions more.

The five precisions of sentence-transformers give its results bit by bit (of release 6.2.0, whose
outputs are kept in tests/golden/sentence_transformers.npz); neither it nor torch is imported.
"""

import logging
from typing import Any, Literal, TypeAlias, overload

import numpy as np

from cgcython.arrays import as_float32, as_matrix, shape_of, unmasked, usual_arithmetic
from cgcython.checks import require_choice
from cgcython.codecs.base import codec_of
from cgcython.codecs.codebook_base import Codebook
from cgcython.codecs.float8 import Float8Codec
from cgcython.errors import DimensionMismatch, InvalidInput, NonFiniteValue
from cgcython.records import QuantizedBatch
from cgcython.types import Array, ArrayLike, Float32Array, UInt8Array

Quantized: TypeAlias = Array | QuantizedBatch
LOG = logging.getLogger(__name__)
FEW_ROWS = 100  # ranges of fewer rows are told to be unsure
PRECISIONS = ("float32", "int8", "uint8", "binary", "ubinary", "float8_e4m3fn", "pq")


@overload
def quantize_embeddings(
    embeddings: Array,
    precision: Literal["float8_e4m3fn", "pq"],
    ranges: ArrayLike | None = ...,
    calibration_embeddings: ArrayLike | None = ...,
    *,
    codebook: Codebook | None = ...,
    num_threads: int = ...,
) -> QuantizedBatch: ...
@overload
def quantize_embeddings(
    embeddings: Array,
    precision: Literal["float32", "int8", "uint8", "binary", "ubinary"],
    ranges: ArrayLike | None = ...,
    calibration_embeddings: ArrayLike | None = ...,
    *,
    codebook: Codebook | None = ...,
    num_threads: int = ...,
) -> Array: ...
@overload
def quantize_embeddings(
    embeddings: Any,
    precision: str,
    ranges: ArrayLike | None = ...,
    calibration_embeddings: ArrayLike | None = ...,
    *,
    codebook: Codebook | None = ...,
    num_threads: int = ...,
) -> Any: ...
@usual_arithmetic
def quantize_embeddings(
    embeddings: Any,
    precision: str,
    ranges: ArrayLike | None = None,
    calibration_embeddings: ArrayLike | None = None,
    *,
    codebook: Codebook | None = None,
    num_threads: int = 1,
) -> Any:
    """Return embeddings [n, dim] at another precision: one of PRECISIONS.

    `int8` and `uint8` are codes [n, dim] in 255 steps from the least to the greatest value of each
    dimension: those of `ranges` [2, dim], or else of `calibration_embeddings`, or else of the
    embeddings. `binary` (int8) and `ubinary` (uint8) are bits [n, dim / 8], 1 where a value is
    above 0. `float8_e4m3fn` and `pq` (which takes a trained `codebook`) give a QuantizedBatch. A
    list of token matrices gives a list. Raises InvalidInput, DimensionMismatch and NonFiniteValue.

    >>> quantize_embeddings([[1.0, -1.0, 0.5], [2.0, 3.0, -4.0]], "ubinary")
    array([[160],
           [192]], dtype=uint8)
    """
    require_choice(precision, "precision", PRECISIONS)
    settings = _Settings(precision, codebook, num_threads)
    if isinstance(embeddings, list) and not embeddings:
        return []
    if isinstance(embeddings, list) and _is_matrix(embeddings[0]):
        matrices = [_floats(one) for one in embeddings]
        if precision.endswith("int8") and ranges is None:
            ranges = _ranges_of_lists(matrices, precision, calibration_embeddings)
        return [settings.apply(one, ranges, calibration_embeddings) for one in matrices]
    return settings.apply(_floats(embeddings), ranges, calibration_embeddings)


class _Settings:
    """A precision and what its codec needs."""

    def __init__(self, precision: str, codebook: Codebook | None, num_threads: int) -> None:
        self.precision, self.codebook, self.num_threads = precision, codebook, num_threads
        if precision == "pq" and not isinstance(codebook, Codebook):
            expected = "a trained one, as codebook=PQ8Codebook.train(samples) makes"
            raise InvalidInput(what="codebook", expected=expected, actual=type(codebook).__name__)

    def apply(
        self, values: Array, ranges: ArrayLike | None, calibration: ArrayLike | None
    ) -> Quantized:
        """Return the values at this precision."""
        if self.precision == "float32":
            return values.astype(np.float32)
        if self.precision.endswith("int8"):
            return _in_steps(values, self.precision, ranges, calibration)
        if self.precision.endswith("binary"):
            return _signs(values, self.precision)
        matrix = as_matrix(values)
        codec = codec_of(self.codebook) if self.codebook else Float8Codec(matrix.shape[1])
        return codec.encode_batch(matrix, self.num_threads)


def _signs(values: Array, precision: str) -> Array:
    bits: UInt8Array = np.packbits(values > 0, axis=-1)
    return bits if precision == "ubinary" else (bits - 128).view(np.int8)


def _in_steps(
    values: Array, precision: str, ranges: ArrayLike | None, calibration: ArrayLike | None
) -> Array:
    kind = np.dtype(precision)
    if values.ndim == 2 and not len(values):
        return np.empty(values.shape, kind)
    if ranges is None:
        ranges = _ranges(values, precision, calibration)
    bounds = _as_ranges(ranges, values.shape[-1])
    steps = (bounds[1] - bounds[0]) / 255
    steps = np.where(steps == 0, 1, steps)
    codes: Array = np.clip(np.floor((values - bounds[0]) / steps), 0, 255)
    return codes.astype(kind) if precision == "uint8" else (codes - 128).astype(kind)


def _ranges_of_lists(
    matrices: list[Array], precision: str, calibration: ArrayLike | None
) -> Array | None:
    """Return the ranges that all matrices of tokens share; None where there is no token."""
    tokens = np.concatenate(matrices) if calibration is None else _floats(calibration)
    return _ranges(tokens, precision, calibration) if len(tokens) else None


def _ranges(values: Array, precision: str, calibration: ArrayLike | None) -> Array:
    """Return the least and the greatest value of each dimension."""
    if calibration is not None:
        values = _floats(calibration)
    elif values.ndim == 1 or len(values) == 1:
        expected = f"ranges= or calibration_embeddings= for the {precision} of a single embedding"
        raise InvalidInput(what="ranges", expected=expected, actual="neither")
    elif len(values) < FEW_ROWS:
        LOG.warning(
            "%s ranges are those of only %d embeddings; pass ranges= or calibration_embeddings=",
            precision,
            len(values),
        )
    return np.vstack([values.min(axis=0), values.max(axis=0)])


def _as_ranges(ranges: ArrayLike, dim: int) -> Float32Array:
    found = as_float32(ranges)
    if found.shape != (2, dim):
        expected = f"the least and greatest of {dim} values, (2, {dim})"
        raise InvalidInput(what="ranges", expected=expected, actual=found.shape)
    return found


def _is_matrix(value: Any) -> bool:
    return len(shape_of(value) or ()) == 2


def _floats(given: Any) -> Array:
    """Return embeddings as a finite array of their own type, or of float32 for others' types."""
    first = given[0] if isinstance(given, list) and given else given
    if hasattr(first, "detach"):  # a tensor of torch, or a list of them
        given = as_float32(given)
    try:
        array = np.asarray(unmasked(given, "embeddings"))
    except (TypeError, RuntimeError, ValueError, MemoryError, OverflowError) as error:
        if isinstance(error, InvalidInput):
            raise
        expected, actual = "an array of real numbers", f"{type(given).__name__}: {error}"
        raise InvalidInput(what="embeddings", expected=expected, actual=actual) from None
    if array.dtype in (np.int8, np.uint8):
        expected = "floats; these are quantized already"
        raise InvalidInput(what="embeddings", expected=expected, actual=array.dtype)
    if array.dtype.kind not in "fiu":
        array = as_float32(array)
    if array.ndim not in (1, 2):
        raise DimensionMismatch(expected=2, actual=array.ndim, what="dimensions of the array")
    finite = np.isfinite(array)
    if not finite.all():
        index = int(np.argmin(finite))
        raise NonFiniteValue(index=index, value=float(array.ravel()[index]))
    return array
