"""The distance of one query to scalar codes, exactly, by a screen in whole numbers."""

from collections.abc import Sequence

import numpy as np

from cgcython import kernels
from cgcython.codecs.scalar import ScalarCodec
from cgcython.parallel import split_rows
from cgcython.search.code_scorers import PIECE, Arrays, Scorer, as_slice, narrow
from cgcython.search.nearest_codes import GATHERED, Found
from cgcython.search.scalar_scan import PackedQuery, level_sizes
from cgcython.types import Float32Array, Float64Array, Int64Array

ROUNDING = 1e-5  # more than f32 rotations and sums can be off, as a part of lengths


class ScalarScorer(Scorer):
    """Squared Euclidean distance to what codes decode to, or 1 - cosine; 1 where either is zero.

    Whole numbers tell the cosine of every row, but for the roundings of the query (Cauchy-Schwarz);
    the rows that may be among the nearest are then decoded and measured.
    """

    def __init__(self, codec: ScalarCodec, query: Float32Array, metric: str) -> None:
        self._codec, self._is_cosine = codec, metric == "cosine"
        self._packed = PackedQuery.of(query, codec.bits, "cosine")
        unit = PackedQuery.of(query, codec.bits, "dot").factor
        self._wide = query.astype(np.float64)
        self._length = float(np.sqrt(self._wide @ self._wide))
        lost = unit / 2 * np.sqrt(codec.dim) / self._length if self._length else 0.0
        self._off = lost + ROUNDING

    def distances(self, arrays: Arrays, rows: Int64Array | slice) -> Float32Array:
        return narrow(self._exact(arrays, rows))

    def _exact(self, arrays: Arrays, rows: Int64Array | slice) -> Float64Array:
        columns = [np.ascontiguousarray(arrays[name][rows]) for name in self._codec.columns]
        codes, scales, powers = columns
        values = np.empty((len(codes), self._codec.dim), np.float32)
        numbers = scales.astype(np.float32)
        kernels.scalars.decode_rows(codes, self._codec.bits, numbers, powers, values)
        wide = values.astype(np.float64)
        if not self._is_cosine:
            return _squares(wide - self._wide)
        lengths = np.sqrt(_squares(wide)) * self._length
        dots: Float64Array = np.einsum("nd,d->n", wide, self._wide)
        cosines: Float64Array = np.divide(dots, lengths, out=lengths * 0, where=lengths > 0)
        return 1 - cosines

    @np.errstate(all="ignore")  # a damaged length or scale may be infinite
    def _bounds(self, arrays: Arrays, rows: Int64Array | slice) -> tuple[Float64Array, ...]:
        """Return what each distance is at least and at most."""
        codes = np.ascontiguousarray(arrays["codes"][rows])
        inverse_norms = np.ascontiguousarray(arrays["inverse_norms"][rows])
        cosines, bits = np.empty(len(codes), np.float32), self._codec.bits
        kernels.scalars.score_rows(
            *self._packed, codes, bits, self._codec.dim, inverse_norms, cosines
        )
        wide = cosines.astype(np.float64)
        if self._is_cosine:
            return 1 - wide - self._off, 1 - wide + self._off
        sizes = level_sizes(arrays["scales"][rows], arrays["powers"][rows], bits)
        lengths = np.divide(sizes, inverse_norms, out=sizes * 0, where=inverse_norms > 0)
        squares = lengths**2 + self._length**2
        middle = squares - 2 * self._length * lengths * wide
        off = 2 * self._length * lengths * self._off + ROUNDING * squares
        return middle - off, middle + off

    def _selected(self, arrays: Arrays, rows: Int64Array, k: int, num_threads: int) -> Found:
        def near(start: int, stop: int) -> _Near:
            found = _Near(k)
            for some in np.array_split(rows[start:stop], -(-(stop - start) // GATHERED) or 1):
                found.add(some, *self._bounds(arrays, as_slice(some)))
            return found

        rows = _Near.joined(split_rows(near, len(rows), num_threads), k)
        parts = np.array_split(rows, -(-len(rows) // PIECE) or 1)
        exact = np.concatenate([self._exact(arrays, one) for one in parts])
        distances = narrow(np.fmin(exact, np.inf))
        order = np.lexsort((rows, distances))[:k]
        return rows[order], distances[order]


class _Near:
    """Rows that may be among the k nearest, by what their distances are at least and at most."""

    def __init__(self, k: int) -> None:
        self._k, self._reach = k, np.inf if k else -np.inf
        self._rows, self._least, self._most = [_NO_ROWS], [_NONE], _NONE

    def add(self, rows: Int64Array, least: Float64Array, most: Float64Array) -> None:
        """Meet more rows. A damaged scale may be NaN: such rows are farthest."""
        least, most = np.fmin(least, np.inf), np.fmin(most, np.inf)
        if self._reach < np.inf:
            near = np.flatnonzero(least <= self._reach)
            rows, least, most = rows[near], least[near], most[near]
        self._rows.append(rows)
        self._least.append(least)
        self._most = np.concatenate([self._most, most])
        if 0 < self._k <= len(self._most):
            self._most = np.partition(self._most, self._k - 1)[: self._k]
            self._reach = float(self._most[-1])

    @staticmethod
    def joined(found: Sequence["_Near"], k: int) -> Int64Array:
        """Return the rows of several that may be among the k nearest of all."""
        every = _Near(k)
        for one in found:
            every._most = np.concatenate([every._most, one._most])
        every.add(_NO_ROWS, _NONE, _NONE)
        rows = np.concatenate([part for one in found for part in one._rows])
        least = np.concatenate([part for one in found for part in one._least])
        near: Int64Array = rows[least <= every._reach]
        return near


_NO_ROWS, _NONE = np.empty(0, np.int64), np.empty(0, np.float64)


def _squares(rows: Float64Array) -> Float64Array:
    found: Float64Array = np.einsum("nd,nd->n", rows, rows)
    return found
