"""Cheap scores of documents of tokens, and how far each may be from the score that counts.

By Cauchy-Schwarz the cosine of a document token d with a query token q and with what q is rounded
to, q~, differ by at most |q - q~|, all three at length 1; where d is rounded too, by |d - d~| more.
So does the best cosine of a document, and a mean over query tokens differs by at most the mean of
|q - q~| and the largest |d - d~|.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from cgcython import kernels
from cgcython.parallel import split_rows
from cgcython.similarity import PreparedQuery
from cgcython.token_array import TokenArray
from cgcython.types import Array, Float32Array, Float64Array, Int8Array, Int64Array

ROUNDING = 2.0**-24  # of a float32 step; a dot has two for each dimension, and some around it

Sum: TypeAlias = Callable[[Int64Array, Int64Array, Float32Array], None]  # starts, counts, sums


class Pass(NamedTuple):
    """A way to score documents: `sum` writes sums over `tokens` of the query.

    Means are off by at most `off`, or by that of each document, f32 [rows].
    """

    sum: Sum
    off: float | Float32Array
    tokens: int


def contenders(
    passes: Sequence[Pass],
    rows: Int64Array,
    starts: Int64Array,
    counts: Int64Array,
    k: int,
    num_threads: int = 1,
) -> Int64Array:
    """Return those of some rows that may be among the k best of them, or equal the last.

    Scores are means from 0 to 1, so that documents may be equal at either end.
    """
    for one in passes:
        means = _means(one, starts[rows], counts[rows], num_threads)
        off = one.off if isinstance(one.off, float) else one.off[rows]
        least = means - np.float32(off)
        sure = min(float(np.partition(least, -k)[-k]), 1)
        if sure > 0:
            rows = rows[means + np.float32(off) >= np.float32(sure)]
    return rows


def _means(one: Pass, starts: Int64Array, counts: Int64Array, num_threads: int) -> Float32Array:
    sums = np.empty(len(starts), np.float32)

    def score(start: int, stop: int) -> None:
        one.sum(starts[start:stop], counts[start:stop], sums[start:stop])

    split_rows(score, len(starts), num_threads)
    return sums / np.float32(one.tokens)


class CodeBytes(NamedTuple):
    """E4M3 tokens as bytes: their norms f32 [tokens], and how far off each document may be."""

    norms: Float32Array
    distances: Float32Array  # [rows]

    @classmethod
    def of(cls, tokens: TokenArray) -> "CodeBytes":
        """Return those of documents of E4M3."""
        norms, each = np.empty((2, len(tokens.values)), np.float32)
        kernels.maxsim_codes.measure(tokens.values, norms, each)
        spans = zip(tokens.starts.tolist(), tokens.counts.tolist())
        distances = [each[start : start + count].max(initial=0) for start, count in spans]
        return cls(norms, np.array(distances, np.float32))


def off_in_bytes(query: PreparedQuery) -> float:
    """Return how far a mean may be off whose query has 8 bits a value."""
    numbers = _unit(_numbers(query.integers, query.dim))[:, : query.dim]
    return _mean_distance(query.packed, numbers, query.count) + _rounding(query.dim)


def off_in_8_bits(fine: Int8Array, coarse: Int8Array, query: PreparedQuery) -> float:
    """Return how far a mean may be off whose query has 8 bits a value instead of 15."""
    numbers = [_unit(_numbers(one, query.dim)) for one in (fine, coarse)]
    return _mean_distance(numbers[0], numbers[1], query.count) + _rounding(query.dim)


def _rounding(dim: int) -> float:
    return 2 * (2 * dim + 64) * ROUNDING


def _mean_distance(one: Array, other: Array, count: int) -> float:
    """Return the mean distance of the lanes of two packed queries; those without a token are 0."""
    apart = np.subtract(one, other, dtype=np.float64)
    return float(np.sqrt(np.square(apart).sum(axis=1)).sum() / max(count, 1))


def _unit(numbers: Float64Array) -> Float64Array:
    lengths = np.sqrt(np.square(numbers).sum(axis=1, keepdims=True))
    return numbers / np.where(lengths > 0, lengths, 1)


def _numbers(packed: Int8Array, dim: int) -> Float64Array:
    """Return the whole numbers of a packed query, [blocks, groups of 4, 4, lanes]."""
    blocks, lines = len(packed), 2 * -(-dim // 8)
    planes = packed[:, :-2].reshape(blocks, -1, lines, packed.shape[2] // 4, 4)
    values = planes[:, 0].astype(np.float64)
    if planes.shape[1] > 1:
        values = values * 256 + planes[:, 1]
    return values.transpose(0, 1, 3, 2).reshape(blocks, 4 * lines, -1)
