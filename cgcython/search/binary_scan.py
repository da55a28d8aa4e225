"""A scan of sign bits."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from cgcython import kernels
from cgcython.base import QuantizationMethod
from cgcython.codecs.binary import BinaryCodec
from cgcython.frames import SectionMatrix
from cgcython.metadata import to_float32
from cgcython.records import QuantizedBatch, QuantizedEmbedding
from cgcython.search.row_scan import CODES, RowScan, code_matrix
from cgcython.search.scan import Embedding, FindCodebook, Forms, GraphSpace, invalid
from cgcython.tensors import Malformed
from cgcython.types import Array, Float32Array, Int64Array, UInt8Array


class BinaryScan(RowScan):
    """Sign bits; the score is the part of bits that agree, whatever the metric."""

    method, name = QuantizationMethod.BINARY, "binary"
    kept: ClassVar[Forms] = {"codes": CODES}
    is_fixed_length, shared_fields = True, 1

    def __init__(self, codes: UInt8Array, codec: BinaryCodec) -> None:
        """`codes` are u8 [rows, bytes], packed as the codec packs a query."""
        self.codes, self.codec = codes, codec

    @classmethod
    def shared_by(cls, quantized: QuantizedEmbedding) -> tuple[int, float]:
        return quantized.original_dim, quantized.metadata.threshold

    @classmethod
    def of(cls, quantized: Sequence[QuantizedEmbedding], find_codebook: FindCodebook) -> Self:
        codec = BinaryCodec(*cls.shared_by(quantized[0]))
        codes = code_matrix(quantized, codec.expected_size())
        if not kernels.bits.padding_is_zero(codes, codec.dim):
            raise invalid(quantized, "its padding bits are not zero")
        return cls(codes, codec)

    @classmethod
    def of_sections(
        cls, first: QuantizedEmbedding, sections: SectionMatrix, find_codebook: FindCodebook
    ) -> Self | None:
        codes = np.ascontiguousarray(sections.data)
        if not kernels.bits.padding_is_zero(codes, first.original_dim):
            return None
        return cls(codes, BinaryCodec(*cls.shared_by(first)))

    @classmethod
    def of_batch(cls, batch: QuantizedBatch, find_codebook: FindCodebook) -> Self | None:
        codec = BinaryCodec(batch.original_dim, to_float32(batch.shared["threshold"]))
        codes = batch.columns["codes"]
        is_sound = kernels.bits.padding_is_zero(codes, codec.dim)
        return cls(codes, codec) if is_sound else None

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, Array], shared: tuple[Any, ...], find_codebook: FindCodebook
    ) -> Self:
        codec = BinaryCodec(*shared)
        if arrays["codes"].shape[1] != codec.expected_size():
            raise Malformed(f"its codes are not those of {codec.dim} values")
        return cls(**arrays, codec=codec)

    def with_arrays(self, arrays: Mapping[str, Array]) -> Self:
        return type(self)(**arrays, codec=self.codec)

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def shared(self) -> tuple[int, float]:
        return self.codec.dim, self.codec.threshold

    def graph_space(self) -> GraphSpace:
        return GraphSpace(True, *self.shared)

    def vectors(self, rows: Int64Array) -> UInt8Array:
        return self.codes[rows]

    def vector(self, query: Embedding) -> UInt8Array:
        return self._prepare(query, "cosine")

    def similarities(self, query: Embedding, stored: Embedding) -> Float32Array:
        return self.scores(query)  # a query is compared as it would be stored, always

    def _prepare(self, query: Embedding, metric: str) -> UInt8Array:
        return np.frombuffer(self.codec.encode(query).data, np.uint8)

    def _score(self, query: UInt8Array, metric: str, rows: slice, out: Float32Array) -> None:
        kernels.bits.agreement_rows(query, self.codes[rows], self.codec.dim, out)
