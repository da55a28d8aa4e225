"""Binary: one bit per value, most significant first."""

import math
import struct
from dataclasses import dataclass
from itertools import repeat

import numpy as np

from cgcython import kernels
from cgcython.arrays import as_matrix, as_vector
from cgcython.base import QuantizationMethod
from cgcython.codecs.base import (
    cosine_loss,
    invalid,
    output,
    output_columns,
    payloads,
    records_of,
    require_columns,
    require_finite_rows,
    require_kind,
)
from cgcython.errors import DimensionMismatch, InvalidInput
from cgcython.metadata import BinaryMetadata, to_float32
from cgcython.parallel import split_rows
from cgcython.records import QuantizedBatch, QuantizedEmbedding, as_bytes


@dataclass(frozen=True)
class BinaryCodec:
    """Bits that say where a value reaches the threshold; they decode to +1 and -1."""

    dim: int
    threshold: float = 0.0
    method = QuantizationMethod.BINARY

    def __post_init__(self):
        threshold = _finite(self.threshold)
        object.__setattr__(self, "threshold", threshold)
        object.__setattr__(self, "_metadata", BinaryMetadata(threshold))
        object.__setattr__(self, "_size", (self.dim + 7) // 8)
        object.__setattr__(self, "_padding", (1 << -self.dim % 8) - 1)

    def encode(self, values):
        """Return the record of one embedding.

        >>> BinaryCodec(dim=9).encode([1, -1, 0, 0, 0, 0, -1, -1, 1]).data.hex()
        'bc80'
        """
        data = kernels.bits.pack_vector(values, self.dim, self.threshold)
        if data is None:
            values = as_vector(values, self.dim)
            data = kernels.bits.pack_vector(values, self.dim, self.threshold)
        return QuantizedEmbedding(self.method, self.dim, data, self._metadata)

    def decode(self, quantized, out=None):
        """Return +1 where a bit is set and -1 where it is not."""
        require_kind(quantized, self, BinaryMetadata, self._size)
        data = quantized.data
        if self._padding and data[-1] & self._padding:
            raise invalid(self, "padding bits are set")
        values = kernels.bits.unpack_vector(data, self.dim, out)
        return output(out, (self.dim,)) if values is None else values

    def encode_batch(self, values, num_threads=1, out=None):
        """Return the batch of a matrix [n, dim]; `out` is a batch whose columns may be reused."""
        values = as_matrix(values, self.dim, finite=False)
        (codes,) = output_columns(out, self, **self._columns(len(values)))

        def encode(start, stop):
            rows = slice(start, stop)
            first = kernels.bits.pack_rows(values[rows], self.threshold, codes[rows])
            require_finite_rows(first, values[rows], start)

        split_rows(encode, len(values), num_threads)
        shared = {"threshold": self.threshold}
        return QuantizedBatch(self.method, self.dim, {"codes": codes}, shared)

    def decode_batch(self, batch, num_threads=1, out=None):
        """Return the values of a batch as a matrix [n, dim] of +1 and -1."""
        (codes,) = require_columns(batch, self, **self._columns(len(batch)))
        if not kernels.bits.padding_is_zero(codes, self.dim):
            raise invalid(self, "padding bits are set")
        values = output(out, (len(batch), self.dim))

        def decode(start, stop):
            kernels.bits.unpack_rows(codes[start:stop], values[start:stop])

        split_rows(decode, len(batch), num_threads)
        return values

    def row(self, batch, i):
        """Return row i of a batch as a record."""
        data, metadata = batch.columns["codes"][i].tobytes(), BinaryMetadata(**batch.shared)
        return QuantizedEmbedding(self.method, self.dim, data, metadata)

    def rows(self, batch):
        """Return all rows of a batch as records."""
        metadata = BinaryMetadata(**batch.shared)
        return records_of(self, payloads(batch.columns["codes"]), repeat(metadata))

    def expected_size(self, count=None):
        """Return the bytes of one record: one per eight values."""
        return self._size

    def loss(self, original, decoded):
        """Return 1 - cosine, which only informs: sign codes are judged by Hamming recall."""
        return cosine_loss(original, decoded)

    def _columns(self, rows):
        return {"codes": ((rows, self._size), np.uint8)}


def _finite(threshold):
    try:
        number = to_float32(threshold)
    except struct.error:
        number = math.nan
    if not math.isfinite(number):
        raise InvalidInput(what="threshold", expected="a finite number", actual=threshold)
    return number


def hamming_distance(a, b):
    """Return the number of bits in which two codes differ.

    >>> hamming_distance(b"\x0f", b"\x1e")
    2
    """
    try:
        return kernels.bits.hamming(a, b)
    except (BufferError, TypeError, ValueError):
        left, right = as_bytes(a), as_bytes(b)
    if len(left) != len(right):
        raise DimensionMismatch(expected=len(left), actual=len(right), what="bytes")
    return kernels.bits.hamming(left, right)


def binary_similarity(a, b, num_bits):
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
