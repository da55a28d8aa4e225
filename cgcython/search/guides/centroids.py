"""Centroids of k-means on the sphere: trained on a sample, kept as float8 codes, nearest of rows.

Products are those of a kernel whose rows do not depend on each other, and sums are taken in the
order of rows: the same rows give the same centroids on any number of threads.
"""

import numpy as np

from cgcython import kernels
from cgcython.parallel import split_rows
from cgcython.search.guides.signs import units
from cgcython.types import Float32Array, Int64Array, UInt8Array

STEPS = 8
BLOCK = 192  # rows that share what the kernel packs of the centroids
CHUNK = 1 << 13  # rows that are sorted by their cells at a time


class Centroids:
    """The directions of cells as E4M3 codes, u8 [cells, dim], which a query meets."""

    def __init__(self, codes: UInt8Array) -> None:
        self.codes = codes
        self._inverse_norms = np.empty(len(codes), np.float32)
        kernels.e4m3.inverse_norms(codes, self._inverse_norms)

    @classmethod
    def trained(
        cls, sample: Float32Array, cells: int, rng: np.random.Generator, num_threads: int = 1
    ) -> "Centroids":
        """Return centroids of a sample of directions, f32 [n, dim], at least as many as cells."""
        found = sample[rng.permutation(len(sample))[:cells]]
        for _ in range(STEPS):
            found = _step(sample, found, num_threads)
        codes, scales = np.empty(found.shape, np.uint8), np.empty(len(found), np.float32)
        kernels.e4m3.encode_rows(found, codes, scales)
        return cls(codes)

    def cosines(self, query: Float32Array) -> Float32Array:
        """Return the cosine of a query with each centroid, f32 [cells]."""
        found = np.empty(len(self.codes), np.float32)
        kernels.e4m3.cosine_rows(query, self.codes, self._inverse_norms, found)
        return found

    def decoded(self) -> Float32Array:
        """Return the centroids, f32 [cells, dim], of length 1."""
        values = np.empty(self.codes.shape, np.float32)
        kernels.e4m3.decode_rows(self.codes, np.ones(len(values), np.float32), values)
        return units(values)


def nearest(rows: Float32Array, centroids: Float32Array, num_threads: int = 1) -> Int64Array:
    """Return the centroid [n] with the largest product of each row, the first of equals."""
    return _nearest(rows, centroids, num_threads)[0]


def _nearest(
    rows: Float32Array, centroids: Float32Array, num_threads: int
) -> tuple[Int64Array, Float32Array]:
    """Return the nearest centroid of each row, and the products."""
    columns, mean = np.ascontiguousarray(centroids.T), np.zeros(rows.shape[1], np.float32)
    cells, products = np.empty(len(rows), np.int64), np.empty(len(rows), np.float32)

    def write(start: int, stop: int) -> None:
        table = np.empty((min(BLOCK, stop - start), len(centroids)), np.float32)
        for at in range(start, stop, BLOCK):
            some = slice(at, min(at + BLOCK, stop))
            block = table[: some.stop - at]
            kernels.dense.project(rows[some], mean, columns, block)
            cells[some] = block.argmax(axis=1)
            products[some] = np.take_along_axis(block, cells[some, None], axis=1)[:, 0]

    split_rows(write, len(rows), num_threads, first=BLOCK)
    return cells, products


def _step(sample: Float32Array, centroids: Float32Array, num_threads: int) -> Float32Array:
    """Return centroids at the means of their rows; those without rows at the rows kept worst."""
    cells, products = _nearest(sample, centroids, num_threads)
    sums = np.zeros(centroids.shape)
    for start in range(0, len(sample), CHUNK):
        some = cells[start : start + CHUNK]
        order = np.argsort(some, kind="stable")
        there, firsts = np.unique(some[order], return_index=True)
        rows = sample[start : start + CHUNK][order]
        sums[there] += np.add.reduceat(rows, firsts, axis=0, dtype=np.float64)
    empty = np.bincount(cells, minlength=len(centroids)) == 0
    sums[empty] = sample[np.argsort(products, kind="stable")[: np.count_nonzero(empty)]]
    return units(sums.astype(np.float32))
