"""The distance of one query to codes, and its nearest ones, for each metric of an index."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Self, TypeAlias

import numpy as np

from cgcython import kernels
from cgcython.parallel import split_rows
from cgcython.search import float8_best
from cgcython.search.code_file import Content
from cgcython.search.nearest_codes import GATHERED, Found, Selection, merged, reordered
from cgcython.types import Array, Float32Array, Float64Array, Int64Array, UInt8Array

Arrays: TypeAlias = Mapping[str, Array]
PIECE = 1 << 10  # rows that are decoded at once
EQUAL_DISTANCE = 2.0**-22  # cosines that are farther apart differ also as distances
EXTRA = 32  # rows that are measured exactly beside twice those that were asked for


class Scorer(ABC):
    """Measures distances to one query; `in_units` says what they are in the query's units."""

    @abstractmethod
    def distances(self, arrays: Arrays, rows: Int64Array | slice) -> Float32Array:
        """Return the distances of some rows."""

    def nearest(self, arrays: Arrays, count: int, k: int, num_threads: int) -> Found:
        """Return the k nearest of the first rows, the lower row first on ties."""
        return self._selected(arrays, np.arange(count), k, num_threads)

    def nearest_among(self, arrays: Arrays, rows: Int64Array, k: int, num_threads: int) -> Found:
        """Return the k nearest of some rows, which ascend."""
        return self._selected(arrays, rows, k, num_threads)

    def nearest_in(
        self, content: Content, k: int, rows: Int64Array | None, num_threads: int
    ) -> Found:
        """Return the k nearest of all rows of an index, or of some."""
        if rows is None:
            return self.nearest(content.arrays, content.num_rows, k, num_threads)
        return self.nearest_among(content.arrays, rows, k, num_threads)

    @classmethod
    def nearest_together(
        cls, scorers: Sequence[Self], arrays: Arrays, count: int, k: int, num_threads: int
    ) -> list[Found]:
        """Return what `nearest` returns for each of several; some share the reading."""
        return [scorer.nearest(arrays, count, k, num_threads) for scorer in scorers]

    def in_units(self, distances: Float32Array) -> Float32Array:
        """Return distances in the units of the query."""
        return distances

    def _selected(self, arrays: Arrays, rows: Int64Array, k: int, num_threads: int) -> Found:
        def found(start: int, stop: int) -> Found:
            selection = Selection(k)
            for some in np.array_split(rows[start:stop], -(-(stop - start) // GATHERED) or 1):
                distances = self.distances(arrays, as_slice(some))
                # A damaged scale may be NaN: such rows are farthest.
                selection.add(some, np.fmin(distances, np.float32(np.inf)))
            return selection.found()

        return merged(split_rows(found, len(rows), num_threads), k)


class Float8Cosine(Scorer):
    """1 - cosine with E4M3 codes; 1 where either is zero."""

    def __init__(self, query: Float32Array) -> None:
        self._query = query

    def distances(self, arrays: Arrays, rows: Int64Array | slice) -> Float32Array:
        codes = np.ascontiguousarray(arrays["codes"][rows])
        inverse_norms = np.ascontiguousarray(arrays["inverse_norms"][rows])
        cosines = np.empty(len(codes), np.float32)
        kernels.e4m3.cosine_rows(self._query, codes, inverse_norms, cosines)
        return np.subtract(1, cosines, out=cosines)

    def nearest(self, arrays: Arrays, count: int, k: int, num_threads: int) -> Found:
        codes = _float8_codes(arrays, count)
        if not float8_best.pays(*codes.shape, k):
            return super().nearest(arrays, count, k, num_threads)
        best = float8_best.best_of(self._query, codes, k, num_threads, EQUAL_DISTANCE)
        return self._by_distance(best, arrays, count, k, num_threads)

    @classmethod
    def nearest_together(
        cls, scorers: Sequence[Self], arrays: Arrays, count: int, k: int, num_threads: int
    ) -> list[Found]:
        codes, queries = _float8_codes(arrays, count), np.array([one._query for one in scorers])
        every = float8_best.best_of_many(queries, codes, k, num_threads, EQUAL_DISTANCE)
        return [
            scorer._by_distance(best, arrays, count, k, num_threads)
            for scorer, best in zip(scorers, every)
        ]

    def _by_distance(
        self, best: Found, arrays: Arrays, count: int, k: int, num_threads: int
    ) -> Found:
        rows, cosines = best
        if len(rows) < k:  # others have no cosine, and are farthest
            return super().nearest(arrays, count, k, num_threads)
        return reordered(rows, np.subtract(1, cosines), k)


def _float8_codes(arrays: Arrays, count: int) -> float8_best.Codes:
    return float8_best.Codes(arrays["codes"][:count], arrays["inverse_norms"][:count], None)


class Float8Distance(Scorer):
    """Squared Euclidean distance to what E4M3 codes decode to.

    All rows are measured as |q|^2 - 2qd + |d|^2, which loses digits where they are near; the
    nearest are then measured by their differences.
    """

    def __init__(self, query: Float32Array) -> None:
        self._wide = query.astype(np.float64)
        self._screen = _Float8Screen(self._wide)

    def distances(self, arrays: Arrays, rows: Int64Array | slice) -> Float32Array:
        return narrow(self._exact(arrays, rows))

    def _exact(self, arrays: Arrays, rows: Int64Array | slice) -> Float64Array:
        codes = np.ascontiguousarray(arrays["codes"][rows])
        values = np.empty(codes.shape, np.float32)
        scales = np.ascontiguousarray(arrays["scales"][rows])
        kernels.e4m3.decode_rows(codes, scales, values)
        apart = values.astype(np.float64) - self._wide
        found: Float64Array = np.einsum("nd,nd->n", apart, apart)
        return found

    def _selected(self, arrays: Arrays, rows: Int64Array, k: int, num_threads: int) -> Found:
        most = min(len(rows), 2 * k + EXTRA)
        near = np.sort(self._screen.selected(arrays, rows, most, num_threads))
        parts = np.array_split(near, -(-len(near) // PIECE) or 1)
        exact = np.concatenate([self._exact(arrays, one) for one in parts])
        order = np.lexsort((near, exact))[:k]
        return near[order], narrow(exact[order])


class _Float8Screen(Scorer):
    """The same distance by dot products in float32, whatever the size of the values."""

    def __init__(self, query: Float64Array) -> None:
        self._length = float(query @ query)
        self._peak = float(np.abs(query).max(initial=0)) or 1.0
        self._query = (query / self._peak).astype(np.float32)

    def distances(self, arrays: Arrays, rows: Int64Array | slice) -> Array:
        codes = np.ascontiguousarray(arrays["codes"][rows])
        scales = arrays["scales"][rows].astype(np.float64)
        dots, inverse_norms = np.empty(len(codes), np.float32), arrays["inverse_norms"][rows]
        kernels.e4m3.dot_rows(self._query, codes, np.ones(len(codes), np.float32), dots)
        lengths = np.divide(scales, inverse_norms, out=scales * 0, where=inverse_norms > 0)
        return lengths**2 - 2 * self._peak * scales * dots + self._length

    def selected(self, arrays: Arrays, rows: Int64Array, k: int, num_threads: int) -> Int64Array:
        """Return the rows that may be nearest."""
        return self._selected(arrays, rows, k, num_threads)[0]


class Hamming(Scorer):
    """The number of bits that differ."""

    def __init__(self, query: UInt8Array) -> None:
        self._query = query

    def distances(self, arrays: Arrays, rows: Int64Array | slice) -> Float32Array:
        return _differing(self._query, arrays["codes"][rows]).astype(np.float32)


class Jaccard(Scorer):
    """1 - the bits set in both, as a part of those set in either."""

    def __init__(self, query: UInt8Array) -> None:
        self._query = query
        self._set = kernels.bits.hamming(query.tobytes(), bytes(len(query)))

    def distances(self, arrays: Arrays, rows: Int64Array | slice) -> Float32Array:
        codes = np.ascontiguousarray(arrays["codes"][rows])
        differing = _differing(self._query, codes)
        either = _differing(np.zeros_like(self._query), codes) + self._set + differing
        found = np.zeros(len(codes), np.float32)
        np.divide(2 * differing, either, out=found, where=either > 0, casting="same_kind")
        return found


def nearest_to_all(scorers: Sequence[Scorer], content: Content, k: int, num_threads: int) -> Found:
    """Return the ids and distances of the k rows nearest to each query, as matrices."""
    if not scorers:
        return np.empty((0, k), np.int64), np.empty((0, k), np.float32)
    together = type(scorers[0]).nearest_together
    nearest = together(scorers, content.arrays, content.num_rows, k, num_threads)
    rows = np.array([found for found, _ in nearest])
    distances = [scorer.in_units(far) for scorer, (_, far) in zip(scorers, nearest)]
    return content.named(rows), np.array(distances)


@np.errstate(over="ignore", under="ignore")
def narrow(distances: Float64Array) -> Float32Array:
    """Return distances as float32; infinite beyond it."""
    return distances.astype(np.float32)


def _differing(query: UInt8Array, codes: UInt8Array) -> Int64Array:
    counts = np.empty(len(codes), np.uint32)
    kernels.bits.hamming_rows(query, np.ascontiguousarray(codes), counts)
    return counts.astype(np.int64)


def as_slice(rows: Int64Array) -> Int64Array | slice:
    """Return rows that follow each other as a slice, whose codes need no copy."""
    if len(rows) and rows[-1] - rows[0] == len(rows) - 1:
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows
