"""K-means in one subspace: seeds, steps past the means, the code of the nearest centroid."""

import numpy as np

from cgcython import kernels
from cgcython.kernels.pq_layout import NUM_CENTROIDS, prepare, scratch

SEEDING_ROWS = 8192


def assign(rows, centroids):
    """Return the code of the nearest centroid of each row."""
    codes = np.empty((len(rows), 1), np.uint8)
    prepared = prepare(centroids[None])
    kernels.pq.encode_rows(rows, prepared, codes, scratch(prepared))
    return codes[:, 0]


def seed_centroids(rows, rng):
    """Return 256 rows chosen by k-means++: each with odds of its squared distance from the rest."""
    rows = rows[rng.permutation(len(rows))[:SEEDING_ROWS]]
    distances = np.full(len(rows), np.finfo(np.float32).max, np.float32)
    chosen = [0]
    for draw in rng.random(NUM_CENTROIDS - 1):
        kernels.kmeans.shrink_distances(rows, rows[chosen[-1]], distances)
        odds = np.cumsum(distances, dtype=np.float64)
        found = int(np.searchsorted(odds, draw * odds[-1], side="right"))
        chosen.append(min(found, len(rows) - 1))
    return rows[chosen]


def lloyd(rows, centroids, steps, pace=1):
    """Return the centroids after some steps of k-means, each `pace` times the way to the mean.

    Empty ones move to the rows that are kept worst.
    """
    for _ in range(steps):
        codes = assign(rows, centroids)
        sums, counts = np.zeros(centroids.shape), np.zeros(NUM_CENTROIDS, np.int64)
        kernels.kmeans.accumulate(rows, codes, sums, counts)
        empty = counts == 0
        means = sums / np.maximum(counts, 1)[:, None]
        if pace > 1:
            means = centroids + pace * (means - centroids)
        moved = means.astype(np.float32)
        if empty.any():
            errors = ((rows - centroids[codes]) ** 2).sum(axis=1)
            worst = np.argsort(-errors, kind="stable")[: np.count_nonzero(empty)]
            moved[empty] = rows[worst] if len(worst) == empty.sum() else centroids[empty]
        if np.array_equal(moved, centroids):
            break
        centroids = moved
    return centroids
