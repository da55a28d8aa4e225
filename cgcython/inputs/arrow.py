"""Columns of pyarrow as rows of numbers: dense, sparse or tokens; a null is a record without one.

| embedder | column |
|---|---|
| dense | lists, or fixed-size lists, of numbers |
| sparse | structs of lists `indices` and `weights` (or `values`), or maps from index to weight |
| tokens | lists of lists of numbers |
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from cgcython.arrays import as_float32
from cgcython.codecs.base import InputKind
from cgcython.errors import InvalidInput
from cgcython.inputs.columns import Column, DenseColumn, SparseColumn, TokenColumn
from cgcython.token_array.arrow import from_arrow as tokens_of
from cgcython.types import Float32Array, Int64Array

_EXPECTED = {
    InputKind.DENSE: "lists of numbers, as pa.list_(pa.float32(), dimension)",
    InputKind.SPARSE: "structs of lists `indices` and `weights`, or maps from index to weight",
    InputKind.TOKENS: "lists of lists of numbers",
}


def from_arrow(column: Any, kind: InputKind, dim: int) -> tuple[Column, Int64Array | None]:
    """Return a column of embeddings and the rows that are not null, None where all are.

    Raises InvalidInput for other types and for nulls inside of an embedding, DimensionMismatch.
    """
    import pyarrow as pa

    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    whole = pa.concat_arrays(whole.chunks) if isinstance(whole, pa.ChunkedArray) else whole
    whole = whole.storage if isinstance(whole, pa.ExtensionArray) else whole
    if not _fits(whole.type, kind):
        raise InvalidInput(what="column", expected=_EXPECTED[kind], actual=whole.type)
    rows = None
    if whole.null_count:
        rows = np.flatnonzero(whole.is_valid().to_numpy(zero_copy_only=False))
        whole = whole.drop_null()
    return _READERS[kind](whole, dim), rows


def is_embedding(kind: Any) -> bool:
    """Return whether a type of Arrow's is one that embeddings of some kind are kept as."""
    kind = getattr(kind, "storage_type", kind)
    return any(_fits(kind, one) for one in InputKind)


def _fits(kind: Any, wanted: InputKind) -> bool:
    if wanted is InputKind.SPARSE:
        return _is_map(kind) or (
            _names(kind) >= {"indices"} and bool(_names(kind) & {"weights", "values"})
        )
    inner = _items(kind)
    inner = _items(inner) if wanted is InputKind.TOKENS else inner
    return _is_number(inner)


def _items(kind: Any) -> Any:
    """Return the type of what lists hold, None for other types."""
    from pyarrow import types

    is_list = kind is not None and (
        types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    )
    return kind.value_type if is_list else None


def _is_number(kind: Any) -> bool:
    from pyarrow import types

    return kind is not None and bool(types.is_floating(kind) or types.is_integer(kind))


def _is_map(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_map(kind))


def _names(kind: Any) -> set[str]:
    """Return the names of the fields of structs; none for other types."""
    from pyarrow import types

    return {kind.field(i).name for i in range(kind.num_fields)} if types.is_struct(kind) else set()


def _dense(column: Any, dim: int) -> DenseColumn:
    """Return a column of lists of numbers as a matrix; fixed-size lists are not copied."""
    import pyarrow as pa

    if not len(column):
        return DenseColumn(np.empty((0, dim), np.float32))
    document = pa.LargeListArray.from_arrays(pa.array([0, len(column)], pa.int64()), column)
    return DenseColumn(tokens_of(document)[0])


def _tokens(column: Any, dim: int) -> TokenColumn:
    values, offsets = tokens_of(column)
    return TokenColumn(values if len(values) else np.empty((0, dim), np.float32), offsets)


def _sparse(column: Any, dim: int) -> SparseColumn:
    if _is_map(column.type):
        bounds = column.offsets.to_numpy().astype(np.int64)
        inside = slice(bounds[0], bounds[-1])
        indices, weights = _numbers(column.keys)[inside], _numbers(column.items)[inside]
        return SparseColumn(bounds - bounds[0], indices, as_float32(weights), dim)
    weights_of = "weights" if "weights" in _names(column.type) else "values"
    (bounds, indices), (others, weights) = map(_lists, map(column.field, ("indices", weights_of)))
    if not np.array_equal(bounds, others):
        raise InvalidInput(what=weights_of, expected="one for each index", actual="others")
    return SparseColumn(bounds, indices, as_float32(weights), dim)


def _lists(column: Any) -> tuple[Int64Array, Any]:
    """Return bounds from 0 on and items of a column of lists."""
    if _items(column.type) is None:
        raise InvalidInput(what="column", expected=_EXPECTED[InputKind.SPARSE], actual=column.type)
    lengths = column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]), _numbers(column.flatten())


def _numbers(array: Any) -> Float32Array:
    if array.null_count:
        actual = f"{array.null_count} of {array.type}"
        expected = "no nulls inside; fill them with pyarrow.compute.fill_null"
        raise InvalidInput(what="column", expected=expected, actual=actual)
    numbers: Float32Array = array.to_numpy(zero_copy_only=False)
    return numbers


_READERS: dict[InputKind, Callable[[Any, int], Column]] = {
    InputKind.DENSE: _dense,
    InputKind.SPARSE: _sparse,
    InputKind.TOKENS: _tokens,
}
