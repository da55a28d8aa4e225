"""Finds the directions that make a product quantizer's subspaces equally hard.

Products are taken in pieces of rows, between which Python answers Ctrl-C; how large a piece is
follows from the shapes alone, so that the same samples always give the same bits.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from cgcython.types import Float32Array, Float64Array, Int64Array

BLOCK = 8192
PIECE = 1 << 30  # multiplications of a piece of a product, 0.02 to 0.07 s of a core


class Axes(NamedTuple):
    """The mean [dim] of rows, their principal axes as columns [dim, dim], and the variances [dim].

    The widest axis comes first.
    """

    mean: Float32Array
    directions: Float64Array
    variances: Float64Array


def principal_axes(rows: Float32Array) -> Axes:
    """Return the principal axes of rows [n, dim]."""
    mean = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    covariance = np.zeros((rows.shape[1],) * 2)
    for some in _pieces(rows, rows.shape[1]):
        centred = rows[some] - mean
        covariance += centred.T @ centred
    variances, axes = np.linalg.eigh(covariance / len(rows))
    axes, variances = axes[:, ::-1], variances[::-1]
    # An axis and its negative are equally good: the largest component shall be positive.
    largest = axes[np.abs(axes).argmax(axis=0), np.arange(len(axes))]
    return Axes(mean, axes * np.sign(largest), np.maximum(variances, 0))


def balanced(variances: Float64Array, num_subvectors: int) -> Int64Array:
    """Return an order of axes whose consecutive groups have nearly equal products of variances.

    The error of a subspace with a fixed number of centroids follows that product. Each axis, the
    largest first, goes to the group with the smallest product that has room.
    """
    room = len(variances) // num_subvectors
    floor = max(variances[0] * 1e-12, np.finfo(np.float64).tiny)
    logs = np.log(np.maximum(variances, floor))
    logs -= logs.min()  # all factors at least 1, or a longer group would look smaller
    groups: list[list[int]] = [[] for _ in range(num_subvectors)]
    products = np.zeros(num_subvectors)
    for axis, log in enumerate(logs):
        group = int(products.argmin())
        groups[group].append(axis)
        products[group] += log
        if len(groups[group]) == room:
            products[group] = np.inf
    return np.concatenate(groups)


def best_rotation(rows: Float32Array, targets: Float32Array) -> Float32Array:
    """Return the orthogonal matrix that takes rows nearest to targets (Procrustes)."""
    product = np.zeros((rows.shape[1], targets.shape[1]), np.result_type(rows, targets))
    for some in _pieces(rows, targets.shape[1]):
        product += rows[some].T @ targets[some]
    left, _, right = np.linalg.svd(product)
    rotation: Float32Array = left @ right
    return rotation


def turned(
    rows: Float32Array, rotation: Float32Array, mean: Float32Array | None = None
) -> Float32Array:
    """Return the product [n, width] of rows [n, dim], less their mean, and a rotation."""
    product = np.empty((len(rows), rotation.shape[1]), np.float32)
    for some in _pieces(rows, rotation.shape[1]):
        centred = rows[some] if mean is None else rows[some] - mean
        np.matmul(centred, rotation, out=product[some])
    return product


def _pieces(rows: Float32Array, columns: int) -> Iterator[slice]:
    """Yield the rows of each piece of a product of that many columns."""
    size = min(BLOCK, max(1, PIECE // max(1, rows.shape[1] * columns)))
    for start in range(0, len(rows), size):
        yield slice(start, start + size)
