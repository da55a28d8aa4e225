"""Columns of pyarrow: lists (documents) of lists (tokens) of floats, shared where they can be."""

from typing import TYPE_CHECKING, Any

import numpy as np

from cgcython.arrays import as_float32
from cgcython.errors import DimensionMismatch, InvalidInput
from cgcython.types import Float32Array, Int64Array

if TYPE_CHECKING:
    import pyarrow as pa

_NO_NULLS = "no nulls; leave them out with column.drop_null(), or fill_null() inside of tokens"


def from_arrow(column: Any) -> tuple[Float32Array, Int64Array]:
    """Return (values, offsets) of a list column or its chunks.

    Of a slice, only what lies in it is looked at.
    """
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if not isinstance(column, pa.Array):
        raise _refused(type(column).__name__, "no column")
    offsets, tokens = _elements(column)
    bounds, numbers = _elements(tokens)
    if not (pa.types.is_floating(numbers.type) or pa.types.is_integer(numbers.type)):
        raise _refused(column.type, numbers.type)
    _require_no_nulls(numbers)
    if pa.types.is_fixed_size_list(tokens.type):
        dim = tokens.type.list_size
    else:  # no token at all has the length of one outside the slice
        dim = _length_of_each(bounds) if len(tokens) else _longest(column.values)
    values = as_float32(numbers.to_numpy(zero_copy_only=False))
    return values.reshape(len(bounds) - 1, dim), offsets


def to_arrow(values: Float32Array, offsets: Int64Array, dim: int) -> "pa.LargeListArray":
    """Return a LargeListArray of fixed-size lists over the same memory."""
    import pyarrow as pa

    tokens = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), dim)
    return pa.LargeListArray.from_arrays(pa.array(offsets), tokens)


def _elements(array: Any) -> tuple[Int64Array, Any]:
    """Return the bounds [n + 1], from 0 on, of the elements of a list array, and the elements."""
    import pyarrow as pa

    _require_no_nulls(array)
    if pa.types.is_fixed_size_list(array.type):
        size, count = array.type.list_size, len(array)
        return size * np.arange(count + 1), array.values.slice(array.offset * size, count * size)
    if not (pa.types.is_list(array.type) or pa.types.is_large_list(array.type)):
        raise _refused(array.type, array.type)
    bounds = array.offsets.to_numpy().astype(np.int64)
    first, last = int(bounds[0]), int(bounds[-1])
    return bounds - first, array.values.slice(first, last - first)


def _length_of_each(bounds: Int64Array) -> int:
    """Return the length that all lists share."""
    lengths = np.diff(bounds)
    if np.any(lengths != lengths[0]):
        actual = int(lengths[lengths != lengths[0]][0])
        raise DimensionMismatch(expected=int(lengths[0]), actual=actual, what="values per token")
    return int(lengths[0])


def _longest(lists: Any) -> int:
    return int(np.diff(lists.offsets.to_numpy()).max(initial=0))


def _require_no_nulls(array: Any) -> None:
    if array.null_count:
        actual = f"{array.null_count} of {array.type}"
        raise InvalidInput(what="arrow column", expected=_NO_NULLS, actual=actual)


def _refused(found: Any, inner: Any) -> InvalidInput:
    expected = "lists of lists of numbers"
    return InvalidInput(what="arrow column", expected=expected, actual=f"{inner} in {found}")
