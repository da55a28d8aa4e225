"""Scans of float8 codes."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from cgcython import kernels
from cgcython.arrays import as_vector
from cgcython.base import QuantizationMethod
from cgcython.checks import require_choice
from cgcython.frames import SectionMatrix
from cgcython.parallel import require_threads
from cgcython.records import QuantizedBatch, QuantizedEmbedding
from cgcython.search import float8_best
from cgcython.search.row_scan import ONE_EACH, RowScan, code_matrix, require_inverses
from cgcython.search.scan import (
    DIM,
    METRICS,
    ROWS,
    Best,
    Embedding,
    FindCodebook,
    Forms,
    GraphSpace,
    invalid,
)
from cgcython.search.vector_scan import VectorScan
from cgcython.tensors import ArrayForm
from cgcython.types import Array, BoolArray, Float32Array, Int64Array, UInt8Array

MOST_AT = 4096  # dimensions of rows that are scored where they lie
CHECKED = 1 << 17  # codes that are checked at a time


class Float8Scan(RowScan):
    """E4M3 codes, scored as they are.

    `inverse_norms` are those of the values without their scale, on which no cosine depends.
    """

    method, name = QuantizationMethod.FLOAT8_E4M3, "float8"
    kept: ClassVar[Forms] = {
        "codes": ArrayForm("U8", (ROWS, DIM)),
        "scales": ONE_EACH,
        "inverse_norms": ONE_EACH,
    }
    is_fixed_length = True

    def __init__(
        self, codes: UInt8Array, scales: Float32Array, inverse_norms: Float32Array | None = None
    ) -> None:
        """`codes` are u8 [rows, dim], `scales` f32 [rows]; lengths are measured unless given."""
        if inverse_norms is None:
            inverse_norms = np.empty(len(codes), np.float32)
            kernels.e4m3.inverse_norms(codes, inverse_norms)
        self.codes, self.scales, self.inverse_norms = codes, scales, inverse_norms

    @classmethod
    def holds(cls, quantized: QuantizedEmbedding) -> bool:
        return bool(quantized.metadata.bias == 0)

    @classmethod
    def of(cls, quantized: Sequence[QuantizedEmbedding], find_codebook: FindCodebook) -> Self:
        codes = code_matrix(quantized, quantized[0].original_dim)
        if _has_nan(codes):
            raise invalid(quantized, "a code is NaN")
        return cls(codes, np.array([one.metadata.scale for one in quantized], np.float32))

    @classmethod
    def of_sections(
        cls, first: QuantizedEmbedding, sections: SectionMatrix, find_codebook: FindCodebook
    ) -> Self | None:
        codes, scales = np.ascontiguousarray(sections.data), sections.fields["scale"].copy()
        if np.any(sections.fields["bias"]) or not np.isfinite(scales).all() or _has_nan(codes):
            return None
        return cls(codes, scales)

    @classmethod
    def of_batch(cls, batch: QuantizedBatch, find_codebook: FindCodebook) -> Self | None:
        codes, scales = batch.columns["codes"], batch.columns["scales"]
        return None if not np.isfinite(scales).all() or _has_nan(codes) else cls(codes, scales)

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, Array], shared: tuple[Any, ...], find_codebook: FindCodebook
    ) -> Self:
        require_inverses(arrays["inverse_norms"])
        return cls(**arrays)

    def with_arrays(self, arrays: Mapping[str, Array]) -> Self:
        return type(self)(**arrays)

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def shared(self) -> tuple[int]:
        return (self.codes.shape[1],)

    def graph_space(self) -> GraphSpace:
        return GraphSpace(False, self.codes.shape[1])

    def vectors(self, rows: Int64Array) -> Float32Array:
        values = np.empty((len(rows), self.codes.shape[1]), np.float32)
        kernels.e4m3.decode_rows(self.codes[rows], self.scales[rows], values)
        return values

    def vector(self, query: Embedding) -> Float32Array:
        return as_vector(query, self.codes.shape[1])

    def best(self, query: Embedding, k: int, metric: str = "cosine", num_threads: int = 1) -> Best:
        codes = self._codes(metric)
        if not float8_best.pays(*codes.shape, k):
            return super().best(query, k, metric, num_threads)
        prepared, threads = self._prepare(query, metric), require_threads(num_threads)
        return Best(*float8_best.best_of(prepared, codes, k, threads), len(self))

    def best_many(
        self, queries: Sequence[Embedding], k: int, metric: str = "cosine", num_threads: int = 1
    ) -> list[Best]:
        codes = self._codes(metric)
        if not float8_best.pays(*codes.shape, k) or not len(queries):
            return super().best_many(queries, k, metric, num_threads)
        prepared = np.stack([self._prepare(query, metric) for query in queries])
        found = float8_best.best_of_many(prepared, codes, k, require_threads(num_threads))
        return [Best(*one, len(self)) for one in found]

    def scores_of(self, rows: Int64Array, query: Embedding, metric: str = "cosine") -> Float32Array:
        if metric != "cosine" or self.codes.shape[1] > MOST_AT:
            return super().scores_of(rows, query, metric)
        out = np.empty(len(rows), np.float32)
        prepared = self._prepare(query, metric)
        kernels.e4m3.cosine_rows_at(prepared, self.codes, self.inverse_norms, rows, out)
        return out

    def _codes(self, metric: str) -> float8_best.Codes:
        require_choice(metric, "metric", METRICS)
        scales = self.scales if metric == "dot" else None
        return float8_best.Codes(self.codes, self.inverse_norms, scales)

    def _nonzero(self) -> BoolArray:
        return self.inverse_norms > 0

    def _prepare(self, query: Embedding, metric: str) -> Float32Array:
        return as_vector(query, self.codes.shape[1])

    def _score(self, query: Float32Array, metric: str, rows: slice, out: Float32Array) -> None:
        if metric == "dot":
            kernels.e4m3.dot_rows(query, self.codes[rows], self.scales[rows], out)
        else:
            kernels.e4m3.cosine_rows(query, self.codes[rows], self.inverse_norms[rows], out)


class BiasedFloat8Scan(VectorScan):
    """Decoded float8 codes with a bias, which this package reads but never writes."""

    method = QuantizationMethod.FLOAT8_E4M3

    @classmethod
    def holds(cls, quantized: QuantizedEmbedding) -> bool:
        return bool(quantized.metadata.bias != 0)


def _has_nan(codes: UInt8Array) -> bool:
    """Return whether a code is NaN; what is made of some rows at a time stays in the cache."""
    step = max(1, CHECKED // max(1, codes.shape[1]))
    parts = (codes[start : start + step] for start in range(0, len(codes), step))
    return any(bool(np.any(one & 0x7F == 0x7F)) for one in parts)
