"""Finds the directions that make a product quantizer's subspaces equally hard."""

import numpy as np

BLOCK = 8192


def principal_axes(rows):
    """Return the mean, the principal axes (columns) and their variances, largest first."""
    mean = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    covariance = np.zeros((rows.shape[1],) * 2)
    for start in range(0, len(rows), BLOCK):
        centred = rows[start : start + BLOCK] - mean
        covariance += centred.T @ centred
    variances, axes = np.linalg.eigh(covariance / len(rows))
    axes, variances = axes[:, ::-1], variances[::-1]
    # An axis and its negative are equally good: the largest component shall be positive.
    largest = axes[np.abs(axes).argmax(axis=0), np.arange(len(axes))]
    return mean, axes * np.sign(largest), np.maximum(variances, 0)


def balanced(variances, num_subvectors):
    """Return an order of axes whose consecutive groups have nearly equal products of variances.

    The error of a subspace with a fixed number of centroids follows that product. Each axis, the
    largest first, goes to the group with the smallest product that has room.
    """
    room = len(variances) // num_subvectors
    floor = max(variances[0] * 1e-12, np.finfo(np.float64).tiny)
    logs = np.log(np.maximum(variances, floor))
    logs -= logs.min()  # all factors at least 1, or a longer group would look smaller
    groups, products = [[] for _ in range(num_subvectors)], np.zeros(num_subvectors)
    for axis, log in enumerate(logs):
        group = int(products.argmin())
        groups[group].append(axis)
        products[group] += log
        if len(groups[group]) == room:
            products[group] = np.inf
    return np.concatenate(groups)


def best_rotation(rows, targets):
    """Return the orthogonal matrix that takes rows nearest to targets (Procrustes)."""
    left, _, right = np.linalg.svd(rows.T @ targets)
    return left @ right
