"""Retrieval quality against human judgements, and what float32 says beside it.

The definitions are those of trec_eval with exponential gain: nDCG@k = sum of
(2**gain - 1) / log2(rank + 1) over the best k, divided by the same sum of the ideal order.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from cgcython import kernels
from cgcython.arrays import as_integers
from cgcython.codecs.measures import DRAWS
from cgcython.errors import InvalidInput
from cgcython.types import Array, ArrayLike, Int64Array

CUTOFF = 10


def judgements(rows: ArrayLike, num_queries: int, num_documents: int) -> list[dict[int, int]]:
    """Return one `{document: gain}` per query from rows of (query, document, gain).

    Gains of zero or less are not relevant and left out. Raises InvalidInput for rows that name
    a query or document that is not there.

    >>> judgements([[0, 7, 4], [0, 3, 0], [1, 2, 1]], num_queries=2, num_documents=8)
    [{7: 4}, {2: 1}]
    """
    table = as_integers(rows, "judgements")
    if table.ndim != 2 or table.shape[1] != 3:
        expected, actual = "[n, 3]: query, document, gain", list(table.shape)
        raise InvalidInput(what="judgements", expected=expected, actual=actual)
    for name, column, count in (("query", 0, num_queries), ("document", 1, num_documents)):
        _require_below(table[:, column], count, f"judgements name a {name}")
    relevant: list[dict[int, int]] = [{} for _ in range(num_queries)]
    for query, document, gain in table.tolist():
        if gain > 0:
            relevant[query][document] = gain
    return relevant


def _require_below(numbers: Array, count: int, what: str) -> None:
    if len(numbers) and not (numbers.min() >= 0 and numbers.max() < count):
        actual = f"{numbers.min()} to {numbers.max()}"
        raise InvalidInput(what=what, expected=f"0 to {count - 1}", actual=actual)


def top(scores: ArrayLike, k: int = CUTOFF) -> Int64Array:
    """Return the positions of the k best scores, best first, the lower one on ties.

    >>> top([0.1, 0.9, 0.9, 0.3], k=3)
    array([1, 2, 3])
    """
    values = np.ascontiguousarray(scores, np.float32)
    count = min(k, len(values))
    ids, best = np.empty(count, np.int64), np.empty(count, np.float32)
    kernels.dense.top_k(values, ids, best)
    return ids


def _discounted(gains: Array) -> float:
    return float(np.sum((2.0**gains - 1) / np.log2(np.arange(2, len(gains) + 2))))


def ndcg(ranking: Sequence[int], relevant: Mapping[int, int], k: int = CUTOFF) -> float:
    """Return nDCG@k of ranked positions, given the gains of the relevant ones.

    >>> round(ndcg([5, 7, 1], {7: 2, 5: 1}), 3)
    0.797
    """
    gains = np.array([relevant.get(int(one), 0) for one in ranking[:k]], np.float64)
    ideal = np.sort(np.array(list(relevant.values()), np.float64))[::-1][:k]
    return _discounted(gains) / _discounted(ideal)


def recall(ranking: Sequence[int], relevant: Mapping[int, int], k: int = CUTOFF) -> float:
    """Return the part of the relevant positions among the first k.

    >>> recall([5, 7, 1], {7: 2, 9: 1})
    0.5
    """
    return sum(int(one) in relevant for one in ranking[:k]) / len(relevant)


def overlap(expected: Sequence[int], actual: Iterable[int]) -> float:
    """Return the part of the expected ranking that the actual one also holds.

    >>> overlap([1, 2, 3, 4], [4, 3, 9, 8])
    0.5
    """
    return len(set(map(int, expected)) & set(map(int, actual))) / max(1, len(expected))


def relative_drop(base: ArrayLike, new: ArrayLike) -> float:
    """Return by which part the mean of `new` lies below the mean of `base`.

    >>> relative_drop([1.0, 0.5], [0.75, 0.375])
    0.25
    """
    return 1 - float(np.asarray(new).mean()) / float(np.asarray(base).mean())


def drop_interval(
    base: ArrayLike, new: ArrayLike, draws: int = DRAWS, seed: int = 0
) -> tuple[float, float]:
    """Return the 95 % interval of the relative drop, by a paired bootstrap over queries."""
    before, after = np.asarray(base, np.float64), np.asarray(new, np.float64)
    picks = _picks(len(before), draws, seed)
    means = before[picks].mean(1)
    return _middle(1 - after[picks].mean(1)[means > 0] / means[means > 0])


def gain_interval(
    base: ArrayLike, new: ArrayLike, draws: int = DRAWS, seed: int = 0
) -> tuple[float, float]:
    """Return the 95 % interval of mean(new) - mean(base), by a paired bootstrap over queries.

    >>> gain_interval([0.5, 0.25, 0.75], [0.75, 0.5, 1.0])
    (0.25, 0.25)
    """
    gains = np.asarray(new, np.float64) - np.asarray(base, np.float64)
    return _middle(gains[_picks(len(gains), draws, seed)].mean(1))


def _picks(count: int, draws: int, seed: int) -> Int64Array:
    """Return the queries [draws, count] of each draw of a bootstrap."""
    return np.random.default_rng(seed).integers(0, count, (draws, count))


def _middle(values: Array) -> tuple[float, float]:
    low, high = np.percentile(values, [2.5, 97.5]).tolist()
    return low, high
