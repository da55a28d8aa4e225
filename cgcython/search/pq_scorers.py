"""The distance of one query to codes of product quantization, and its nearest ones."""

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

import numpy as np

from cgcython import kernels
from cgcython.codecs.codebook import PQ8Codebook
from cgcython.codecs.pq_tables import DistanceTables, SearchTables
from cgcython.search.code_file import BLOCK
from cgcython.search.code_scorers import Scorer
from cgcython.search.nearest_codes import (
    MOST_INSERTED,
    Found,
    codes_of,
    distances_of,
    nearest,
    nearest_among,
    nearest_of_ranges,
    selected,
    unblocked,
)
from cgcython.types import Array, Float32Array, Float64Array, Int64Array, UInt8Array

Arrays: TypeAlias = Mapping[str, Array]
NUM_LENGTHS = 256
_MOST = np.float32(np.inf)


class Lengths(NamedTuple):
    """A code for the length of what each row decodes to: edges[code] to edges[code + 1]."""

    codes: UInt8Array  # [blocks, 64]
    edges: Float32Array  # [NUM_LENGTHS + 1], ascending


class PQScorers:
    """Makes the scorers of one index, which share the lengths of its rows.

    The first search for cosines measures these. They take a byte a row of memory, and files do not
    hold them.
    """

    def __init__(self, codebook: PQ8Codebook) -> None:
        self.codebook = codebook
        self._measured: tuple[UInt8Array, Lengths | None] | None = None

    def scorer(self, query: Float32Array, metric: str) -> Scorer:
        """Return what measures distances to a query [dim]."""
        if metric == "cosine":
            return PQCosine(self.codebook.search_tables(query), self)
        return PQDistance(self.codebook.table_maker.distance_tables(query))

    def lengths_of(self, blocks: UInt8Array) -> Lengths | None:
        """Return the lengths of all rows of blocks; None where some are beyond float32."""
        known = self._measured
        if known is None or known[0] is not blocks:
            self._measured = known = blocks, self._measure(blocks)
        return known[1]

    def forget_lengths(self) -> None:
        """Forget the lengths of blocks that were replaced."""
        self._measured = None

    def _measure(self, blocks: UInt8Array) -> Lengths | None:
        table, constant = self.codebook.search_tables(np.zeros(self.codebook.embedding_dim))[1::2]
        pieces = (distances_of(table, codes) for _, codes in unblocked(blocks, blocks.size))
        squares = constant + np.concatenate(list(pieces)).astype(np.float64)
        return _coded(np.sqrt(np.maximum(squares, 0))) if np.isfinite(squares).all() else None


def _coded(lengths: Float64Array) -> Lengths:
    """Return the codes of lengths, one for each row of whole blocks."""
    edges = np.linspace(lengths.min(), lengths.max(), NUM_LENGTHS + 1).astype(np.float32)
    edges[0], edges[-1] = np.nextafter(edges[0], np.float32(0)), np.nextafter(edges[-1], _MOST)
    codes = np.searchsorted(edges[1:-1], lengths, side="right").astype(np.uint8)
    return Lengths(codes.reshape(-1, BLOCK), edges)


class PQDistance(Scorer):
    """Squared Euclidean distance to what product-quantization codes decode to (ADC)."""

    def __init__(self, tables: DistanceTables) -> None:
        self._tables = tables
        self.in_units = tables.in_units  # type: ignore[method-assign]  # the tables know it

    def distances(self, arrays: Arrays, rows: Int64Array | slice) -> Float32Array:
        table, constant, _ = self._tables
        return distances_of(table, _unblocked(arrays, rows)) + constant

    def nearest(self, arrays: Arrays, count: int, k: int, num_threads: int) -> Found:
        table, constant, _ = self._tables
        blocks = arrays["blocks"][: -(-count // BLOCK)]
        rows, distances = nearest(table, blocks, count, k, num_threads)
        return rows, distances + constant

    def nearest_among(self, arrays: Arrays, rows: Int64Array, k: int, num_threads: int) -> Found:
        table, constant, _ = self._tables
        rows, distances = nearest_among(table, arrays["blocks"], rows, k, num_threads)
        return rows, distances + constant


class PQCosine(Scorer):
    """1 - cosine with what product-quantization codes decode to; 1 where either is zero."""

    def __init__(self, tables: SearchTables, shared: PQScorers) -> None:
        self._tables, self._shared = tables, shared

    def distances(self, arrays: Arrays, rows: Int64Array | slice) -> Float32Array:
        return self._measured(np.ascontiguousarray(_unblocked(arrays, rows)))

    def nearest(self, arrays: Arrays, count: int, k: int, num_threads: int) -> Found:
        blocks, tables = arrays["blocks"], self._tables
        lengths = self._shared.lengths_of(blocks) if 0 < k <= MOST_INSERTED and count else None

        def one_range(start: int, stop: int, rows: int) -> Found:
            some = blocks[start:stop]
            if lengths is None:
                return selected(self._measured, some, rows, k)
            ids, best = np.empty(min(k, rows), np.int64), np.empty(min(k, rows), np.float32)
            bounds = lengths.codes[start:stop], lengths.edges
            kernels.adc.topk_cosine(*tables, some, *bounds, rows, ids, best)
            return ids, best

        return nearest_of_ranges(one_range, count, k, num_threads)

    def _measured(self, codes: UInt8Array) -> Float32Array:
        cosines = np.empty(len(codes), np.float32)
        kernels.adc.cosine(*self._tables, codes, cosines)
        return np.subtract(1, cosines, out=cosines)


def _unblocked(arrays: Arrays, rows: Int64Array | slice) -> UInt8Array:
    if isinstance(rows, slice):
        rows = np.arange(rows.start, rows.stop)
    return codes_of(arrays["blocks"], rows)
