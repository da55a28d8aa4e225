"""Batches of sparse vectors: encoded from CSR columns and decoded into them."""

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from cgcython import kernels
from cgcython.checks import iterated
from cgcython.codecs import csr, sparse_forms
from cgcython.codecs.checks import (
    Column,
    invalid,
    output,
    output_columns,
    require_columns,
    require_rows,
)
from cgcython.codecs.sparse_layouts import F16, F32, NAMES, NUMBERS
from cgcython.errors import DimensionMismatch, InvalidInput, QuantizationError
from cgcython.parallel import split_rows
from cgcython.records import QuantizedBatch, SparseVector
from cgcython.types import Float32Array, Int64Array, UInt8Array

if TYPE_CHECKING:
    from cgcython.codecs.sparse import SparseCodec

T = TypeVar("T")


def encode(
    codec: "SparseCodec", vectors: Any, num_threads: int, out: QuantizedBatch | None
) -> QuantizedBatch:
    """Return the batch of a list of vectors, or of (indptr, indices, weights, dimension)."""
    if isinstance(vectors, list):
        if not _are_vectors(vectors, codec.dim):
            vectors = [codec.as_vector(vector) for vector in vectors]
        found = _of_vectors(codec, vectors, num_threads, out)
        if found is not None:
            return found
    rows = _rows(codec, vectors)
    batch = _room_for(codec, rows, out)
    if not _fill(batch, rows, num_threads):
        rows = csr.joined(_sorted_rows(codec, rows))
        batch = _room_for(codec, rows, out)
        _fill(batch, rows, num_threads)
    return batch


def decode(
    codec: "SparseCodec", batch: QuantizedBatch, num_threads: int, out: csr.Columns | None
) -> csr.Columns:
    """Return the CSR columns (indptr i64, indices u32, weights f32) of a batch."""
    data, offsets, layouts, indptr = checked_columns(codec, batch)
    given = (None, None, None) if out is None else out
    if not isinstance(given, (tuple, list)) or len(given) != 3:
        expected, actual = "(indptr, indices, weights)", type(out).__name__
        raise InvalidInput(what="out", expected=expected, actual=actual)
    edges_out = output(given[0], indptr.shape, np.int64)
    edges_out[:] = indptr
    total = int(indptr[-1])
    indices, weights = output(given[1], (total,), np.uint32), output(given[2], (total,))

    def decode(start: int, stop: int) -> int:
        rows, edges = slice(start, stop), slice(start, stop + 1)
        bad = kernels.sparse.decode_rows(
            data, offsets[edges], layouts[rows], codec.dim, indptr[edges], indices, weights
        )
        return start + bad if bad >= 0 else len(layouts)

    bad = min(split_rows(decode, len(layouts), num_threads))
    if bad < len(layouts):
        _naming_row(bad, codec.decode, codec.row(batch, bad))
    return edges_out, indices, weights


def _rows(codec: "SparseCodec", vectors: Any) -> csr.Columns:
    """Return (indptr, indices, weights) in the types the kernels take."""
    if isinstance(vectors, tuple) and len(vectors) == 4 and np.ndim(vectors[0]) == 1:
        indptr, indices, weights, dimension = vectors
        if dimension != codec.dim:
            raise DimensionMismatch(expected=codec.dim, actual=dimension)
        return csr.checked(indptr, indices, weights, codec.dim)
    if sparse_forms.is_sparse(vectors):
        rows = sparse_forms.from_matrix(vectors)
        if rows.dimension != codec.dim:
            raise DimensionMismatch(expected=codec.dim, actual=rows.dimension or 0)
        return csr.checked(rows.indptr, rows.indices, rows.weights, codec.dim)
    return csr.joined([codec.as_vector(vector) for vector in iterated(vectors, "vectors")])


def _are_vectors(vectors: list[Any], dim: int) -> bool:
    """Return whether a list has SparseVectors of one dimension, and nothing else."""
    are_sparse = set(map(type, vectors)) == {SparseVector}
    return are_sparse and {vector.dimension for vector in vectors} == {dim}


def _of_vectors(
    codec: "SparseCodec",
    vectors: list[SparseVector],
    num_threads: int,
    out: QuantizedBatch | None,
) -> QuantizedBatch | None:
    """Return the batch of vectors, read where they lie; None where one takes a closer look."""
    indices, weights = [one.indices for one in vectors], [one.weights for one in vectors]
    indptr = np.zeros(len(vectors) + 1, np.int64)
    np.cumsum(list(map(len, indices)), out=indptr[1:])
    layouts = np.full(len(vectors), NUMBERS[codec.layout], np.uint8)
    if codec.layout == "compact_f16":
        if not kernels.sparse.fits_half_vectors(weights, layouts):
            return None
        layouts = np.where(layouts, np.uint8(F16), np.uint8(F32))
    batch = _empty_batch(codec, indptr, layouts, out)
    data, offsets = batch.columns["data"], batch.columns["offsets"]

    def encode(start: int, stop: int) -> int:
        here, edges = slice(start, stop), slice(start, stop + 1)
        return kernels.sparse.encode_vectors(
            indices[here], weights[here], codec.dim, layouts[here], data, offsets[edges]
        )

    return batch if max(split_rows(encode, len(vectors), num_threads)) < 0 else None


def _empty_batch(
    codec: "SparseCodec", indptr: Int64Array, layouts: UInt8Array, out: QuantizedBatch | None
) -> QuantizedBatch:
    """Return a batch with room for rows of some layouts, its columns besides `data` filled in."""
    counts = np.diff(indptr)
    codec.require_sparse(int(counts.max(initial=0)))
    offsets = np.empty(len(indptr), np.int64)
    kernels.sparse.measure_rows(indptr, codec.dim, layouts, offsets)
    wanted = _columns_of(len(layouts)) | {"data": ((int(offsets[-1]),), np.uint8)}
    columns = dict(zip(wanted, output_columns(out, codec, **wanted)))
    columns["offsets"][:], columns["nnz"][:], columns["layouts"][:] = offsets, counts, layouts
    return QuantizedBatch(codec.method, codec.dim, columns, {"layout": codec.layout})


def _room_for(
    codec: "SparseCodec", rows: csr.Columns, out: QuantizedBatch | None
) -> QuantizedBatch:
    indptr, _, weights = rows
    return _empty_batch(codec, indptr, _choose_layouts(codec.layout, indptr, weights), out)


def _choose_layouts(layout: str, indptr: Int64Array, weights: Float32Array) -> UInt8Array:
    layouts = np.full(len(indptr) - 1, NUMBERS[layout], np.uint8)
    if layout == "compact_f16":
        kernels.sparse.fits_half(indptr, weights, layouts)
        layouts = np.where(layouts, np.uint8(F16), np.uint8(F32))
    return layouts


def _fill(batch: QuantizedBatch, rows: csr.Columns, num_threads: int) -> bool:
    """Write `data`; return False when a row is unsorted or damaged."""
    indptr, indices, weights = rows
    data, offsets, layouts = (batch.columns[name] for name in ("data", "offsets", "layouts"))

    def encode(start: int, stop: int) -> int:
        here, edges = slice(start, stop), slice(start, stop + 1)
        return kernels.sparse.encode_rows(
            indptr[edges], indices, weights, batch.original_dim, layouts[here], data, offsets[edges]
        )

    return max(split_rows(encode, len(layouts), num_threads)) < 0


def _sorted_rows(codec: "SparseCodec", rows: csr.Columns) -> list[SparseVector]:
    """Return each row as a SparseVector, or say which is none and why."""
    indptr, indices, weights = rows
    return [
        _naming_row(row, SparseVector, indices[start:stop], weights[start:stop], codec.dim)
        for row, (start, stop) in enumerate(pairwise(indptr))
    ]


def checked_columns(
    codec: "SparseCodec", batch: QuantizedBatch
) -> tuple[UInt8Array, Int64Array, UInt8Array, Int64Array]:
    """Return data, offsets, layouts and indptr, so that nothing is allocated for a lie."""
    offsets, nnz, layouts = require_columns(batch, codec, **_columns_of(require_rows(batch, codec)))
    indptr, expected = np.zeros(len(offsets), np.int64), np.empty(len(offsets), np.int64)
    np.cumsum(nnz, out=indptr[1:])
    if np.any(nnz > codec.dim) or np.any(layouts >= len(NAMES)):
        raise invalid(codec, "a count or layout is out of range")
    kernels.sparse.measure_rows(indptr, codec.dim, layouts, expected)
    (data,) = require_columns(batch, codec, data=((int(offsets[-1]),), np.uint8))
    if not np.array_equal(offsets, expected):
        raise invalid(codec, "offsets do not fit the counts", int(expected[-1]), len(data))
    return data, offsets, layouts, indptr


def _columns_of(rows: int) -> dict[str, Column]:
    return {
        "offsets": ((rows + 1,), np.int64),
        "nnz": ((rows,), np.uint32),
        "layouts": ((rows,), np.uint8),
    }


def _naming_row(row: int, function: Callable[..., T], *arguments: Any) -> T:
    try:
        return function(*arguments)
    except QuantizationError as error:
        error.add_note(f"in row {row}")
        raise
