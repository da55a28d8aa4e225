"""Embeddings with the structure that trained codes live on: noise around a few centres."""

import numpy as np

from cgcython import ModelId, PQ8Codebook, QuantizationMethod, SparseVector

NUM_CENTRES, NOISE = 200, 0.15


def clustered(dim, count, seed=0):
    """Return vectors [count, dim] around 200 Gaussian centres, noise .15 per coordinate."""
    centres = np.random.default_rng(dim).standard_normal((NUM_CENTRES, dim))
    rng = np.random.default_rng(seed)
    chosen = centres[rng.integers(0, NUM_CENTRES, count)]
    return (chosen + NOISE * rng.standard_normal((count, dim))).astype(np.float32)


def codebooks(**options):
    """Return a plain codebook for each PQ embedder, trained on 2,500 clustered vectors."""
    return {
        one: PQ8Codebook.train(clustered(one.dimension(), 2500), rotation=None, **options)
        for one in ModelId
        if QuantizationMethod.for_embedder(one) is QuantizationMethod.PQ8
    }


def fingerprint(seed=1, num_tokens=32, density=0.05):
    """Return all thirteen embeddings of one memory: `ModelId -> value`."""
    rng = np.random.default_rng(seed)
    values = {}
    for one in ModelId:
        dim = one.dimension()
        match QuantizationMethod.for_embedder(one):
            case QuantizationMethod.SPARSE_NATIVE:
                nnz = int(dim * density)
                indices = np.sort(rng.choice(dim, nnz, replace=False))
                values[one] = SparseVector(indices, rng.random(nnz) + 0.1, dim)
            case QuantizationMethod.TOKEN_PRUNING:
                values[one] = clustered(dim, num_tokens, seed)
            case _:
                values[one] = clustered(dim, 1, seed)[0]
    return values
