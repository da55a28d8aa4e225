"""K-means in one subspace: seeds, steps, and the code of the nearest centroid of each row.

The centroids come laid out for the kernels (`pq_layout.subspace`), because a step reads them so.
"""

import numpy as np

from cgcython import kernels
from cgcython.kernels.pq_layout import NUM_CENTROIDS, PreparedCodebook, scratch
from cgcython.parallel import split_rows
from cgcython.types import Float32Array, UInt8Array

SEEDING_ROWS = 8192


def assign(rows: Float32Array, layout: PreparedCodebook, num_threads: int = 1) -> UInt8Array:
    """Return the code [n] of the nearest centroid of each row [n, dsub]."""
    codes = np.empty((len(rows), 1), np.uint8)

    def assign_range(start: int, stop: int) -> None:
        some = slice(start, stop)
        kernels.pq.encode_rows(rows[some], layout, codes[some], scratch(layout))

    split_rows(assign_range, len(rows), num_threads)
    return codes[:, 0]


def seed_centroids(rows: Float32Array, rng: "np.random.Generator") -> Float32Array:
    """Return ksub rows chosen by k-means++.

    The odds of a row are its squared distance from the nearest of those that are chosen already.
    """
    rows = rows[rng.permutation(len(rows))[:SEEDING_ROWS]]
    distances = np.full(len(rows), np.finfo(np.float32).max, np.float32)
    chosen = [0]
    for draw in rng.random(NUM_CENTROIDS - 1):
        kernels.kmeans.shrink_distances(rows, rows[chosen[-1]], distances)
        odds = np.cumsum(distances, dtype=np.float64)
        found = int(np.searchsorted(odds, draw * odds[-1], side="right"))
        chosen.append(min(found, len(rows) - 1))
    return rows[chosen]


@np.errstate(all="ignore")  # squares of small errors vanish
def lloyd_step(
    rows: Float32Array, layout: PreparedCodebook, pace: float = 1, num_threads: int = 1
) -> Float32Array:
    """Return the centroids [ksub, dsub] after one step of k-means.

    Each goes `pace` times the way to the mean of its rows. One without rows moves to a row that is
    kept worst.
    """
    centroids = layout.centroids[0]
    codes = assign(rows, layout, num_threads)
    sums, counts = np.zeros(centroids.shape), np.zeros(NUM_CENTROIDS, np.int64)
    kernels.kmeans.accumulate(rows, codes, sums, counts)
    means = sums / np.maximum(counts, 1)[:, None]
    if pace > 1:
        means = centroids + pace * (means - centroids)
    moved = means.astype(np.float32)
    empty = counts == 0
    if empty.any():
        errors = ((rows - centroids[codes]) ** 2).sum(axis=1)
        worst = np.argsort(-errors, kind="stable")[: np.count_nonzero(empty)]
        moved[empty] = rows[worst] if len(worst) == empty.sum() else centroids[empty]
    return moved
