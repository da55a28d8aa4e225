"""What codes lose, measured on the rows themselves: cosines, neighbours, and how sure both are."""

import numpy as np

from cgcython import kernels
from cgcython.kernels.pq_layout import STRIP, strips
from cgcython.parallel import split_rows
from cgcython.types import ArrayLike, Float32Array, Float64Array

NEIGHBOURS = 10
DRAWS = 2000
QUERIES_AT_ONCE = 64  # of neighbours: Ctrl-C is answered between them
DRAWN_AT_ONCE = 1 << 16  # values of several draws, so that Python costs little and memory too


def cosine_losses(originals: ArrayLike, decoded: ArrayLike) -> Float64Array:
    """Return 1 - cosine of each row with its decoded row, in float64.

    >>> cosine_losses([[1.0, 0.0]], [[2.0, 0.0]])
    array([0.])
    """
    first, second = np.asarray(originals), np.asarray(decoded)
    if first.ndim != 2:
        return _losses(first, second)
    pieces = split_rows(
        lambda *rows: _losses(first[slice(*rows)], second[slice(*rows)]), len(first)
    )
    return np.concatenate(pieces)


def _losses(originals: ArrayLike, decoded: ArrayLike) -> Float64Array:
    a, b = np.asarray(originals, np.float64), np.asarray(decoded, np.float64)
    sizes = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    both_zero = ~a.any(-1) & ~b.any(-1)
    losses = 1 - (a * b).sum(-1) / np.maximum(sizes, 1e-300)
    above = np.maximum(losses, 0.0)  # rounding may go below zero
    return np.where(both_zero, 0.0, above)


def neighbours_kept(
    originals: Float32Array, decoded: Float32Array, k: int = NEIGHBOURS
) -> Float64Array:
    """Return for each row which part of its k nearest others, by cosine, decoded rows keep.

    >>> neighbours_kept(np.eye(3), np.eye(3), k=1)
    array([1., 1., 1.])
    """
    k = min(k, len(originals) - 1)
    if k < 1:
        return np.ones(len(originals))
    queries, kept = np.ascontiguousarray(originals, np.float32), list[float]()
    exact, found = (strips(_directions(rows).T) for rows in (queries, decoded))
    for start in range(0, len(queries), QUERIES_AT_ONCE):
        nearest = (_nearest(queries, columns, start, k) for columns in (exact, found))
        kept += [len(set(a) & set(b)) / k for a, b in zip(*nearest)]
    return np.array(kept)


def _directions(rows: ArrayLike) -> Float32Array:
    values = np.asarray(rows, np.float32)
    lengths: Float32Array = np.linalg.norm(values, axis=1)
    lengths[lengths == 0] = 1
    return values / lengths[:, None]


def _nearest(queries: Float32Array, columns: Float32Array, start: int, k: int) -> list[list[int]]:
    """Return the k rows of highest cosine for each of some queries, itself left out.

    `columns` are the rows' directions in strips; their products round alike on every machine.
    """
    some = queries[start : start + QUERIES_AT_ONCE]
    scores = np.empty((len(some), len(columns) * STRIP), np.float32)
    kernels.residual.product(some, columns, scores)
    scores = scores[:, : len(queries)]
    query = np.arange(len(scores))
    scores[query, start + query] = -np.inf
    nearest: list[list[int]] = np.argsort(-scores, axis=1, kind="stable")[:, :k].tolist()
    return nearest


def mean_interval(values: ArrayLike, draws: int = DRAWS, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % interval of the mean, by a bootstrap.

    >>> mean_interval([0.5, 0.5])
    (0.5, 0.5)
    """
    exact, picks = np.asarray(values, np.float64), np.random.default_rng(seed)
    some = max(1, DRAWN_AT_ONCE // max(1, len(exact)))
    means = [
        exact[picks.integers(0, len(exact), (min(some, draws - done), len(exact)))].mean(axis=1)
        for done in range(0, draws, some)
    ]
    low, high = np.percentile(np.concatenate(means), [2.5, 97.5])
    return float(low), float(high)
