"""Scalar: turned values coded evenly in 8, 6, 4 or 2 bits, one scale per embedding, untrained."""

from dataclasses import dataclass
from itertools import repeat
from math import isfinite
from typing import ClassVar, Final

import numpy as np

from cgcython import kernels
from cgcython.arrays import as_matrix, as_vector
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
)
from cgcython.codecs.framing import Payloads, of_codes
from cgcython.codecs.row_settings import BITS, SCALAR, require_bits
from cgcython.codecs.rows import embeddings_of, payloads, tuples_of
from cgcython.frames import Layout
from cgcython.metadata import ScalarMetadata
from cgcython.parallel import split_rows
from cgcython.records import QuantizedBatch, QuantizedEmbedding
from cgcython.tensors import ArrayForm
from cgcython.types import Array, ArrayLike, BytesLike, Float32Array, UInt8Array

LARGEST: Final = float(np.finfo(np.float16).max)


def scalar_bytes(dim: int, bits: int) -> int:
    """Return the bytes of an embedding's codes.

    >>> scalar_bytes(384, 6), scalar_bytes(5, 2)
    (288, 2)
    """
    return (dim * bits + 7) // 8


def padding_is_zero(codes: UInt8Array, dim: int, bits: int) -> bool:
    """Return whether no bit of codes [n, bytes] is set that belongs to no value."""
    if bits == 6:  # the last values, fewer than four, have a byte each
        padded, used = dim % 4, 6
    else:
        used = dim * bits % 8
        padded = 1 if used else 0
    return not np.any(codes[:, codes.shape[1] - padded :] >> used)


def _size(dim: int, metadata: ScalarMetadata) -> int:
    return scalar_bytes(dim, metadata.bits)


def _wrong(dim: int, metadata: ScalarMetadata, data: BytesLike) -> str | None:
    bits, scale = metadata[:2]
    if bits not in BITS:
        return f"bits is {bits}"
    return None if isfinite(scale) and scale >= 0 else f"scale is {scale}"


@dataclass(frozen=True)
class ScalarCodec(Codec):
    """Codes of 8, 6, 4 or 2 bits of the values of an embedding once it is rotated.

    The rotation spreads each value over all, so that even steps suit any embedding and nothing is
    trained. Batches have the columns `codes` [n, ceil(dim * bits / 8)] u8, `scales` [n] f16 and
    `powers` [n] i8: a scale is times two to its power, which is 0 unless f16 cannot hold it.
    """

    dim: int
    bits: int = 8

    method = QuantizationMethod.SCALAR
    layouts = (Layout.of(16, method, ScalarMetadata, "<Beb", size=_size, wrong=_wrong),)
    inputs = InputKind.DENSE
    columns: ClassVar = {
        "codes": ArrayForm("U8", ("rows", "bytes of codes")),
        "scales": ArrayForm("F16", ("rows",)),
        "powers": ArrayForm("I8", ("rows",)),
    }
    shared = ("bits",)
    ratio, max_loss = 4.0, 0.003
    settings = ("bits",)
    row_settings = SCALAR

    def __post_init__(self) -> None:
        object.__setattr__(self, "dim", require_dim(self.dim))
        object.__setattr__(self, "bits", require_bits(self.bits, "bits"))

    def encode(self, values: ArrayLike) -> QuantizedEmbedding:
        """Return the quantized embedding of `dim` values.

        >>> ScalarCodec(dim=2, bits=8).encode([1.0, -0.5]).data.hex()
        'ffaa'
        """
        found = kernels.scalars.encode_vector(values, self.dim, self.bits)
        if found is None:
            return self.row(self.encode_batch(as_vector(values, self.dim)[None]), 0)
        data, scale, power = found
        metadata = tuple.__new__(ScalarMetadata, (self.bits, scale, power))
        return QuantizedEmbedding(self.method, self.dim, data, metadata)

    def decode(
        self, quantized: QuantizedEmbedding, out: Float32Array | None = None
    ) -> Float32Array:
        """Return the values of codes of any bits, rotated back; at most the largest float32."""
        require_kind(quantized, self, ScalarMetadata)
        data, (bits, scale, power) = quantized.data, quantized.metadata
        self._require_codes(np.frombuffer(data, np.uint8)[None], bits)
        if not (_is_scale(scale) and _is_whole(power) and -128 <= power <= 127):
            raise invalid(self, f"scale is {scale} and power {power}")
        values = kernels.scalars.decode_vector(data, self.dim, bits, scale, power, out)
        return output(out, (self.dim,)) if values is None else values

    def encode_batch(
        self, values: ArrayLike, num_threads: int = 1, out: QuantizedBatch | None = None
    ) -> QuantizedBatch:
        """Return the batch of a matrix [n, dim]; `out` is a batch whose columns may be reused."""
        matrix = as_matrix(values, self.dim, finite=False)
        columns = self._columns(len(matrix), self.bits)
        codes, scales, powers = output_columns(out, self, **columns)

        def encode(start: int, stop: int) -> None:
            rows, numbers = slice(start, stop), np.empty(stop - start, np.float32)
            room = np.empty(kernels.scalars.scratch(self.dim), np.float32)
            first = kernels.scalars.encode_rows(
                matrix[rows], self.bits, room, codes[rows], numbers, powers[rows]
            )
            require_finite_rows(first, matrix[rows], start)
            scales[rows] = numbers

        split_rows(encode, len(matrix), num_threads)
        found = dict(zip(columns, (codes, scales, powers)))
        return QuantizedBatch(self.method, self.dim, found, {"bits": self.bits})

    def decode_batch(
        self, batch: QuantizedBatch, num_threads: int = 1, out: Float32Array | None = None
    ) -> Float32Array:
        """Return the values of a batch, of any bits, as a matrix [n, dim]."""
        bits, codes, scales, powers = self._columns_of(batch)
        self._require_codes(codes, bits)
        if not are_scales(scales):
            raise invalid(self, "a scale is negative or not finite")
        values = output(out, (len(codes), self.dim))

        def decode(start: int, stop: int) -> None:
            rows = slice(start, stop)
            numbers = scales[rows].astype(np.float32)
            kernels.scalars.decode_rows(codes[rows], bits, numbers, powers[rows], values[rows])

        split_rows(decode, len(codes), num_threads)
        return values

    def row(self, batch: QuantizedBatch, i: int) -> QuantizedEmbedding:
        """Return row i of a batch as a quantized embedding."""
        i, (bits, codes, scales, powers) = require_row(batch, self, i), self._columns_of(batch)
        metadata = ScalarMetadata(bits, float(scales[i]), int(powers[i]))
        return QuantizedEmbedding(self.method, self.dim, codes[i].tobytes(), metadata)

    def rows(self, batch: QuantizedBatch) -> list[QuantizedEmbedding]:
        """Return all rows of a batch as quantized embeddings."""
        bits, codes, scales, powers = self._columns_of(batch)
        each = repeat(bits), scales.tolist(), powers.tolist()
        return embeddings_of(self, payloads(codes), tuples_of(ScalarMetadata, *each))

    def payloads(self, batch: QuantizedBatch) -> Payloads | None:
        """Return what sections hold of a batch; None where a scale is none."""
        bits, codes, scales, powers = self._columns_of(batch)
        if not are_scales(scales):
            return None
        fields = {"bits": bits, "scale": scales, "power": powers}
        return of_codes(self.layouts[0], self.dim, fields, codes)

    def expected_size(self, count: int | None = None) -> int:
        """Return the bytes of one embedding's codes."""
        return scalar_bytes(self.dim, self.bits)

    def _require_codes(self, codes: UInt8Array, bits: object) -> None:
        """Check codes [n, bytes] of any bits: their size, and that padding is zero."""
        if not (_is_whole(bits) and bits in BITS):
            raise invalid(self, f"codes of {bits} bits, not 8, 6, 4 or 2")
        size = scalar_bytes(self.dim, bits)
        if codes.shape[1] != size:
            raise invalid(self, expected=size, actual=codes.shape[1])
        if self.dim % 4 and not padding_is_zero(codes, self.dim, bits):
            raise invalid(self, "padding bits are set")

    def _columns_of(self, batch: QuantizedBatch) -> tuple[int, Array, Array, Array]:
        """Return the bits of a batch, and its columns."""
        rows, bits = require_rows(batch, self), batch.shared.get("bits")
        if not (_is_whole(bits) and bits in BITS):
            raise invalid(self, f"a batch with bits {bits}")
        columns = require_columns(batch, self, **self._columns(rows, bits))
        return bits, *columns

    def _columns(self, rows: int, bits: int) -> dict[str, Column]:
        return {
            "codes": ((rows, scalar_bytes(self.dim, bits)), np.uint8),
            "scales": ((rows,), np.float16),
            "powers": ((rows,), np.int8),
        }


def are_scales(scales: Array) -> bool:
    """Return whether f16 numbers can be scales: finite, and not negative."""
    return bool(np.all(np.isfinite(scales) & (scales >= 0)))


def _is_scale(value: object) -> bool:
    return isinstance(value, (int, float, np.floating)) and bool(0 <= value <= LARGEST)


def _is_whole(value: object) -> bool:
    return isinstance(value, (int, np.integer))
