"""Sparse rows as scipy, torch and lists have them, brought into CSR arrays."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from cgcython.arrays import as_float32, as_integers
from cgcython.codecs import csr
from cgcython.errors import DimensionMismatch, InvalidInput, QuantizationError
from cgcython.records import SparseVector
from cgcython.types import Array, Int64Array


class CsrRows(NamedTuple):
    """Rows of sparse vectors; `dimension` is None where the source does not tell it."""

    indptr: Array
    indices: Array
    weights: Array
    dimension: int | None = None


def is_sparse(values: object) -> bool:
    """Return whether something is a sparse matrix of scipy or a sparse tensor of torch."""
    return hasattr(values, "tocsr") or _torch_layout(values) is not None


def from_matrix(values: Any) -> CsrRows:
    """Return the rows of a sparse matrix or tensor [n, dim]; entries of one place are summed."""
    layout = _torch_layout(values)
    if layout is not None:
        return _from_torch(values.detach(), layout)
    matrix = values.tocsr()
    axes = len(matrix.shape)
    if axes != 2:
        raise DimensionMismatch(expected=2, actual=axes, what="dimensions of the array")
    if not matrix.has_canonical_format:
        matrix = matrix.copy() if matrix is values else matrix
        matrix.sum_duplicates()
    return CsrRows(matrix.indptr, matrix.indices, matrix.data, int(matrix.shape[1]))


def _torch_layout(values: object) -> str | None:
    """Return `coo`, `csr` or another layout of a sparse tensor, None for anything else."""
    layout = str(getattr(values, "layout", ""))
    return layout.removeprefix("torch.sparse_") if layout.startswith("torch.sparse_") else None


def _from_torch(tensor: Any, layout: str) -> CsrRows:
    if layout not in ("coo", "csr"):
        expected = "torch.sparse_coo or sparse_csr; call tensor.to_sparse_csr()"
        raise InvalidInput(what="sparse tensor", expected=expected, actual=f"sparse_{layout}")
    rows, dimension = map(int, tensor.shape)
    if layout == "csr":
        edges, indices = np.asarray(tensor.crow_indices()), np.asarray(tensor.col_indices())
        return CsrRows(edges, indices, as_float32(tensor.values()), dimension)
    tensor = tensor.coalesce()  # sorted by row and column
    (owners, indices), weights = np.asarray(tensor.indices()), as_float32(tensor.values())
    return CsrRows(_edges(np.bincount(owners, minlength=rows)), indices, weights, dimension)


def _edges(counts: Sequence[int] | Array) -> Int64Array:
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])


def from_vectors(vectors: Sequence[Any], dimension: int) -> CsrRows:
    """Return the rows of a list of vectors in any form; raises InvalidInput, naming the row."""
    found = []
    for place, one in enumerate(vectors):
        try:
            found.append(as_vector(one, dimension))
        except QuantizationError as error:
            error.add_note(f"(row {place})")
            raise
    return CsrRows(*csr.joined(found), dimension)


def as_vector(one: Any, dimension: int) -> SparseVector:
    """Return a vector of a dimension as a SparseVector.

    It is one, `(indices, weights)`, `{index: weight}`, or a row of scipy or torch. Raises
    InvalidInput for anything else, DimensionMismatch.
    """
    if isinstance(one, SparseVector):
        if one.dimension != dimension:
            raise DimensionMismatch(expected=dimension, actual=one.dimension)
        return one
    if isinstance(one, Mapping):
        return _of_mapping(one, dimension)
    if is_sparse(one):
        return row_of(one, dimension)
    if isinstance(one, (tuple, list)) and len(one) == 2:
        indices, weights = one
        return SparseVector(indices, weights, dimension)
    expected = (
        f"SparseVector(indices, weights, {dimension}), or (indices, weights) or {{index: weight}}, "
        "which a Fingerprint cannot hold, or a sparse row, as scipy.sparse.csr_array(rows) has"
    )
    raise InvalidInput(what="vector", expected=expected, actual=type(one).__name__)


def _of_mapping(one: Mapping[Any, Any], dimension: int) -> SparseVector:
    """Return the vector of `{index: weight}`, or of `{"indices": [...], "values": [...]}`."""
    if "indices" in one:
        weights = one["weights"] if "weights" in one else one.get("values", ())
        return SparseVector(one["indices"], weights, dimension)
    indices = [int(key) if _is_number(key) else key for key in one]  # JSON has text alone
    return SparseVector(as_integers(indices, "indices"), list(one.values()), dimension)


def _is_number(key: object) -> bool:
    return isinstance(key, str) and key.isascii() and key.isdecimal() and len(key) < 20


def row_of(one: Any, dimension: int | None = None) -> SparseVector:
    """Return a sparse matrix or tensor of one row; raises InvalidInput for other shapes."""
    rows = from_matrix(one.reshape((1, -1)) if len(one.shape) == 1 else one)
    dimension = rows.dimension if dimension is None else dimension
    if len(rows.indptr) != 2 or dimension is None or rows.dimension != dimension:
        expected, actual = f"a row of {dimension} values", f"the shape {list(one.shape)}"
        raise InvalidInput(what="sparse row", expected=expected, actual=actual)
    return SparseVector(rows.indices, rows.weights, dimension)
