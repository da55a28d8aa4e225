"""The similarity of two embeddings."""

import numpy as np

from cgcython import kernels
from cgcython.arrays import as_tokens, as_vector
from cgcython.similarity import scorers
from cgcython.similarity.batch import max_sim_batch
from cgcython.similarity.query import PreparedQuery
from cgcython.token_array import TokenArray


def cosine_similarity(a, b):
    """Return the cosine of two vectors, of any finite magnitude; 0.0 where either is zero.

    >>> round(cosine_similarity([1e-30, 0], [1e18, 1e18]), 6)
    0.707107
    """
    a = as_vector(a)
    b, cosine = as_vector(b, len(a)), np.empty(1, np.float32)
    kernels.dense.cosine_rows(a, b[None], cosine)
    return float(cosine[0])


def max_sim(query, document):
    """Return the mean over query tokens of the best cosine in the document, from 0 to 1.

    A query token without a match counts 0, an empty side gives 0.0. Raises DimensionMismatch.

    >>> max_sim([[1, 0], [0, 1]], [[2, 0], [3, 3]])
    0.8535534143447876
    """
    total = kernels.maxsim.pair(query, document)
    if total is None:
        query, document = as_tokens(query), as_tokens(document)
        tokens = TokenArray(document, [0, len(document)])
        total = float(scorers.sums(PreparedQuery.of(query), tokens)[0])
    return min(max(total / len(query), 0.0), 1.0) if len(query) else 0.0


def symmetric_max_sim(a, b):
    """Return the average of `max_sim` in both directions.

    Where `b` is a TokenArray, of any precision, the result has one average per document: `take`
    the documents of interest, for each is a query in turn.

    >>> symmetric_max_sim([[1, 0], [0, 1]], [[1, 0]])
    0.75
    """
    if not isinstance(b, TokenArray):
        return (max_sim(a, b) + max_sim(b, a)) / 2
    a = as_tokens(a)
    back = [max_sim_batch(one, [a])[0] for one in b.dequantize()]
    return (max_sim_batch(a, b) + np.array(back, np.float32)) / 2


def approximate_max_sim(query, document, min_score_threshold):
    """Return `max_sim`: at this speed the exact value leaves an early stop nothing to save.

    Never above the exact value and within 5 % of it, whatever the threshold.

    >>> approximate_max_sim([[1, 0]], [[1, 0]], min_score_threshold=0.9)
    1.0
    """
    float(min_score_threshold)
    return max_sim(query, document)
