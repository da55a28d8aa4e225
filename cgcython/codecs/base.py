"""The checks that all codecs share.

A codec is a frozen dataclass with `method` and `dim` and the calls `encode`, `decode`,
`encode_batch`, `decode_batch`, `row`, `rows`, `expected_size` and `loss`.
"""

from itertools import pairwise, repeat

import numpy as np

from cgcython.arrays import as_float32
from cgcython.errors import (
    DimensionMismatch,
    InvalidInput,
    InvalidQuantizedData,
    MethodMismatch,
    NonFiniteValue,
)
from cgcython.records import QuantizedEmbedding


def require_kind(record, codec, kind=None, size=None):
    """Check that a record or batch is of the codec's method, dimension, metadata type and size.

    Raises MethodMismatch, DimensionMismatch or InvalidQuantizedData.
    """
    if record.method is not codec.method:
        raise MethodMismatch(expected=codec.method, actual=record.method)
    if record.original_dim != codec.dim:
        raise DimensionMismatch(expected=codec.dim, actual=record.original_dim)
    if kind is not None and type(record.metadata) is not kind:
        reason = f"metadata is {type(record.metadata).__name__}, not {kind.__name__}"
        raise invalid(codec, reason=reason)
    if size is not None and len(record.data) != size:
        raise invalid(codec, expected=size, actual=len(record.data))


def require_size(codec, data, expected):
    """Raise InvalidQuantizedData unless `data` has the expected number of bytes."""
    if len(data) != expected:
        raise invalid(codec, expected=expected, actual=len(data))


def invalid(codec, reason=None, expected=None, actual=None):
    """Return the InvalidQuantizedData error of a codec."""
    return InvalidQuantizedData(
        method=codec.method, expected_bytes=expected, actual_bytes=actual, reason=reason
    )


def require_columns(batch, codec, **columns):
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


def records_of(codec, parts, metadata):
    """Return a list of records of a codec from their bytes and as many metadata."""
    return list(map(QuantizedEmbedding, repeat(codec.method), repeat(codec.dim), parts, metadata))


def rows_as(kind, *columns):
    """Iterate over named tuples of a kind; their own constructor, which is Python, is slow."""
    return map(tuple.__new__, repeat(kind), zip(*columns))


def payloads(codes):
    """Return the bytes of each row of a matrix of codes."""
    data, width = codes.tobytes(), codes.shape[1]
    return [data[start : start + width] for start in range(0, len(data), width)]


def payloads_at(data, offsets):
    """Return the bytes between each two offsets."""
    data = data.tobytes()
    return [data[start:stop] for start, stop in pairwise(offsets.tolist())]


def _is_array(value, shape, dtype):
    return isinstance(value, np.ndarray) and value.shape == shape and value.dtype == dtype


def _describe(value):
    is_array = isinstance(value, np.ndarray)
    return f"{value.dtype} {value.shape}" if is_array else type(value).__name__


def require_count(count):
    """Check that a number of tokens or non-zeros is a whole one."""
    if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 0:
        raise InvalidInput(what="count", expected="0 or more", actual=count)


def output(out, shape, dtype=np.float32):
    """Return `out` after checking that a kernel can fill it, or a new array without one."""
    if out is None:
        return np.empty(shape, dtype)
    if not (_is_array(out, shape, dtype) and out.flags.carray):
        expected = f"a writable, C-contiguous array of {np.dtype(dtype)} {shape}"
        raise InvalidInput(what="out", expected=expected, actual=_describe(out))
    return out


def output_columns(out, codec, **columns):
    """Return arrays for a batch's columns, (shape, dtype) each: new ones, or those of `out`."""
    if out is None:
        return [np.empty(*column) for column in columns.values()]
    require_kind(out, codec)
    return [output(out.columns.get(name), *column) for name, column in columns.items()]


def require_finite_rows(first, values, row=0):
    """Raise NonFiniteValue for the flat index that a kernel returned, -1 meaning none.

    `row` is the first row of `values` in the caller's matrix.
    """
    if first >= 0:
        index = first + row * values.shape[1]
        raise NonFiniteValue(index=index, value=float(values.reshape(-1)[first]))


def cosine_loss(original, decoded):
    """Return 1 - cosine of two vectors; 0.0 where both are zero, 1.0 where one is."""
    a, b = as_float32(original).astype(np.float64), as_float32(decoded).astype(np.float64)
    norms = np.linalg.norm(a) * np.linalg.norm(b)
    if norms == 0:
        return 0.0 if not a.any() and not b.any() else 1.0
    return float(1 - a @ b / norms)
