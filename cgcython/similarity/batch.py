"""One or many queries against many documents."""

import numpy as np

from cgcython import kernels
from cgcython.errors import InvalidInput
from cgcython.similarity import scorers
from cgcython.similarity.query import PreparedQuery
from cgcython.similarity.skipping import contenders
from cgcython.token_array import TokenArray


def max_sim_batch(query, documents, reduction="mean", k=None, num_threads=1):
    """Return the scores of many documents as float32, or the best `k` as (ids, scores).

    `documents` is a TokenArray, of any precision and scored where it lies, or a list of matrices.
    `query` is a token matrix or PreparedQuery; for a TokenArray of queries each result has one
    row per query. `reduction` is "mean" as in `max_sim`, or "sum": ColBERT's, never clamped. A
    document scores the same whichever batch it is in and however many threads score it.

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
    prepared, reduce = PreparedQuery.of(query), mean if reduction == "mean" else _sum
    is_selective = k is not None and 0 < require_count(k) < len(documents)
    is_screened = documents.screen is not None and kernels.maxsim_screen.pays()
    if is_selective and is_screened and prepared.count and documents.num_tokens:
        return _best(prepared, documents, k, reduce, num_threads)
    scores = reduce(scorers.sums(prepared, documents, num_threads), prepared.count)
    return scores if k is None else top_k(scores, k)


def _best(query, documents, k, reduce, num_threads):
    """Return what `top_k` finds in the scores of all, from those that can be among them."""
    ids = contenders(query, documents, k, reduce, num_threads)
    sums = scorers.sums(query, documents.take(ids), num_threads)
    found, best = top_k(reduce(sums, query.count), k)
    return ids[found], best


def _sum(sums, count):
    return sums


def mean(sums, count):
    """Return sums over `count` query tokens as means from 0 to 1."""
    return np.clip(sums / np.float32(max(count, 1)), 0, 1)


def top_k(scores, k):
    """Return (ids, scores) of the `k` highest scores, descending; ties keep the lower index."""
    k = min(require_count(k), len(scores))
    ids, best = np.empty(k, np.int64), np.empty(k, np.float32)
    kernels.dense.top_k(scores, ids, best)
    return ids, best


def require_count(k):
    """Return a number of documents; raises InvalidInput unless it is whole and not negative."""
    if not isinstance(k, (int, np.integer)) or k < 0:
        raise InvalidInput(what="k", expected="0 or more", actual=k)
    return k
