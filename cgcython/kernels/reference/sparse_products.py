"""Dot products of sparse vectors by definition."""

import numpy as np

from cgcython.kernels.reference.door import agree, writes
from cgcython.kernels.reference.sparse_rows import check_rows, is_plain, rows_of


def dot_pair(indices_a, weights_a, indices_b, weights_b):
    """Return the dot product of two vectors of ascending indices."""
    for indices, weights in [(indices_a, weights_a), (indices_b, weights_b)]:
        if not (is_plain(indices, np.uint32) and is_plain(weights, np.float32)):
            raise ValueError("one vector is contiguous uint32 indices and float32 weights")
        agree("weights", len(weights), "indices", len(indices))
    _, i, j = np.intersect1d(indices_a, indices_b, assume_unique=True, return_indices=True)
    return float(weights_a[i].astype(np.float64) @ weights_b[j].astype(np.float64))


@writes("out")
def dot_rows(query, indptr, indices, weights, out):
    """Write the dot product of a dense query with each row."""
    check_rows(indptr, min(len(indices), len(weights)), out)
    for row, part in enumerate(rows_of(indptr)):
        if np.any(indices[part] >= len(query)):
            raise ValueError(f"an index of a row is beyond the query's {len(query)}")
        out[row] = np.dot(query[indices[part]].astype(np.float64), weights[part])


@writes("out")
def norms(indptr, weights, out):
    """Write the Euclidean length of each row."""
    check_rows(indptr, len(weights), out)
    for row, part in enumerate(rows_of(indptr)):
        out[row] = np.linalg.norm(weights[part].astype(np.float64))


@writes("starts", "docs", "placed")
def invert(indptr, indices, weights, starts, docs, placed):
    """Write the rows that hold each index, ascending, and their weights: CSR becomes CSC."""
    nnz, dimension = len(indices), len(starts) - 1
    check_rows(indptr, nnz)
    for what, column in [("weights", weights), ("docs", docs), ("placed", placed)]:
        agree(what, len(column), "indices", nnz)
    if dimension < 0 or indptr[0] != 0 or indptr[-1] != nnz:
        raise ValueError(f"row edges must cover all {nnz} indices, starts must hold one more")
    if np.any(indices >= dimension):
        raise ValueError(f"an index is beyond the {dimension} of the inverted lists")
    order = np.argsort(indices, kind="stable")
    docs[:] = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))[order]
    placed[:] = weights[order]
    starts[:] = np.searchsorted(indices[order], np.arange(dimension + 1))
