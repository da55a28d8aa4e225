"""The checks that codecs share: of quantized embeddings, of batches, and of arrays to fill."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from cgcython.base import MAX_DIMENSION
from cgcython.checks import require_instance, require_whole
from cgcython.errors import (
    DimensionMismatch,
    InvalidInput,
    InvalidQuantizedData,
    MethodMismatch,
    NonFiniteValue,
)
from cgcython.records import QuantizedBatch, QuantizedEmbedding
from cgcython.types import Array

if TYPE_CHECKING:
    from cgcython.codecs.base import Codec

Shape: TypeAlias = tuple[int, ...]
Column: TypeAlias = tuple[Shape, type[np.generic]]  # what a column of a batch must be


def require_kind(
    quantized: Any, codec: "Codec", kind: type[Any] | None = None, size: int | None = None
) -> None:
    """Check that an embedding is of the codec's method, dimension, metadata and size.

    Without a kind of metadata, a batch is checked. Raises InvalidInput for anything else,
    MethodMismatch, DimensionMismatch or InvalidQuantizedData.
    """
    require_instance(quantized, QuantizedBatch if kind is None else QuantizedEmbedding, "quantized")
    if quantized.method is not codec.method:
        raise MethodMismatch(expected=codec.method, actual=quantized.method)
    if quantized.original_dim != codec.dim:
        raise DimensionMismatch(expected=codec.dim, actual=quantized.original_dim)
    if kind is not None and type(quantized.metadata) is not kind:
        reason = f"metadata is {type(quantized.metadata).__name__}, not {kind.__name__}"
        raise invalid(codec, reason=reason)
    if size is not None and len(quantized.data) != size:
        raise invalid(codec, expected=size, actual=len(quantized.data))


def not_quantized(value: object) -> InvalidInput:
    """Return the error of what is given for a QuantizedEmbedding."""
    actual = type(value).__name__
    return InvalidInput(what="quantized", expected="a QuantizedEmbedding", actual=actual)


def require_dim(dim: object) -> int:
    """Return the number of values of an embedding; raises InvalidInput unless it is one."""
    return require_whole(dim, "dim", 1, MAX_DIMENSION)


def require_size(codec: "Codec", data: Sequence[int] | Array, expected: int) -> None:
    """Raise InvalidQuantizedData unless `data` has the expected number of bytes."""
    if len(data) != expected:
        raise invalid(codec, expected=expected, actual=len(data))


def invalid(
    codec: "Codec",
    reason: str | None = None,
    expected: int | None = None,
    actual: int | None = None,
) -> InvalidQuantizedData:
    """Return the InvalidQuantizedData error of a codec."""
    return InvalidQuantizedData(
        method=codec.method, expected_bytes=expected, actual_bytes=actual, reason=reason
    )


def require_rows(batch: QuantizedBatch, codec: "Codec") -> int:
    """Return the number of rows of a batch of the codec's method and dimension; errors as above."""
    require_kind(batch, codec)
    return len(batch)


def require_row(batch: QuantizedBatch, codec: "Codec", i: int) -> int:
    """Return the number of a row of a batch, of negative ones from the end; raises InvalidInput."""
    count = require_rows(batch, codec)
    return range(count)[require_whole(i, "i", -count, count - 1)]


def require_columns(batch: QuantizedBatch, codec: "Codec", **columns: Column) -> list[Array]:
    """Return the named columns of a batch, each checked against its (shape, dtype)."""
    require_kind(batch, codec)
    found = []
    for name, (shape, dtype) in columns.items():
        column = batch.columns.get(name)
        if not _is_array(column, shape, dtype):
            expected = f"{np.dtype(dtype)} {shape}"
            raise invalid(codec, f"column {name} is {_describe(column)}, not {expected}")
        found.append(np.ascontiguousarray(column))
    return found


def shared_float(batch: QuantizedBatch, codec: "Codec", name: str) -> float:
    """Return a number that all rows of a batch share."""
    number = batch.shared.get(name)
    if not isinstance(number, float):
        raise invalid(codec, f"a batch with {name} {number}")
    return number


def output(out: Array | None, shape: Shape, dtype: type[np.generic] = np.float32) -> Array:
    """Return `out` after checking that a kernel can fill it, or a new array without one."""
    if out is None:
        return np.empty(shape, dtype)
    if not (_is_array(out, shape, dtype) and out.flags.carray):
        expected = f"a writable, C-contiguous array of {np.dtype(dtype)} {shape}"
        raise InvalidInput(what="out", expected=expected, actual=_describe(out))
    return out


def output_columns(out: QuantizedBatch | None, codec: "Codec", **columns: Column) -> list[Array]:
    """Return arrays for a batch's columns, (shape, dtype) each: new ones, or those of `out`."""
    if out is None:
        return [np.empty(*column) for column in columns.values()]
    require_kind(out, codec)
    return [output(out.columns.get(name), *column) for name, column in columns.items()]


def require_finite_rows(first: int, values: Array, row: int = 0) -> None:
    """Raise NonFiniteValue for the flat index that a kernel returned, -1 meaning none.

    `row` is the first row of `values` in the caller's matrix.
    """
    if first >= 0:
        index = first + row * values.shape[1]
        raise NonFiniteValue(index=index, value=float(values.reshape(-1)[first]))


def _is_array(value: object, shape: Shape, dtype: type[np.generic]) -> bool:
    return isinstance(value, np.ndarray) and value.shape == shape and value.dtype == dtype


def _describe(value: object) -> str:
    return f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
