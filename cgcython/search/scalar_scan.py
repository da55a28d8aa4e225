"""A scan of turned scalar codes."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from math import sqrt
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from cgcython import kernels
from cgcython.arrays import as_vector
from cgcython.base import QuantizationMethod
from cgcython.codecs.row_settings import BITS
from cgcython.codecs.scalar import are_scales, padding_is_zero, scalar_bytes
from cgcython.frames import SectionMatrix
from cgcython.records import QuantizedBatch, QuantizedEmbedding
from cgcython.search.row_scan import CODES, ONE_EACH, RowScan, code_matrix, require_inverses
from cgcython.search.scan import ROWS, Embedding, FindCodebook, Forms, GraphSpace, invalid
from cgcython.tensors import ArrayForm, Malformed
from cgcython.types import (
    Array,
    BoolArray,
    Float32Array,
    Float64Array,
    Int8Array,
    Int16Array,
    Int64Array,
    UInt8Array,
)


class PackedQuery(NamedTuple):
    """A query in whole numbers, their sum, and what their products with rows are times."""

    numbers: Int16Array
    total: int
    factor: float

    @classmethod
    def of(cls, query: Float32Array, bits: int, metric: str) -> "PackedQuery":
        """Return a query as codes of some bits meet it, for `cosine` or for `dot`."""
        room = np.empty(kernels.scalars.scratch(len(query)), np.float32)
        numbers = np.empty(kernels.scalars.packed_size(len(query), bits), np.int16)
        total, squares, unit = kernels.scalars.pack_query(query, bits, room, numbers)
        if metric == "dot":
            return cls(numbers, total, unit)
        return cls(numbers, total, 1 / sqrt(squares) if squares else 0.0)


def inverse_norms_of(codes: UInt8Array, scales: Array, dim: int, bits: int) -> Float32Array:
    """Return one over the length of each row's levels, 0 for rows of zeros."""
    inverse_norms = np.empty(len(codes), np.float32)
    kernels.scalars.inverse_norms(codes, bits, dim, inverse_norms)
    inverse_norms[scales == 0] = 0
    return inverse_norms


def level_sizes(scales: Array, powers: Int8Array, bits: int) -> Float64Array:
    """Return what a level of each row is worth."""
    sizes: Float64Array = np.ldexp(scales.astype(np.float64), powers.astype(np.int32) - bits)
    return sizes


class ScalarScan(RowScan):
    """Scalar codes, scored as they are; `inverse_norms` are those of levels, without scales."""

    method, name = QuantizationMethod.SCALAR, "scalar"
    kept: ClassVar[Forms] = {
        "codes": CODES,
        "scales": ArrayForm("F16", (ROWS,)),
        "powers": ArrayForm("I8", (ROWS,)),
        "inverse_norms": ONE_EACH,
    }
    is_fixed_length, shared_fields = True, 1

    def __init__(
        self,
        codes: UInt8Array,
        scales: Array,
        powers: Int8Array,
        dim: int,
        bits: int,
        inverse_norms: Float32Array | None = None,
    ) -> None:
        """`codes` are u8 [rows, bytes], `scales` f16 [rows], `powers` i8 [rows].

        Lengths are measured unless given.
        """
        if inverse_norms is None:
            inverse_norms = inverse_norms_of(codes, scales, dim, bits)
        self.codes, self.scales, self.powers = codes, scales, powers
        self.inverse_norms, self.dim, self.bits = inverse_norms, dim, bits

    @classmethod
    def shared_by(cls, quantized: QuantizedEmbedding) -> tuple[int, int]:
        return quantized.original_dim, quantized.metadata.bits

    @classmethod
    def of(cls, quantized: Sequence[QuantizedEmbedding], find_codebook: FindCodebook) -> Self:
        dim, bits = cls.shared_by(quantized[0])
        codes = code_matrix(quantized, scalar_bytes(dim, bits))
        scales = np.array([one.metadata.scale for one in quantized], np.float16)
        powers = np.array([one.metadata.power for one in quantized], np.int8)
        if not padding_is_zero(codes, dim, bits):
            raise invalid(quantized, "padding bits are set")
        if not are_scales(scales):
            raise invalid(quantized, "a scale is negative or not finite")
        return cls(codes, scales, powers, dim, bits)

    @classmethod
    def of_sections(
        cls, first: QuantizedEmbedding, sections: SectionMatrix, find_codebook: FindCodebook
    ) -> Self | None:
        dim, bits = cls.shared_by(first)
        codes, scales = np.ascontiguousarray(sections.data), sections.fields["scale"].copy()
        if not (padding_is_zero(codes, dim, bits) and are_scales(scales)):
            return None
        return cls(codes, scales, sections.fields["power"].copy(), dim, bits)

    @classmethod
    def of_batch(cls, batch: QuantizedBatch, find_codebook: FindCodebook) -> Self | None:
        dim, bits = batch.original_dim, batch.shared["bits"]
        codes, scales = batch.columns["codes"], batch.columns["scales"]
        if bits not in BITS or codes.shape[1] != scalar_bytes(dim, bits):
            return None
        if not (padding_is_zero(codes, dim, bits) and are_scales(scales)):
            return None
        return cls(codes, scales, batch.columns["powers"], dim, bits)

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, Array], shared: tuple[Any, ...], find_codebook: FindCodebook
    ) -> Self:
        dim, bits = shared
        known = type(bits) is int and bits in BITS
        if not known or arrays["codes"].shape[1] != scalar_bytes(dim, bits):
            raise Malformed(f"its codes are not those of {dim} values of {bits} bits")
        require_inverses(arrays["inverse_norms"])
        return cls(**arrays, dim=dim, bits=bits)

    def with_arrays(self, arrays: Mapping[str, Array]) -> Self:
        return type(self)(**arrays, dim=self.dim, bits=self.bits)

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def shared(self) -> tuple[int, int]:
        return self.dim, self.bits

    def graph_space(self) -> GraphSpace:
        return GraphSpace(False, self.dim)

    def vectors(self, rows: Int64Array) -> Float32Array:
        values = np.empty((len(rows), self.dim), np.float32)
        scales, powers = self.scales[rows].astype(np.float32), self.powers[rows]
        kernels.scalars.decode_rows(self.codes[rows], self.bits, scales, powers, values)
        return values

    def vector(self, query: Embedding) -> Float32Array:
        return as_vector(query, self.dim)

    def _nonzero(self) -> BoolArray:
        return self.inverse_norms > 0

    def _prepare(self, query: Embedding, metric: str) -> PackedQuery:
        return PackedQuery.of(as_vector(query, self.dim), self.bits, metric)

    def _score(self, query: PackedQuery, metric: str, rows: slice, out: Float32Array) -> None:
        factors = self.inverse_norms if metric == "cosine" else self._level_sizes
        kernels.scalars.score_rows(
            *query, self.codes[rows], self.bits, self.dim, factors[rows], out
        )

    @cached_property
    def _level_sizes(self) -> Float32Array:
        sizes = level_sizes(self.scales, self.powers, self.bits)
        return np.minimum(sizes, np.finfo(np.float32).max).astype(np.float32)
