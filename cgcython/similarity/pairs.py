"""The similarity of two embeddings."""

from typing import overload

import numpy as np

from cgcython import kernels
from cgcython.arrays import as_tokens, as_vector, usual_arithmetic
from cgcython.checks import require_real
from cgcython.similarity import scorers
from cgcython.similarity.batch import max_sim_batch
from cgcython.similarity.query import PreparedQuery
from cgcython.similarity.sides import document_tokens, query_tokens
from cgcython.token_array import TokenArray
from cgcython.types import ArrayLike, Float32Array, TokensLike


def cosine_similarity(a: ArrayLike, b: ArrayLike) -> float:
    """Return the cosine of two vectors, of any finite magnitude; 0.0 where either is zero.

    Raises DimensionMismatch, NonFiniteValue or InvalidInput.

    >>> round(cosine_similarity([1e-30, 0], [1e18, 1e18]), 6)
    0.707107
    """
    one = as_vector(a)
    other, cosine = as_vector(b, len(one)), np.empty(1, np.float32)
    kernels.dense.cosine_rows(one, other[None], cosine)
    return float(cosine[0])


def max_sim(query: TokensLike, document: TokensLike) -> float:
    """Return the mean over query tokens of the best cosine in the document, from 0 to 1.

    A query token without a match counts 0, an empty side gives 0.0. Raises DimensionMismatch,
    NonFiniteValue or InvalidInput.

    >>> max_sim([[1, 0], [0, 1]], [[2, 0], [3, 3]])
    0.8535534143447876
    """
    if isinstance(query, (np.ndarray, list, tuple)):
        total = kernels.maxsim.pair(query, document)  # None where it does not take them as they are
        if total is not None:
            return _mean(total, len(query))
    tokens, values = query_tokens(query), document_tokens(document)
    documents = TokenArray(values, [0, len(values)])
    return _mean(float(scorers.sums(PreparedQuery(tokens), documents)[0]), len(tokens))


def _mean(total: float, count: int) -> float:
    return min(max(total / count, 0.0), 1.0) if count else 0.0


@overload
def symmetric_max_sim(a: TokensLike, b: TokenArray) -> Float32Array: ...
@overload
def symmetric_max_sim(a: TokensLike, b: TokensLike) -> float: ...
@usual_arithmetic
def symmetric_max_sim(a: TokensLike, b: TokensLike | TokenArray) -> float | Float32Array:
    """Return the average of `max_sim` in both directions.

    Where `b` is a TokenArray, of any precision, the result has one average per document: `take`
    the documents of interest, for each is a query in turn. Raises DimensionMismatch,
    NonFiniteValue or InvalidInput.

    >>> symmetric_max_sim([[1, 0], [0, 1]], [[1, 0]])
    0.75
    """
    if not isinstance(b, TokenArray):
        return (max_sim(a, b) + max_sim(b, a)) / 2
    tokens = as_tokens(a)
    back = [max_sim_batch(one, [tokens])[0] for one in b.dequantize()]
    both: Float32Array = max_sim_batch(tokens, b) + np.array(back, np.float32)
    return both / np.float32(2)


def approximate_max_sim(
    query: TokensLike, document: TokensLike, min_score_threshold: float
) -> float:
    """Return `max_sim`: at this speed the exact value leaves an early stop nothing to save.

    Never above the exact value and within 5 % of it, whatever the threshold. Raises as `max_sim`
    does, and InvalidInput for a threshold that is no number.

    >>> approximate_max_sim([[1, 0]], [[1, 0]], min_score_threshold=0.9)
    1.0
    """
    require_real(min_score_threshold, "min_score_threshold")
    return max_sim(query, document)
