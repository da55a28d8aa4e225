"""Token pooling by Ward clustering, as ColBERT does it: merges similar tokens, drops none.

Unit tokens are clustered; a pooled token has the mean direction of its cluster and the mean length
of the cluster's tokens. Assigning dropped tokens to the nearest token that COVERAGE keeps, and
averaging, is as good at half the tokens and clearly worse at a quarter (docs/QUALITY.md).
"""

import numpy as np

from cgcython import kernels
from cgcython.parallel import split_weighted
from cgcython.token_array import TokenArray
from cgcython.types import Float32Array, Int64Array, UInt32Array

_PER_TOKEN = 200  # the time to pool a token besides its cosines, in cosines


def pool_tokens(tokens: Float32Array, count: int) -> tuple[Float32Array, UInt32Array]:
    """Return `count` pooled tokens (f32) and the positions (u32) of their representatives.

    Positions ascend; the representative of a cluster is its token nearest to the mean direction.
    A cluster of one token is that token, unchanged.

    >>> pool_tokens(np.array([[2, 0], [0, 1], [4, 0]], np.float32), 2)
    (array([[3., 0.],
           [0., 1.]], dtype=float32), array([0, 1], dtype=uint32))
    """
    pooled = np.empty((count, tokens.shape[1]), np.float32)
    positions = np.empty(count, np.uint32)
    offsets, edges = np.array([[0, len(tokens)], [0, count]], np.int64)
    _pool(tokens, offsets, pooled, positions, edges)
    return pooled, positions


def pool_documents(
    documents: TokenArray, counts: Int64Array, num_threads: int = 1
) -> tuple[TokenArray, UInt32Array]:
    """Return what `pool_tokens` returns of each document, and counts[i] tokens of document i.

    Positions [all pooled tokens] u32 count from the first token of their document. Documents are
    float32, of at most 32,767 tokens each.

    >>> documents = TokenArray.from_list([[[2.0, 0.0], [0.0, 1.0], [4.0, 0.0]], [[5.0, 5.0]]])
    >>> pooled, positions = pool_documents(documents, np.array([2, 1]))
    >>> pooled.values.tolist(), positions.tolist()
    ([[3.0, 0.0], [0.0, 1.0], [5.0, 5.0]], [0, 1, 0])
    """
    documents.require_values()
    documents = documents.compact()
    edges = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    pooled = np.empty((edges[-1], documents.dim), np.float32)
    positions = np.empty(edges[-1], np.uint32)

    def pool(start: int, stop: int) -> None:
        some = slice(start, stop + 1)
        _pool(documents.values, documents.offsets[some], pooled, positions, edges[some])

    lengths = documents.counts
    split_weighted(pool, lengths * (lengths + _PER_TOKEN), num_threads)
    return TokenArray(pooled, edges), positions


def _pool(
    tokens: Float32Array,
    offsets: Int64Array,
    pooled: Float32Array,
    positions: UInt32Array,
    edges: Int64Array,
) -> None:
    longest = int(np.diff(offsets).max(initial=0))
    scratch = np.empty(kernels.coverage.pool_scratch(longest, tokens.shape[1]), np.uint8)
    kernels.coverage.pool_documents(tokens, offsets, pooled, positions, edges, scratch)
