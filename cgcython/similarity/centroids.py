"""Centroids of tokens: trained by k-means on the sphere, and the nearest ones of any tokens."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cgcython import kernels
from cgcython.parallel import split_rows
from cgcython.similarity.query import PreparedQuery
from cgcython.token_array import TokenArray
from cgcython.types import Array, Float32Array, Int32Array, Int64Array, UInt8Array

STEPS = 8
SAMPLED = 48  # tokens per centroid that they are trained on
SLAB = 8192  # tokens decoded at a time


@dataclass(frozen=True, eq=False)
class Centroids:
    """Directions as int8 codes u8 [cells, dim]: the scales do not matter to cosines."""

    codes: UInt8Array

    @classmethod
    def of(cls, directions: Float32Array) -> "Centroids":
        """Return the centroids of finite directions f32 [cells, dim]."""
        codes = np.empty(directions.shape, np.uint8)
        scales = np.empty(len(directions), np.float32)
        kernels.maxsim_integers.encode_rows(directions, 8, codes, scales)
        return cls(codes)

    @cached_property
    def norms(self) -> Float32Array:
        """The inverse lengths of the codes."""
        norms = np.empty(len(self.codes), np.float32)
        kernels.maxsim_integers.inverse_norms(self.codes, 8, self.codes.shape[1], None, norms)
        return norms

    def nearest(self, tokens: PreparedQuery, wanted: int) -> tuple[Int32Array, Float32Array]:
        """Return the nearest cells i32 [tokens, wanted] and their cosines, the nearest first.

        Where there are fewer, or a token has no direction: -1 and 0.
        """
        cells = np.empty((tokens.count, wanted), np.int32)
        cosines = np.empty(cells.shape, np.float32)
        packed = (PreparedQuery(tokens.tokens) if tokens.fine else tokens).integers
        kernels.token_cells.nearest(packed, tokens.count, self.codes, self.norms, cells, cosines)
        return cells, cosines

    def cells_of(self, documents: TokenArray, num_threads: int = 1) -> Int32Array:
        """Return the cell of each token of documents, one document after the other."""
        ends = np.cumsum(documents.counts)
        return self._cells(
            lambda first, last: tokens_of(
                documents, _rows_of(documents, ends, np.arange(first, last))
            ),
            documents.num_tokens,
            num_threads,
        )

    def _cells(
        self, tokens: Callable[[int, int], Float32Array], total: int, num_threads: int
    ) -> Int32Array:
        """Return the cell of each of `total` tokens, of which `tokens(start, stop)` are some."""
        found = np.empty(total, np.int32)

        def assign(start: int, stop: int) -> None:
            for first in range(start, stop, SLAB):
                last = min(first + SLAB, stop)
                found[first:last] = self.nearest(PreparedQuery(tokens(first, last)), 1)[0][:, 0]

        split_rows(assign, total, num_threads)
        return found


def trained(documents: TokenArray, cells: int, seed: int, num_threads: int = 1) -> Centroids:
    """Return centroids of the tokens of documents; the same for the same ones and seed."""
    rng = np.random.default_rng(seed)
    sample = _directions(_sampled(documents, SAMPLED * cells, rng))
    means = sample[rng.permutation(len(sample))[:cells]]
    for _ in range(STEPS):
        own = Centroids.of(means)._cells(
            lambda first, last: sample[first:last], len(sample), num_threads
        )
        means = _means(sample, own, means)
    return Centroids.of(means)


def tokens_of(documents: TokenArray, rows: Array) -> Float32Array:
    """Return the directions of some rows as float32; zeros for a token that is not finite."""
    picked = documents._view(rows, np.ones(len(rows), np.int64))
    tokens: Float32Array = picked.compact().dequantize().values
    if kernels.dense.first_nonfinite(tokens.reshape(-1)) >= 0:
        tokens = np.where(np.isfinite(tokens).all(axis=1, keepdims=True), tokens, np.float32(0))
    return tokens


def _rows_of(documents: TokenArray, ends: Int64Array, numbers: Int64Array) -> Int64Array:
    """Return the rows of tokens that are counted over all documents, which end at `ends`."""
    owners = np.searchsorted(ends, numbers, side="right")
    return numbers + (documents.starts - ends + documents.counts)[owners]


def _sampled(documents: TokenArray, count: int, rng: np.random.Generator) -> Float32Array:
    """Return `count` tokens, or all where there are fewer."""
    ends, total = np.cumsum(documents.counts), documents.num_tokens
    numbers = np.arange(total)
    if total > count:
        numbers = np.sort(rng.choice(total, count, replace=False))
    return tokens_of(documents, _rows_of(documents, ends, numbers))


def _directions(tokens: Float32Array) -> Float32Array:
    """Return tokens at length 1, without those that have no direction."""
    norms = np.empty(len(tokens), np.float32)
    kernels.maxsim.inverse_norms(tokens, norms)
    there = np.isfinite(norms) & (norms > 0)
    return tokens[there] * norms[there, None]


def _means(sample: Float32Array, cells: Int32Array, before: Float32Array) -> Float32Array:
    """Return the mean of each cell's tokens; one without any stays where it was."""
    order = np.argsort(cells, kind="stable")
    found, first = np.unique(cells[order], return_index=True)
    sums = np.add.reduceat(sample[order].astype(np.float64), first, axis=0)
    means = before.copy()
    lengths = np.sqrt(np.square(sums).sum(axis=1))
    there = (found >= 0) & (lengths > 0)
    means[found[there]] = sums[there] / lengths[there, None]
    return means
