"""Finds the directions that make a product quantizer's subspaces equally hard.

Products are those of our own kernels, which round alike on every machine and level, and each sum
has one order whatever the threads: the same samples always give the same bits. They are taken in
pieces of rows, between which Python answers Ctrl-C.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from cgcython import kernels
from cgcython.codecs.eigen import eigen, nearest_rotation
from cgcython.kernels.pq_layout import STRIP, strips
from cgcython.parallel import each, split_rows
from cgcython.types import Float32Array, Float64Array, Int64Array

BLOCK = 2048  # rows of a sum in float32; sums of blocks are added in float64


class Axes(NamedTuple):
    """The mean [dim] of rows, their principal axes as columns [dim, dim], and the variances [dim].

    The widest axis comes first.
    """

    mean: Float32Array
    directions: Float64Array
    variances: Float64Array


def principal_axes(rows: Float32Array, num_threads: int = 1) -> Axes:
    """Return the principal axes of rows [n, dim]."""
    mean = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    covariance = np.zeros((rows.shape[1],) * 2)
    for some in _pieces(rows):
        centred = rows[some] - mean
        _add_products(centred, centred, covariance, num_threads, upper=True)
    variances, axes = eigen(covariance / len(rows), num_threads)
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
    sizes = np.maximum(variances, floor)
    sizes /= sizes.min()  # all factors at least 1, or a longer group would look smaller
    groups: list[list[int]] = [[] for _ in range(num_subvectors)]
    # Products as mantissas and powers of two: logarithms differ in their last bit by machine.
    mantissas, powers = np.full(num_subvectors, 0.5), np.ones(num_subvectors)
    for axis, size in enumerate(sizes):
        group = int(np.lexsort([mantissas, powers])[0])
        groups[group].append(axis)
        mantissas[group], power = np.frexp(mantissas[group] * size)
        powers[group] += power if len(groups[group]) < room else np.inf
    return np.concatenate(groups)


def best_rotation(rows: Float32Array, targets: Float32Array, num_threads: int = 1) -> Float32Array:
    """Return the orthogonal matrix that takes rows nearest to targets (Procrustes)."""
    product = np.zeros((rows.shape[1], targets.shape[1]))
    for some in _pieces(rows):
        _add_products(rows[some], targets[some], product, num_threads)
    return nearest_rotation(product, num_threads).astype(np.float32)


def turned(
    rows: Float32Array,
    rotation: Float32Array,
    mean: Float32Array | None = None,
    num_threads: int = 1,
) -> Float32Array:
    """Return the product [n, width] of rows [n, dim], less their mean, and a rotation."""
    columns, width = strips(rotation), rotation.shape[1]
    product = np.empty((len(rows), width), np.float32)

    def turn_range(start: int, stop: int) -> None:
        some = slice(start, stop)
        centred = np.ascontiguousarray(rows[some] if mean is None else rows[some] - mean)
        out = product[some] if width % STRIP == 0 else _empty(stop - start, columns)
        kernels.residual.product(centred, columns, out)
        product[some] = out[:, :width]

    split_rows(turn_range, len(rows), num_threads)
    return product


def _empty(rows: int, columns: Float32Array) -> Float32Array:
    return np.empty((rows, len(columns) * STRIP), np.float32)


def _add_products(
    a: Float32Array, b: Float32Array, sums: Float64Array, num_threads: int, upper: bool = False
) -> None:
    """Add a.T @ b to sums [width, width], or its upper half; b's columns shared out to threads."""
    values, columns = np.ascontiguousarray(a.T), strips(b)

    def add(strip: int) -> None:
        first = strip * STRIP
        own = sums[: first + STRIP if upper else None, first : first + STRIP]
        out = np.empty((len(own), STRIP), np.float32)
        kernels.residual.product(values[: len(own)], columns[strip : strip + 1], out)
        own += out[:, : own.shape[1]]

    each(add, range(len(columns)), num_threads)


def _pieces(rows: Float32Array) -> Iterator[slice]:
    for start in range(0, len(rows), BLOCK):
        yield slice(start, start + BLOCK)
