"""Binary: one bit per value, most significant first."""

import math
import struct
from dataclasses import dataclass, field
from itertools import repeat
from typing import ClassVar

import numpy as np

from cgcython import kernels
from cgcython.arrays import as_matrix, as_vector, unmasked
from cgcython.base import QuantizationMethod
from cgcython.codecs.base import Codec, InputKind
from cgcython.codecs.checks import (
    Column,
    invalid,
    output,
    output_columns,
    require_columns,
    require_dim,
    require_finite_rows,
    require_kind,
    require_row,
    require_rows,
    shared_float,
)
from cgcython.codecs.framing import Payloads, of_codes
from cgcython.codecs.row_settings import THRESHOLD
from cgcython.codecs.rows import embeddings_of, payloads
from cgcython.errors import DimensionMismatch, InvalidInput
from cgcython.frames import Layout
from cgcython.metadata import BinaryMetadata, to_float32
from cgcython.parallel import split_rows
from cgcython.records import QuantizedBatch, QuantizedEmbedding, as_bytes
from cgcython.tensors import ArrayForm
from cgcython.types import ArrayLike, BytesLike, Float32Array, UInt8Array


def _bytes_of(dim: int, metadata: object = None) -> int:
    return (dim + 7) // 8


def _wrong(dim: int, metadata: BinaryMetadata, data: BytesLike) -> str | None:
    threshold = metadata.threshold
    return None if math.isfinite(threshold) else f"threshold is {threshold}"


@dataclass(frozen=True)
class BinaryCodec(Codec):
    """Bits that say where a value reaches the threshold; they decode to +1 and -1.

    The loss, 1 - cosine, only informs: sign codes are judged by Hamming recall. Batches have the
    column `codes` [n, bytes] u8.
    """

    dim: int
    threshold: float = 0.0
    _metadata: BinaryMetadata = field(init=False, repr=False, compare=False)
    _size: int = field(init=False, repr=False, compare=False)
    _padding: int = field(init=False, repr=False, compare=False)

    method = QuantizationMethod.BINARY
    layouts = (Layout.of(2, method, BinaryMetadata, "<f", size=_bytes_of, wrong=_wrong),)
    inputs = InputKind.DENSE
    columns: ClassVar = {"codes": ArrayForm("U8", ("rows", "bits"))}
    shared = ("threshold",)
    ratio, max_loss = 32.0, 0.10
    settings = ("threshold",)
    row_settings = THRESHOLD

    def __post_init__(self) -> None:
        threshold = _finite(self.threshold)
        object.__setattr__(self, "dim", require_dim(self.dim))
        object.__setattr__(self, "threshold", threshold)
        object.__setattr__(self, "_metadata", BinaryMetadata(threshold))
        object.__setattr__(self, "_size", _bytes_of(self.dim))
        object.__setattr__(self, "_padding", (1 << -self.dim % 8) - 1)

    def encode(self, values: ArrayLike) -> QuantizedEmbedding:
        """Return the quantized embedding of `dim` values.

        >>> BinaryCodec(dim=9).encode([1, -1, 0, 0, 0, 0, -1, -1, 1]).data.hex()
        'bc80'
        """
        data = kernels.bits.pack_vector(values, self.dim, self.threshold) or self._converted(values)
        return QuantizedEmbedding(self.method, self.dim, data, self._metadata)

    def decode(
        self, quantized: QuantizedEmbedding, out: Float32Array | None = None
    ) -> Float32Array:
        """Return +1 where a bit is set and -1 where it is not."""
        require_kind(quantized, self, BinaryMetadata, self._size)
        data = quantized.data
        if self._padding and data[-1] & self._padding:
            raise invalid(self, "padding bits are set")
        values = kernels.bits.unpack_vector(data, self.dim, out)
        return output(out, (self.dim,)) if values is None else values

    def encode_batch(
        self, values: ArrayLike, num_threads: int = 1, out: QuantizedBatch | None = None
    ) -> QuantizedBatch:
        """Return the batch of a matrix [n, dim]; `out` is a batch whose columns may be reused."""
        matrix = as_matrix(values, self.dim, finite=False)
        (codes,) = output_columns(out, self, **self._columns(len(matrix)))

        def encode(start: int, stop: int) -> None:
            rows = slice(start, stop)
            first = kernels.bits.pack_rows(matrix[rows], self.threshold, codes[rows])
            require_finite_rows(first, matrix[rows], start)

        split_rows(encode, len(matrix), num_threads)
        shared = {"threshold": self.threshold}
        return QuantizedBatch(self.method, self.dim, {"codes": codes}, shared)

    def decode_batch(
        self, batch: QuantizedBatch, num_threads: int = 1, out: Float32Array | None = None
    ) -> Float32Array:
        """Return the values of a batch as a matrix [n, dim] of +1 and -1."""
        codes = self._codes_of(batch)
        rows = len(codes)
        if not kernels.bits.padding_is_zero(codes, self.dim):
            raise invalid(self, "padding bits are set")
        values = output(out, (rows, self.dim))

        def decode(start: int, stop: int) -> None:
            kernels.bits.unpack_rows(codes[start:stop], values[start:stop])

        split_rows(decode, rows, num_threads)
        return values

    def row(self, batch: QuantizedBatch, i: int) -> QuantizedEmbedding:
        """Return row i of a batch as a quantized embedding."""
        i, codes = require_row(batch, self, i), self._codes_of(batch)
        metadata = BinaryMetadata(shared_float(batch, self, "threshold"))
        return QuantizedEmbedding(self.method, self.dim, codes[i].tobytes(), metadata)

    def rows(self, batch: QuantizedBatch) -> list[QuantizedEmbedding]:
        """Return all rows of a batch as quantized embeddings."""
        codes = self._codes_of(batch)
        metadata = BinaryMetadata(shared_float(batch, self, "threshold"))
        return embeddings_of(self, payloads(codes), repeat(metadata))

    def payloads(self, batch: QuantizedBatch) -> Payloads | None:
        """Return what sections hold of a batch; None where the threshold is not finite."""
        codes, threshold = self._codes_of(batch), shared_float(batch, self, "threshold")
        if not math.isfinite(threshold):
            return None
        return of_codes(self.layouts[0], self.dim, {"threshold": threshold}, codes)

    def expected_size(self, count: int | None = None) -> int:
        """Return the bytes of one embedding: one per eight values."""
        return self._size

    def _converted(self, values: ArrayLike) -> bytes:
        """Return the bits of what is no float32 array yet, or say what is wrong with it."""
        data = kernels.bits.pack_vector(as_vector(values, self.dim), self.dim, self.threshold)
        assert data is not None  # as_vector returns what the kernel takes
        return data

    def _codes_of(self, batch: QuantizedBatch) -> UInt8Array:
        rows = require_rows(batch, self)
        return require_columns(batch, self, **self._columns(rows))[0]

    def _columns(self, rows: int) -> dict[str, Column]:
        return {"codes": ((rows, self._size), np.uint8)}


def _finite(threshold: float) -> float:
    try:
        number = to_float32(threshold)
    except struct.error:
        number = math.nan
    if not math.isfinite(number):
        raise InvalidInput(what="threshold", expected="a finite number", actual=threshold)
    return number


def hamming_distance(a: BytesLike, b: BytesLike) -> int:
    """Return the number of bits in which two codes differ.

    >>> hamming_distance(b"\x0f", b"\x1e")
    2
    """
    try:
        return kernels.bits.hamming(a, b)
    except (BufferError, TypeError, ValueError):
        left, right = as_bytes(unmasked(a, "a")), as_bytes(unmasked(b, "b"))
    if len(left) != len(right):
        raise DimensionMismatch(expected=len(left), actual=len(right), what="bytes")
    return kernels.bits.hamming(left, right)


def binary_similarity(a: BytesLike, b: BytesLike, num_bits: int) -> float:
    """Return 1 - distance / num_bits; the padding bits of the last byte do not count.

    >>> binary_similarity(bytes([0xF0]), bytes([0xE7]), 4)
    0.75
    """
    distance = hamming_distance(a, b)
    left, right = as_bytes(a), as_bytes(b)
    if (
        not isinstance(num_bits, (int, np.integer))
        or num_bits < 1
        or (num_bits + 7) // 8 != len(left)
    ):
        raise DimensionMismatch(expected=len(left) * 8, actual=num_bits, what="bits")
    padding = (1 << -num_bits % 8) - 1
    return 1 - (distance - ((left[-1] ^ right[-1]) & padding).bit_count()) / num_bits
