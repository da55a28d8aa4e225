"""Seeded inputs in the sizes of the thirteen embedders, made once when the modules load."""

import warnings
from functools import cache

import numpy as np

from cgcython import ModelId, PQ8Codebook, QuantizationRouter, SparseVector
from cgcython.base import Profile, QuantizationMethod
from cgcython.codecs.training import CodebookWarning

RNG = np.random.default_rng(2026)
PROFILE = Profile.named()
TOKENS = 32
DENSITY = 0.05  # of the sparse embedders, as the specification counts


def unit(rows):
    """Scale rows to length one."""
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def correlated(rows, dim):
    """Return unit vectors of 96 factors and noise: structured, as embeddings are."""
    factors = np.random.default_rng(dim).standard_normal((96, dim), dtype=np.float32)
    noise = 3 * RNG.standard_normal((rows, dim), dtype=np.float32)
    return unit(RNG.standard_normal((rows, 96), dtype=np.float32) @ factors + noise)


def sparse(dim):
    """Return a sparse vector of 5 % non-zeros."""
    nnz = int(DENSITY * dim)
    indices = np.sort(RNG.choice(dim, nnz, replace=False)).astype(np.uint32)
    return SparseVector(indices, RNG.gamma(1.0, 1.0, nnz).astype(np.float32), dim)


def tokens(count, dim=128):
    """Return unit tokens of one text."""
    return unit(RNG.standard_normal((count, dim), dtype=np.float32))


def value(model_id):
    """Return one input of an embedder."""
    row = PROFILE[model_id]
    if row.method is QuantizationMethod.SPARSE_NATIVE:
        return sparse(row.dimension)
    if row.method is QuantizationMethod.TOKEN_PRUNING:
        return tokens(TOKENS, row.dimension)
    return correlated(1, row.dimension)[0]


@cache
def codebook(dim, rotation):
    """Return a codebook of 8 bytes, from few samples: its training is not what is timed."""
    with warnings.catch_warnings(action="ignore", category=CodebookWarning):
        return PQ8Codebook.train(correlated(2048, dim), rotation=rotation, width=rotation and 256)


@cache
def router(rotation):
    """Return a router over codebooks of one kind of rotation."""
    pq8 = [m for m, row in PROFILE.items() if row.method is QuantizationMethod.PQ8]
    return QuantizationRouter({m: codebook(PROFILE[m].dimension, rotation) for m in pq8})


FINGERPRINT = {model_id: value(model_id) for model_id in ModelId}
