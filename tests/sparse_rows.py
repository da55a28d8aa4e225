"""Sparse vectors in rows, as the kernels take them and as scipy does."""

import numpy as np
from scipy.sparse import csr_array

from cgcython.records import SparseVector

COUNTS = [0, 1, 15, 16, 17, 100, 0, 33, 64, 7]


def vector(nnz, dimension, seed=0):
    """Ascending indices with both ends of the range among them, and weights of any size."""
    rng = np.random.default_rng([seed, nnz, dimension])
    inner = rng.choice(np.arange(1, dimension - 1), max(nnz - 2, 0), replace=False)
    indices = np.sort(np.append(inner, [0, dimension - 1][:nnz])).astype(np.uint32)
    return indices, (rng.choice([-1, 1], nnz) * rng.lognormal(0, 2, nnz)).astype(np.float32)


def rows(counts, dimension, seed=0):
    parts = [vector(count, dimension, seed + row) for row, count in enumerate(counts)]
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return indptr, *(np.concatenate(columns) for columns in zip(*parts))


def matrix_of(indptr, indices, weights, dimension):
    columns = weights.astype(float), indices.astype(int), indptr
    return csr_array(columns, (len(indptr) - 1, dimension))


def sparse_vector(nnz=50, dim=1000, seed=1):
    """Weights above zero at random places."""
    rng = np.random.default_rng(seed)
    weights = rng.gamma(1.0, 1.0, nnz).astype(np.float32) + np.float32(0.01)
    return SparseVector(rng.choice(dim, nnz, replace=False), weights, dim)
