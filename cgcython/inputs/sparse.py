"""Sparse rows as scipy, torch and lists have them, brought into CSR arrays."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from cgcython.arrays import as_float32, as_integers
from cgcython.codecs import csr
from cgcython.errors import DimensionMismatch, InvalidInput
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
    """Return rows of SparseVectors, of `{index: weight}` or of one-row matrices and tensors.

    Raises InvalidInput for anything else, naming its place.
    """
    found = [_vector(one, place, dimension) for place, one in enumerate(vectors)]
    return CsrRows(*csr.joined(found), dimension)


def _vector(one: Any, place: int, dimension: int) -> SparseVector:
    if isinstance(one, SparseVector):
        if one.dimension != dimension:
            raise DimensionMismatch(expected=dimension, actual=one.dimension)
        return one
    if isinstance(one, Mapping):
        return _of_mapping(one, dimension)
    if is_sparse(one):
        return _of_row(one, dimension)
    raise InvalidInput(
        what=f"row {place}",
        expected="a SparseVector or {index: weight}; of dense rows scipy.sparse.csr_array(rows)",
        actual=type(one).__name__,
    )


def _of_mapping(one: Mapping[Any, Any], dimension: int) -> SparseVector:
    """Return the vector of `{index: weight}`, or of `{"indices": [...], "values": [...]}`."""
    if "indices" in one:
        weights = one["weights"] if "weights" in one else one.get("values", ())
        return SparseVector(one["indices"], weights, dimension)
    indices = as_integers([int(key) if isinstance(key, str) else key for key in one], "indices")
    return SparseVector(indices, list(one.values()), dimension)


def _of_row(one: Any, dimension: int) -> SparseVector:
    flat = one.reshape((1, -1)) if len(one.shape) == 1 else one
    rows = from_matrix(flat)
    if len(rows.indptr) != 2 or rows.dimension != dimension:
        expected, actual = f"a row of {dimension} values", f"the shape {list(one.shape)}"
        raise InvalidInput(what="sparse row", expected=expected, actual=actual)
    return SparseVector(rows.indices, rows.weights, dimension)
