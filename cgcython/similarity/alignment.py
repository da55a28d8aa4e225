"""Which document token each query token met, and how strongly."""

from typing import NamedTuple, overload

import numpy as np

from cgcython import kernels
from cgcython.similarity.query import PreparedQuery, QueryLike
from cgcython.similarity.scorers import require_dim
from cgcython.similarity.sides import document_tokens
from cgcython.token_array import TokenArray
from cgcython.types import Float32Array, TokensLike


class TokenAlignment(NamedTuple):
    """The document token that a query token met best, and their cosine.

    A query token without a match has doc_token_idx -1 and similarity 0.0.
    """

    query_token_idx: int
    doc_token_idx: int
    similarity: float


@overload
def token_alignments(query: QueryLike, document: TokenArray) -> list[list[TokenAlignment]]: ...
@overload
def token_alignments(query: QueryLike, document: TokensLike) -> list[TokenAlignment]: ...
def token_alignments(
    query: QueryLike, document: TokensLike | TokenArray
) -> list[TokenAlignment] | list[list[TokenAlignment]]:
    """Return each query token's best match; the lowest index where several are equally good.

    For a TokenArray, of any precision, the result has one list per document: `take` the documents
    of interest, for codes are decoded. Raises DimensionMismatch, NonFiniteValue or InvalidInput.

    >>> token_alignments([[1, 0], [0, 0]], [[0, 1], [2, 0]])
    [TokenAlignment(query_token_idx=0, doc_token_idx=1, similarity=1.0), \
TokenAlignment(query_token_idx=1, doc_token_idx=-1, similarity=0.0)]
    """
    prepared = PreparedQuery.of(query)
    if isinstance(document, TokenArray):
        return [_alignments(prepared, one) for one in document.dequantize()]
    return _alignments(prepared, document_tokens(document))


def _alignments(query: PreparedQuery, values: Float32Array) -> list[TokenAlignment]:
    if not query.count or not len(values):
        return []
    require_dim(query.dim, values.shape[1])
    norms = np.empty(len(values), np.float32)
    kernels.maxsim.inverse_norms(values, norms)
    best, cosines = np.empty(query.count, np.int64), np.empty(query.count, np.float32)
    kernels.maxsim.align(query.packed, query.count, values, norms, best, cosines)
    matches = zip(best.tolist(), cosines.tolist())
    return [TokenAlignment(i, *match) for i, match in enumerate(matches)]
