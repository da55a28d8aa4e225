"""Columns of pyarrow: lists (documents) of lists (tokens) of floats, shared where they can be."""

import numpy as np

from cgcython.arrays import as_float32
from cgcython.errors import DimensionMismatch, InvalidInput


def from_arrow(column):
    """Return (values, offsets) of a list column or its chunks."""
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    offsets, tokens = _list(column)
    bounds, numbers = _list(tokens)
    if not pa.types.is_floating(numbers.type):
        raise _refused(column, numbers.type)
    _require_no_nulls(numbers)
    fixed = pa.types.is_fixed_size_list(tokens.type)
    dim = tokens.type.list_size if fixed else _length_of_each(bounds)
    values = as_float32(numbers.to_numpy(zero_copy_only=False))
    first, count = int(bounds[0]), len(bounds) - 1
    return values[first : first + dim * count].reshape(count, dim), offsets


def to_arrow(values, offsets, dim):
    """Return a LargeListArray of fixed-size lists over the same memory."""
    import pyarrow as pa

    tokens = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), dim)
    return pa.LargeListArray.from_arrays(pa.array(offsets), tokens)


def _list(array):
    """Return the bounds [n + 1] of the elements of a list array, and all that they lie in."""
    import pyarrow as pa

    _require_no_nulls(array)
    if pa.types.is_fixed_size_list(array.type):
        size = array.type.list_size
        return size * np.arange(array.offset, array.offset + len(array) + 1), array.values
    if not (pa.types.is_list(array.type) or pa.types.is_large_list(array.type)):
        raise _refused(array, array.type)
    return array.offsets.to_numpy(), array.values


def _length_of_each(bounds):
    """Return the length that all lists share, 0 where there are none."""
    lengths = np.diff(bounds)
    if len(lengths) == 0:
        return 0
    if np.any(lengths != lengths[0]):
        actual = int(lengths[lengths != lengths[0]][0])
        raise DimensionMismatch(expected=int(lengths[0]), actual=actual, what="values per token")
    return int(lengths[0])


def _require_no_nulls(array):
    if array.null_count:
        raise InvalidInput(
            what="arrow column", expected="no nulls", actual=f"{array.null_count} of {array.type}"
        )


def _refused(array, kind):
    return InvalidInput(
        what="arrow column", expected="lists of lists of floats", actual=f"{kind} in {array.type}"
    )
