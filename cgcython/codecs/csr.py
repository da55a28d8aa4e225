"""Rows of sparse vectors as three columns: edges, indices and weights, as scipy keeps them."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from cgcython.arrays import as_float32, as_integers
from cgcython.errors import DimensionMismatch, InvalidInput
from cgcython.records import SparseVector
from cgcython.types import Array, ArrayLike, Float32Array, Int64Array, UInt32Array

Columns: TypeAlias = tuple[Int64Array, UInt32Array, Float32Array]  # edges, indices, weights


def joined(vectors: Sequence[SparseVector]) -> Columns:
    """Return the (indptr i64, indices u32, weights f32) of a list of SparseVector."""
    indptr = np.zeros(len(vectors) + 1, np.int64)
    np.cumsum([vector.nnz for vector in vectors], out=indptr[1:])
    indices = [np.empty(0, np.uint32), *(vector.indices for vector in vectors)]
    weights = [np.empty(0, np.float32), *(vector.weights for vector in vectors)]
    return indptr, np.concatenate(indices), np.concatenate(weights)


def checked(edges: Any, positions: Any, values: ArrayLike, dim: int) -> Columns:
    """Return columns in the types of `joined`; the order within a row is not looked at.

    Raises InvalidInput or DimensionMismatch where they are no rows of vectors of `dim` values.
    """
    indptr, indices = as_integers(edges, "indptr"), as_integers(positions, "indices")
    weights = as_float32(values)
    if indices.ndim != 1 or indices.shape != weights.shape:
        raise DimensionMismatch(expected=indices.shape, actual=weights.shape, what="weights")
    _require_edges(indptr, len(indices))
    _require_range(indices, dim)
    columns = np.ascontiguousarray(indptr, np.int64), indices.astype(np.uint32), weights
    return columns if weights.all() else _without_zeros(*columns)


def _without_zeros(indptr: Int64Array, indices: UInt32Array, weights: Float32Array) -> Columns:
    """Return columns without what they list as zero: a vector is the same without it."""
    kept = weights != 0
    kept_before = np.zeros(len(kept) + 1, np.int64)
    np.cumsum(kept, out=kept_before[1:])
    return kept_before[indptr], indices[kept], weights[kept]


def _require_edges(indptr: Array, length: int) -> None:
    is_row = indptr.ndim == 1 and indptr.size > 0
    if not (is_row and indptr[0] >= 0 and indptr[-1] <= length and _ascends(indptr)):
        expected = f"integers ascending from 0 to {length}"
        raise InvalidInput(what="indptr", expected=expected, actual=indptr)


def _require_range(indices: Array, dim: int) -> None:
    outside = np.flatnonzero((indices < 0) | (indices >= dim))
    if outside.size:
        actual = int(indices[outside[0]])
        raise InvalidInput(what="indices", expected=f"0 to {dim - 1}", actual=actual)


def _ascends(edges: Array) -> bool:
    return bool(np.all(edges[1:] >= edges[:-1]))
