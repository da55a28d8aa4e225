"""Merges tokens that say the same instead of dropping some: ColBERT's token pooling.

Ward's clustering of the unit tokens, and the mean direction of each cluster at the mean length of
its tokens. Assigning dropped tokens to the nearest token that COVERAGE keeps, and averaging, is as
good at half the tokens and clearly worse at a quarter; docs/QUALITY.md has the figures.
"""

import numpy as np

from cgcython import kernels

_LARGEST = np.finfo(np.float32).max


def pool_tokens(tokens, count):
    """Return `count` pooled tokens (f32) and the positions (u32) of their representatives.

    Positions ascend; each is of the token that is most like its cluster. A token that stays
    alone stays what it was.

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
    chosen = _most_like(units, means, labels)
    pooled = np.clip(means, -_LARGEST, _LARGEST).astype(np.float32)
    alone = sizes == 1
    pooled[alone] = tokens[chosen[alone]]
    order = np.argsort(chosen)
    return pooled[order], chosen[order].astype(np.uint32)


def _means(units, lengths, labels):
    """Return each cluster's mean direction at the mean length of its tokens, and their number."""
    members = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[members], np.arange(labels.max() + 1))
    sizes = np.diff([*starts, len(labels)])
    sums = np.add.reduceat(units[members], starts)
    wanted = np.add.reduceat(lengths[members], starts) / sizes
    found = np.sqrt(np.einsum("cd,cd->c", sums, sums))
    return sums * (wanted / _or_one(found))[:, None], sizes


def _most_like(units, means, labels):
    """Return the position of each cluster's token with the best cosine, the lowest of equals."""
    alike = np.einsum("td,td->t", units, means[labels])
    order = np.lexsort((-alike, labels))
    return order[np.searchsorted(labels[order], np.arange(len(means)))]


def _or_one(lengths):
    return np.where(lengths > 0, lengths, 1)
