"""Token pooling by Ward clustering, as ColBERT does it: merges similar tokens, drops none.

Unit tokens are clustered; a pooled token has the mean direction of its cluster and the mean length
of the cluster's tokens. Assigning dropped tokens to the nearest token that COVERAGE keeps, and
averaging, is as good at half the tokens and clearly worse at a quarter (docs/QUALITY.md).
"""

import numpy as np

from cgcython import kernels
from cgcython.arrays import usual_arithmetic
from cgcython.types import Float32Array, Float64Array, Int64Array, UInt32Array

_LARGEST = np.finfo(np.float32).max


@usual_arithmetic
def pool_tokens(tokens: Float32Array, count: int) -> tuple[Float32Array, UInt32Array]:
    """Return `count` pooled tokens (f32) and the positions (u32) of their representatives.

    Positions ascend; the representative of a cluster is its token nearest to the mean direction.
    A cluster of one token is that token, unchanged.

    >>> pool_tokens(np.array([[2, 0], [0, 1], [4, 0]], np.float32), 2)
    (array([[3., 0.],
           [0., 1.]], dtype=float32), array([0, 1], dtype=uint32))
    """
    labels = np.empty(len(tokens), np.uint32)
    scratch = np.empty(kernels.coverage.cluster_scratch(*tokens.shape), np.uint8)
    kernels.coverage.cluster(tokens, labels, count, scratch)
    if not count:
        return np.empty_like(tokens), labels
    values = tokens.astype(np.float64)
    lengths = np.sqrt(np.einsum("td,td->t", values, values))
    units = values / _or_one(lengths)[:, None]
    means, sizes = _means(units, lengths, labels)
    chosen = _representatives(units, means, labels)
    pooled = np.clip(means, -_LARGEST, _LARGEST).astype(np.float32)
    single = sizes == 1
    pooled[single] = tokens[chosen[single]]
    order = np.argsort(chosen)
    return pooled[order], chosen[order].astype(np.uint32)


def _means(
    units: Float64Array, lengths: Float64Array, labels: UInt32Array
) -> tuple[Float64Array, Int64Array]:
    """Return each cluster's mean direction, with the mean length of its tokens, and its size."""
    members = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[members], np.arange(labels.max() + 1))
    sizes = np.diff([*starts, len(labels)])
    sums = np.add.reduceat(units[members], starts)
    wanted = np.add.reduceat(lengths[members], starts) / sizes
    found = np.sqrt(np.einsum("cd,cd->c", sums, sums))
    return sums * (wanted / _or_one(found))[:, None], sizes


def _representatives(units: Float64Array, means: Float64Array, labels: UInt32Array) -> Int64Array:
    """Return the position of each cluster's token with the best cosine, the lowest of equals."""
    cosines = np.einsum("td,td->t", units, means[labels])
    order = np.lexsort((-cosines, labels))
    return order[np.searchsorted(labels[order], np.arange(len(means)))]


def _or_one(lengths: Float64Array) -> Float64Array:
    return np.where(lengths > 0, lengths, 1.0)
