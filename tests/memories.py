"""A small profile and memories of it, for the tests of records, stores and search."""

from types import SimpleNamespace

import numpy as np

from cgcython.base import ModelId, Profile
from cgcython.codecs.codebook import PQ8Codebook
from cgcython.fingerprint import Fingerprint
from cgcython.records import SparseVector
from cgcython.router import QuantizationRouter

PROFILE = Profile.from_toml(
    """
    E1 = { dimension = 16, method = "pq8" }
    E2 = { dimension = 12, method = "float8_e4m3" }
    E6 = { dimension = 400, method = "sparse_native" }
    E9 = { dimension = 20, method = "binary" }
    E12 = { dimension = 8, method = "token_pruning" }
    """
)


def make_codebook(seed):
    """Return a plain codebook; the metadata keep its bytes the same everywhere."""
    centroids = np.random.default_rng(seed).standard_normal((8, 256, 2)).astype(np.float32)
    return PQ8Codebook(centroids)


def make_memory(seed, embedders=tuple(PROFILE), tokens=6):
    """Return the Fingerprint of a seed."""
    rng = np.random.default_rng(seed)

    def dense(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    found = {
        ModelId.SEMANTIC: dense(16),
        ModelId.TEMPORAL_RECENT: dense(12),
        ModelId.SPARSE: SparseVector(
            np.sort(rng.choice(400, 20, replace=False)), rng.uniform(0.1, 2, 20), 400
        ),
        ModelId.HDC: dense(20),
        ModelId.LATE_INTERACTION: dense(tokens, 8),
    }
    return Fingerprint({ModelId.parse(one): found[ModelId.parse(one)] for one in embedders})


def make_memories():
    """Return all of it under one name."""
    books = {ModelId.SEMANTIC: make_codebook(1)}
    return SimpleNamespace(
        profile=PROFILE,
        codebooks=books,
        other_codebooks={ModelId.SEMANTIC: make_codebook(2)},
        make=make_memory,
        router=QuantizationRouter(books, PROFILE),
    )
