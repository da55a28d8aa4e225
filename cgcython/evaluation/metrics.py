"""Retrieval quality against human judgements, and what float32 says beside it.

The definitions are those of trec_eval with exponential gain: nDCG@k = sum of
(2**gain - 1) / log2(rank + 1) over the best k, divided by the same sum of the ideal order.
"""

import numpy as np

from cgcython import kernels
from cgcython.codecs.measures import DRAWS
from cgcython.errors import InvalidInput

CUTOFF = 10


def judgements(rows, num_queries, num_documents):
    """Return one `{document: gain}` per query from rows of (query, document, gain).

    Gains of zero or less are not relevant and left out. Raises InvalidInput for rows that name
    a query or document that is not there.

    >>> judgements([[0, 7, 4], [0, 3, 0], [1, 2, 1]], num_queries=2, num_documents=8)
    [{7: 4}, {2: 1}]
    """
    rows = np.asarray(rows)
    if rows.ndim != 2 or rows.shape[1] != 3 or rows.dtype.kind not in "ui":
        raise InvalidInput(
            what="judgements",
            expected="whole numbers [n, 3]: query, document, gain",
            actual=f"{rows.dtype} {list(rows.shape)}",
        )
    for name, column, count in (("query", 0, num_queries), ("document", 1, num_documents)):
        if len(rows) and not (rows[:, column].min() >= 0 and rows[:, column].max() < count):
            raise InvalidInput(
                what=f"judgements name a {name}",
                expected=f"0 to {count - 1}",
                actual=f"{rows[:, column].min()} to {rows[:, column].max()}",
            )
    relevant = [{} for _ in range(num_queries)]
    for query, document, gain in rows.tolist():
        if gain > 0:
            relevant[query][document] = gain
    return relevant


def top(scores, k=CUTOFF):
    """Return the positions of the k best scores, best first, the lower one on ties.

    >>> top([0.1, 0.9, 0.9, 0.3], k=3)
    array([1, 2, 3])
    """
    scores = np.ascontiguousarray(scores, np.float32)
    k = min(k, len(scores))
    ids, best = np.empty(k, np.int64), np.empty(k, np.float32)
    kernels.dense.top_k(scores, ids, best)
    return ids


def _discounted(gains):
    return float(np.sum((2.0**gains - 1) / np.log2(np.arange(2, len(gains) + 2))))


def ndcg(ranking, relevant, k=CUTOFF):
    """Return nDCG@k of ranked positions, given the gains of the relevant ones.

    >>> round(ndcg([5, 7, 1], {7: 2, 5: 1}), 3)
    0.797
    """
    gains = np.array([relevant.get(int(one), 0) for one in ranking[:k]], np.float64)
    ideal = np.sort(np.array(list(relevant.values()), np.float64))[::-1][:k]
    return _discounted(gains) / _discounted(ideal)


def recall(ranking, relevant, k=CUTOFF):
    """Return the part of the relevant positions among the first k.

    >>> recall([5, 7, 1], {7: 2, 9: 1})
    0.5
    """
    return sum(int(one) in relevant for one in ranking[:k]) / len(relevant)


def overlap(expected, actual):
    """Return the part of the expected ranking that the actual one also holds.

    >>> overlap([1, 2, 3, 4], [4, 3, 9, 8])
    0.5
    """
    return len(set(map(int, expected)) & set(map(int, actual))) / max(1, len(expected))


def relative_drop(base, new):
    """Return by which part the mean of `new` lies below the mean of `base`.

    >>> relative_drop([1.0, 0.5], [0.75, 0.375])
    0.25
    """
    return 1 - float(np.mean(new)) / float(np.mean(base))


def drop_interval(base, new, draws=DRAWS, seed=0):
    """Return the 95 % interval of the relative drop, by a paired bootstrap over queries."""
    base, new = np.asarray(base, np.float64), np.asarray(new, np.float64)
    picks = np.random.default_rng(seed).integers(0, len(base), (draws, len(base)))
    means = base[picks].mean(1)
    drops = 1 - new[picks].mean(1)[means > 0] / means[means > 0]
    return tuple(np.percentile(drops, [2.5, 97.5]).tolist())
