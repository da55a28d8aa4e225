"""Scans of documents of tokens, in every layout they are stored in."""

from collections.abc import Sequence
from functools import cached_property, partial
from typing import ClassVar, Self

import numpy as np

from cgcython import kernels
from cgcython.arrays import as_tokens
from cgcython.base import QuantizationMethod
from cgcython.codecs.token_layouts import BITS, scale_bytes
from cgcython.codecs.token_pruning import TokenPruningCodec
from cgcython.records import QuantizedBatch, QuantizedEmbedding
from cgcython.search.chained import concatenated
from cgcython.search.document_scan import SELECTIVE, SPANS, TOKENS, DocumentScan
from cgcython.search.scan import DIM, Best, Embedding, FindCodebook, Forms, invalid
from cgcython.search.token_columns import checked_columns, codes_of, first_codes, scales_of
from cgcython.search.token_passes import CodeBytes, Pass, off_in_8_bits, off_in_bytes
from cgcython.similarity import PreparedQuery
from cgcython.tensors import ArrayForm, Malformed
from cgcython.token_array import TokenArray
from cgcython.types import (
    BoolArray,
    Float32Array,
    Int8Array,
    Int64Array,
    UInt8Array,
)

WIDEST = 4096  # values of a token that is read as bytes


class E4M3TokenScan(DocumentScan):
    """Tokens as E4M3 codes, without their scales, on which no cosine depends."""

    method, name = QuantizationMethod.TOKEN_PRUNING, "tokens_e4m3"
    layouts = ("compact_e4m3",)
    kept: ClassVar[Forms] = {"values": ArrayForm("U8", ("codes",)), **SPANS}

    @classmethod
    def of(cls, quantized: Sequence[QuantizedEmbedding], find_codebook: FindCodebook) -> Self:
        dim = quantized[0].original_dim
        for one in quantized:
            TokenPruningCodec(dim).positions(one)
        data, offsets = concatenated(quantized)
        originals, counts = _token_counts(quantized)
        # The bitmap of kept positions and a scale per token stand before the codes.
        return cls(data, offsets[:-1] + (originals + 7) // 8 + 4 * counts, counts, dim).packed()

    @classmethod
    def of_batch(cls, batch: QuantizedBatch, find_codebook: FindCodebook) -> Self | None:
        found = checked_columns(batch)
        if found is None:
            return None
        return cls(found.data, first_codes(found), found.kept, batch.original_dim)

    def _coded(self, tokens: Float32Array) -> Float32Array:
        codec = TokenPruningCodec(self.dim, 1.0, layout="compact_e4m3")
        return codec.decode(codec.encode(tokens))

    def _nonzero(self) -> BoolArray:
        spans = zip(self.starts, self.starts + self.counts * self.dim)
        return np.array([np.any(self.values[a:b] & 0x7F) for a, b in spans], bool)

    def _sum(
        self, query: PreparedQuery, starts: Int64Array, counts: Int64Array, sums: Float32Array
    ) -> None:
        kernels.maxsim.score_codes(query.packed, query.count, self.values, starts, counts, sums)

    @property
    def tokens(self) -> TokenArray:
        own = self._lying_together
        return self._tokens(own.values.reshape(-1, self.dim), "e4m3", own.starts // self.dim)

    @cached_property
    def _lying_together(self) -> Self:
        """The scan with nothing but tokens in its values, as shards do not have them."""
        apart = len(self.values) % self.dim or np.any(self.starts % self.dim)
        return self.packed() if apart else self

    def best_of(self, rows: Int64Array, query: Embedding, k: int, num_threads: int = 1) -> Best:
        if k * SELECTIVE > len(rows) or not kernels.maxsim_codes.pays():
            return super().best_of(rows, query, k, num_threads)
        return super(E4M3TokenScan, self._lying_together).best_of(rows, query, k, num_threads)

    def _require_sound(self) -> None:
        super()._require_sound()
        if len(self.values) % self.dim or np.any(self.starts % self.dim):
            raise Malformed(f"its documents are not of tokens of {self.dim} codes")

    def _passes(self, query: PreparedQuery) -> list[Pass]:
        if not kernels.maxsim_codes.pays() or self.dim > WIDEST:
            return []
        codes, packed, count = self.tokens.values, query.integers, query.count
        norms, distances = self._bytes

        def score(starts: Int64Array, counts: Int64Array, sums: Float32Array) -> None:
            starts = starts // self.dim
            kernels.maxsim_codes.score(packed, count, codes, norms, starts, counts, sums)

        return [Pass(score, distances + np.float32(off_in_bytes(query)), count)]

    @cached_property
    def _bytes(self) -> CodeBytes:
        return CodeBytes.of(self.tokens)


class IntegerTokenScan(DocumentScan):
    """Tokens of 4 or 2 bits a value, scored as they are; scales are kept as inverse lengths.

    Queries are scored with up to 15 bits a value, so scores are those of what the codes decode to
    within sqrt(dim) / 65024: 0.0002 for 128 values.
    """

    method, name = QuantizationMethod.TOKEN_PRUNING, "tokens_turned"
    layouts = tuple(BITS)
    kept: ClassVar[Forms] = {
        "values": ArrayForm("U8", (TOKENS, "bytes of a token")),
        "norms": ArrayForm("F32", (TOKENS,)),
        **SPANS,
    }

    def __init__(
        self,
        values: UInt8Array,
        norms: Float32Array,
        starts: Int64Array,
        counts: Int64Array,
        dim: int,
        bits: int,
    ) -> None:
        super().__init__(values, starts, counts, dim)
        self.norms, self.bits = norms, bits

    @property
    def shared(self) -> tuple[int, int]:
        return self.dim, self.bits

    def _require_sound(self) -> None:
        super()._require_sound()
        width = (self.dim * self.bits + 7) // 8
        known = type(self.bits) is int and self.bits in BITS.values()
        if not known or self.values.shape[1] != width:
            raise Malformed(f"its tokens are not those of {self.dim} values of {self.bits} bits")

    @classmethod
    def shared_by(cls, quantized: QuantizedEmbedding) -> tuple[int, int]:
        return quantized.original_dim, BITS[quantized.metadata.layout]

    @classmethod
    def of(cls, quantized: Sequence[QuantizedEmbedding], find_codebook: FindCodebook) -> Self:
        (dim, bits), counts = cls.shared_by(quantized[0]), _token_counts(quantized)[1]
        parts = [_scales_and_codes(one, dim) for one in quantized]
        scales = np.concatenate([scale for scale, _ in parts])
        codes = np.concatenate([code for _, code in parts]).reshape(-1, (dim * bits + 7) // 8)
        found = cls._of_codes(codes, scales, counts, dim, bits)
        if found is None:
            raise invalid(quantized, "a scale or padding is not as an encoder writes it")
        return found

    @classmethod
    def of_batch(cls, batch: QuantizedBatch, find_codebook: FindCodebook) -> Self | None:
        columns, dim = checked_columns(batch), batch.original_dim
        if columns is None:
            return None
        bits = BITS[batch.shared["layout"]]
        codes = codes_of(columns, (dim * bits + 7) // 8)
        return cls._of_codes(codes, scales_of(columns), columns.kept, dim, bits)

    @classmethod
    def _of_codes(
        cls, codes: UInt8Array, scales: Float32Array, counts: Int64Array, dim: int, bits: int
    ) -> Self | None:
        """Return the scan of codes; None where one, or a scale, is not as an encoder writes it."""
        used = dim * bits % 8
        if not np.all((scales >= 0) & np.isfinite(scales)) or (
            used and np.any(codes[:, -1] >> used)
        ):
            return None
        norms = np.empty(len(codes), np.float32)
        kernels.maxsim_integers.inverse_norms(codes, bits, dim, scales, norms)
        return cls(codes, norms, np.cumsum(counts) - counts, counts, dim, bits)

    def _coded(self, tokens: Float32Array) -> Float32Array:
        codec = TokenPruningCodec(self.dim, 1.0, layout=f"compact_int{self.bits}")
        return codec.decode(codec.encode(tokens))

    @property
    def tokens(self) -> TokenArray:
        return self._tokens(self.values, f"int{self.bits}", self.starts)

    def _prepare(self, query: Embedding, metric: str) -> PreparedQuery:
        return PreparedQuery.of(as_tokens(query, self.dim), fine=True)

    def _nonzero(self) -> BoolArray:
        spans = zip(self.starts, self.starts + self.counts)
        return np.array([np.any(np.isfinite(self.norms[a:b])) for a, b in spans], bool)

    def _sum(
        self, query: PreparedQuery, starts: Int64Array, counts: Int64Array, sums: Float32Array
    ) -> None:
        self._sum_products(query.hadamard_integers, query.count, starts, counts, sums)

    def _sum_products(
        self,
        packed: Int8Array,
        count: int,
        starts: Int64Array,
        counts: Int64Array,
        sums: Float32Array,
    ) -> None:
        kernels.maxsim_integers.score(
            packed, count, self.values, self.bits, self.norms, starts, counts, sums
        )

    def _passes(self, query: PreparedQuery) -> list[Pass]:
        if not kernels.maxsim_screen.pays():
            return []
        fine, coarse = query.hadamard_integers, PreparedQuery(query.tokens).hadamard_integers
        off, count = off_in_8_bits(fine, coarse, query), query.count
        return [Pass(partial(self._sum_products, coarse, count), off, count)]


class Float32TokenScan(DocumentScan):
    """Tokens as float32 rows."""

    method, name = QuantizationMethod.TOKEN_PRUNING, "tokens_f32"
    layouts = ("canonical", "compact_f32")
    kept: ClassVar[Forms] = {"values": ArrayForm("F32", (TOKENS, DIM)), **SPANS}

    def __init__(
        self,
        values: Float32Array,
        starts: Int64Array,
        counts: Int64Array,
        dim: int,
        norms: Float32Array | None = None,
    ) -> None:
        """`norms` f32 [tokens] are inverse lengths, measured unless given."""
        super().__init__(values, starts, counts, dim)
        if norms is None:
            norms = np.empty(len(values), np.float32)
            kernels.maxsim.inverse_norms(values, norms)
        self.norms = norms

    @classmethod
    def of(cls, quantized: Sequence[QuantizedEmbedding], find_codebook: FindCodebook) -> Self:
        dim = quantized[0].original_dim
        rows = [TokenPruningCodec(dim).decode(one) for one in quantized]
        counts = _token_counts(quantized)[1]
        return cls(np.concatenate(rows), np.cumsum(counts) - counts, counts, dim)

    @classmethod
    def of_batch(cls, batch: QuantizedBatch, find_codebook: FindCodebook) -> Self:
        tokens = TokenPruningCodec(batch.original_dim).decode_batch(batch)
        return cls(tokens.values, tokens.starts, tokens.counts, batch.original_dim)

    @property
    def tokens(self) -> TokenArray:
        return self._tokens(self.values, "float32", self.starts)

    def take(self, rows: Int64Array) -> Self:
        return type(self)(self.values, self.starts[rows], self.counts[rows], self.dim, self.norms)

    def _nonzero(self) -> BoolArray:
        spans = zip(self.starts, self.starts + self.counts)
        return np.array([np.any(self.values[a:b]) for a, b in spans], bool)

    def _sum(
        self, query: PreparedQuery, starts: Int64Array, counts: Int64Array, sums: Float32Array
    ) -> None:
        packed, values = query.packed, self.values
        kernels.maxsim.score(packed, query.count, values, self.norms, starts, counts, sums)


def _scales_and_codes(quantized: QuantizedEmbedding, dim: int) -> tuple[Float32Array, UInt8Array]:
    """Return what lies behind the bitmap of kept positions, which is checked."""
    TokenPruningCodec(dim).positions(quantized)
    original, kept, _, layout = quantized.metadata
    each, head = scale_bytes(layout), (original + 7) // 8
    kind = np.float16 if each == 2 else np.float32
    scales = np.frombuffer(quantized.data, kind, kept, head).astype(np.float32)
    return scales, np.frombuffer(quantized.data, np.uint8, offset=head + each * kept)


def _token_counts(quantized: Sequence[QuantizedEmbedding]) -> Int64Array:
    """Return how many tokens each record's text had, and how many it keeps: i64 [2, n]."""
    counts = [(one.metadata.original_tokens, one.metadata.kept_tokens) for one in quantized]
    return np.array(counts, np.int64).T.copy()
