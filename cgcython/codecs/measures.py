"""What codes lose, measured on the rows themselves: cosines, neighbours, and how sure both are."""

import numpy as np

NEIGHBOURS = 10
DRAWS = 2000


def cosine_losses(originals, decoded):
    """Return 1 - cosine of each row with its decoded row, in float64.

    >>> cosine_losses([[1.0, 0.0]], [[2.0, 0.0]])
    array([0.])
    """
    a, b = np.asarray(originals, np.float64), np.asarray(decoded, np.float64)
    sizes = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    both_zero = ~a.any(-1) & ~b.any(-1)
    losses = 1 - (a * b).sum(-1) / np.maximum(sizes, 1e-300)
    return np.where(both_zero, 0.0, np.maximum(losses, 0.0))  # rounding may go below zero


def neighbours_kept(originals, decoded, k=NEIGHBOURS):
    """Return for each row which part of its k nearest others, by cosine, decoded rows keep.

    >>> neighbours_kept(np.eye(3), np.eye(3), k=1)
    array([1., 1., 1.])
    """
    k = min(k, len(originals) - 1)
    if k < 1:
        return np.ones(len(originals))
    exact = _nearest(originals, originals, k)
    found = _nearest(originals, decoded, k)
    return np.array([len(set(a) & set(b)) / k for a, b in zip(exact, found)])


def _nearest(queries, rows, k):
    """Return the k rows of highest cosine for each query, itself left out."""
    lengths = np.linalg.norm(rows, axis=1)
    scores = queries @ (rows / np.where(lengths > 0, lengths, 1)[:, None]).T
    np.fill_diagonal(scores, -np.inf)
    return np.argsort(-scores, axis=1, kind="stable")[:, :k].tolist()


def mean_interval(values, draws=DRAWS, seed=0):
    """Return the 95 % interval of the mean, by a bootstrap.

    >>> mean_interval([0.5, 0.5])
    (0.5, 0.5)
    """
    values = np.asarray(values, np.float64)
    picks = np.random.default_rng(seed)
    means = [values[picks.integers(0, len(values), len(values))].mean() for _ in range(draws)]
    return tuple(np.percentile(means, [2.5, 97.5]).tolist())
