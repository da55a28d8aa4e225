"""How alike two embeddings are: cosines, and late interaction (MaxSim) between tokens."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cgcython import kernels
from cgcython.arrays import as_tokens, as_vector
from cgcython.errors import DimensionMismatch, InvalidInput
from cgcython.parallel import split_rows
from cgcython.token_array import TokenArray

LANES = 32  # query tokens side by side in a packed query


class TokenAlignment(NamedTuple):
    """The document token that a query token met best, and their cosine.

    A query token without a match has doc_token_idx -1 and similarity 0.0.
    """

    query_token_idx: int
    doc_token_idx: int
    similarity: float


@dataclass(frozen=True, eq=False)
class PreparedQuery:
    """Query tokens at unit length in the order the kernel reads; `PreparedQuery.of(tokens)`."""

    packed: np.ndarray
    count: int

    @classmethod
    def of(cls, tokens):
        """Return the query of a token matrix, list of vectors or TokenEmbeddings."""
        if isinstance(tokens, cls):
            return tokens
        tokens = as_tokens(tokens)
        packed = np.empty((-(-len(tokens) // LANES), tokens.shape[1], LANES), np.float32)
        kernels.maxsim.pack_query(tokens, packed)
        return cls(packed, len(tokens))

    @property
    def dim(self):
        """The number of values per token."""
        return self.packed.shape[1]


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
        query, document = _as_pair(query, document)
        total = _sum(query, document)
    return _mean(total, len(query))


def symmetric_max_sim(a, b):
    """Return the average of `max_sim` in both directions.

    >>> symmetric_max_sim([[1, 0], [0, 1]], [[1, 0]])
    0.75
    """
    return (max_sim(a, b) + max_sim(b, a)) / 2


def approximate_max_sim(query, document, min_score_threshold):
    """Return `max_sim`: at this speed the exact value leaves an early stop nothing to save.

    Never above the exact value and within 5 % of it, whatever the threshold.

    >>> approximate_max_sim([[1, 0]], [[1, 0]], min_score_threshold=0.9)
    1.0
    """
    float(min_score_threshold)
    return max_sim(query, document)


def token_alignments(query, document):
    """Return each query token's best match; the lowest index where several are equally good.

    >>> token_alignments([[1, 0], [0, 0]], [[0, 1], [2, 0]])
    [TokenAlignment(query_token_idx=0, doc_token_idx=1, similarity=1.0), \
TokenAlignment(query_token_idx=1, doc_token_idx=-1, similarity=0.0)]
    """
    query, document = _as_pair(query, document)
    if not len(query) or not len(document):
        return []
    prepared, tokens = PreparedQuery.of(query), TokenArray(document, [0, len(document)])
    best, cosines = np.empty(len(query), np.int64), np.empty(len(query), np.float32)
    norms = tokens.inverse_norms
    kernels.maxsim.align(prepared.packed, prepared.count, tokens.values, norms, best, cosines)
    return [
        TokenAlignment(i, *match) for i, match in enumerate(zip(best.tolist(), cosines.tolist()))
    ]


def max_sim_batch(query, documents, reduction="mean", k=None, num_threads=1):
    """Return the scores of many documents as float32, or the best `k` as (ids, scores).

    `documents` is a TokenArray (float32 tokens, or E4M3 codes scored where they lie) or a list
    of matrices. `query` is a token matrix or PreparedQuery; for a TokenArray of queries each
    result has one row per query. `reduction` is "mean" as in `max_sim`, or "sum": ColBERT's,
    never clamped. A document scores the same whichever batch it is in.

    >>> documents = TokenArray.from_list([[[0, 1]], [[1, 0], [0, 1]], [[1, 1]]])
    >>> max_sim_batch([[1, 0], [0, 1]], documents, reduction="sum", k=2)
    (array([1, 2]), array([2.       , 1.4142135], dtype=float32))
    """
    if reduction not in ("mean", "sum"):
        raise InvalidInput(what="reduction", expected="mean or sum", actual=reduction)
    if not isinstance(documents, TokenArray):
        documents = TokenArray.from_list(documents)
    if isinstance(query, TokenArray):
        query.require_values()
        rows = [max_sim_batch(one, documents, reduction, k, num_threads) for one in query]
        if k is None:
            return np.array(rows, np.float32).reshape(len(query), len(documents))
        return tuple(np.array(column) for column in zip(*rows))
    prepared = PreparedQuery.of(query)
    scores = _sums(prepared, documents, num_threads)
    if reduction == "mean":
        scores = np.clip(scores / np.float32(max(prepared.count, 1)), 0, 1)
    return scores if k is None else top_k(scores, k)


def top_k(scores, k):
    """Return (ids, scores) of the `k` highest scores, descending; ties keep the lower index."""
    if not isinstance(k, (int, np.integer)) or k < 0:
        raise InvalidInput(what="k", expected="0 or more", actual=k)
    k = min(k, len(scores))
    ids, best = np.empty(k, np.int64), np.empty(k, np.float32)
    kernels.dense.top_k(scores, ids, best)
    return ids, best


def _as_pair(query, document):
    query, document = as_tokens(query), as_tokens(document)
    if len(query) and len(document):
        _require_dim(query.shape[1], document.shape[1])
    return query, document


def _require_dim(expected, actual):
    if expected != actual:
        raise DimensionMismatch(expected=expected, actual=actual, what="values per token")


def _mean(total, count):
    return min(max(total / count, 0.0), 1.0) if count else 0.0


def _sum(query, document):
    if not len(query) or not len(document):
        return 0.0
    return float(_sums(PreparedQuery.of(query), TokenArray(document, [0, len(document)]))[0])


def _sums(query, documents, num_threads=1):
    sums = np.zeros(len(documents), np.float32)
    if not query.count or not len(documents.values):
        return sums
    _require_dim(query.dim, documents.dim)
    starts, counts = documents.starts, documents.counts

    def score(start, stop):
        rows = slice(start, stop)
        which = starts[rows], counts[rows], sums[rows]
        if documents.values.dtype == np.uint8:
            codes, first = documents.values.reshape(-1), starts[rows] * documents.dim
            kernels.maxsim.score_codes(query.packed, query.count, codes, first, *which[1:])
        else:
            values, norms = documents.values, documents.inverse_norms
            kernels.maxsim.score(query.packed, query.count, values, norms, *which)

    split_rows(score, len(documents), num_threads)
    return sums
