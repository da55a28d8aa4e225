"""Float8: one E4M3 code per value, one scale per embedding."""

from dataclasses import dataclass
from itertools import repeat
from math import isfinite
from typing import ClassVar

import numpy as np

from cgcython import kernels
from cgcython.arrays import as_matrix, as_vector
from cgcython.base import QuantizationMethod
from cgcython.codecs.base import Codec, InputKind
from cgcython.codecs.checks import (
    Column,
    invalid,
    not_quantized,
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
from cgcython.codecs.row_settings import METRIC
from cgcython.codecs.rows import embeddings_of, payloads, tuples_of
from cgcython.frames import Layout
from cgcython.metadata import Float8Metadata
from cgcython.parallel import split_rows
from cgcython.records import QuantizedBatch, QuantizedEmbedding
from cgcython.tensors import ArrayForm
from cgcython.types import Array, ArrayLike, BytesLike, Float32Array

E4M3_MAX = 448.0
F32_MAX = float(np.finfo(np.float32).max)
LARGEST_SCALE = F32_MAX / E4M3_MAX


def _size(dim: int, metadata: Float8Metadata) -> int:
    return dim


def _wrong(dim: int, metadata: Float8Metadata, data: BytesLike) -> str | None:
    scale, bias = metadata
    return None if isfinite(scale) and isfinite(bias) else f"scale is {scale}, bias is {bias}"


@dataclass(frozen=True)
class Float8Codec(Codec):
    """E4M3 codes, scaled so that each embedding's peak lands on 448.

    Batches have the columns `codes` [n, dim] u8 and `scales` [n] f32.
    """

    dim: int

    method = QuantizationMethod.FLOAT8_E4M3
    layouts = (Layout.of(1, method, Float8Metadata, "<ff", size=_size, wrong=_wrong),)
    inputs = InputKind.DENSE
    columns: ClassVar = {
        "codes": ArrayForm("U8", ("rows", "dim")),
        "scales": ArrayForm("F32", ("rows",)),
    }
    ratio, max_loss = 4.0, 0.003
    row_settings = METRIC

    def __post_init__(self) -> None:
        object.__setattr__(self, "dim", require_dim(self.dim))

    def encode(self, values: ArrayLike) -> QuantizedEmbedding:
        """Return the quantized embedding of `dim` values.

        >>> Float8Codec(dim=2).encode([1.0, -0.5]).data.hex()
        '7ef6'
        """
        data, scale = kernels.e4m3.encode_vector(values, self.dim) or self._converted(values)
        # The named constructor, which is Python, takes twice as long.
        metadata = tuple.__new__(Float8Metadata, (scale, 0.0))
        return QuantizedEmbedding(self.method, self.dim, data, metadata)

    def decode(
        self, quantized: QuantizedEmbedding, out: Float32Array | None = None
    ) -> Float32Array:
        """Return the values, code * scale + bias; any scale and bias are honoured."""
        try:
            data, metadata = quantized.data, quantized.metadata
        except (AttributeError, ValueError):  # arrays have `data` too, or none of their dtype
            raise not_quantized(quantized) from None
        if not (
            quantized.method is self.method
            and type(metadata) is Float8Metadata
            and quantized.original_dim == self.dim == len(data)
        ):
            require_kind(quantized, self, Float8Metadata, self.dim)
        scale, bias = metadata
        # Comparisons are false for NaN, so that it is looked at closely too.
        if not (type(scale) is float and bias == 0 and -LARGEST_SCALE <= scale <= LARGEST_SCALE):
            self._require_range(scale, bias)
        if 0x7F in data or 0xFF in data:
            raise invalid(self, "a code is NaN")
        values = kernels.e4m3.decode_vector(data, scale, bias, out)
        return output(out, (self.dim,)) if values is None else values

    def encode_batch(
        self, values: ArrayLike, num_threads: int = 1, out: QuantizedBatch | None = None
    ) -> QuantizedBatch:
        """Return the batch of a matrix [n, dim]; `out` is a batch whose columns may be reused."""
        matrix = as_matrix(values, self.dim, finite=False)
        codes, scales = output_columns(out, self, **self._columns(len(matrix)))

        def encode(start: int, stop: int) -> None:
            rows = slice(start, stop)
            first = kernels.e4m3.encode_rows(matrix[rows], codes[rows], scales[rows])
            require_finite_rows(first, matrix[rows], start)

        split_rows(encode, len(matrix), num_threads)
        columns = {"codes": codes, "scales": scales}
        return QuantizedBatch(self.method, self.dim, columns)

    def decode_batch(
        self, batch: QuantizedBatch, num_threads: int = 1, out: Float32Array | None = None
    ) -> Float32Array:
        """Return the values of a batch as a matrix [n, dim]."""
        codes, scales = self._columns_of(batch)
        if not np.all(np.abs(scales) <= LARGEST_SCALE):
            raise invalid(self, "a scale overflows float32")
        values = output(out, codes.shape)

        def decode(start: int, stop: int) -> None:
            rows = slice(start, stop)
            kernels.e4m3.decode_rows(codes[rows], scales[rows], values[rows])

        split_rows(decode, len(codes), num_threads)
        return values

    def row(self, batch: QuantizedBatch, i: int) -> QuantizedEmbedding:
        """Return row i of a batch as a quantized embedding."""
        i, (codes, scales) = require_row(batch, self, i), self._columns_of(batch)
        metadata = Float8Metadata(float(scales[i]))
        return QuantizedEmbedding(self.method, self.dim, codes[i].tobytes(), metadata)

    def rows(self, batch: QuantizedBatch) -> list[QuantizedEmbedding]:
        """Return all rows of a batch as quantized embeddings."""
        codes, scales = self._columns_of(batch)
        metadata = tuples_of(Float8Metadata, scales.tolist(), repeat(0.0))
        return embeddings_of(self, payloads(codes), metadata)

    def payloads(self, batch: QuantizedBatch) -> Payloads | None:
        """Return what sections hold of a batch; None where a scale is not finite."""
        codes, scales = self._columns_of(batch)
        if not np.isfinite(scales).all():
            return None
        return of_codes(self.layouts[0], self.dim, {"scale": scales, "bias": 0.0}, codes)

    def expected_size(self, count: int | None = None) -> int:
        """Return the bytes of one embedding: one per value."""
        return self.dim

    def _converted(self, values: ArrayLike) -> tuple[bytes, float]:
        """Return the codes and scale of what is no float32 array yet, or say what is wrong."""
        encoded = kernels.e4m3.encode_vector(as_vector(values, self.dim), self.dim)
        assert encoded is not None  # as_vector returns what the kernel takes
        return encoded

    def _require_range(self, scale: float, bias: float) -> None:
        try:
            largest = abs(scale) * E4M3_MAX + abs(bias)
        except TypeError:
            raise invalid(self, f"scale {scale!r} and bias {bias!r} are no numbers") from None
        if not largest <= F32_MAX:
            raise invalid(self, f"scale {scale} and bias {bias} overflow float32")

    def _columns_of(self, batch: QuantizedBatch) -> list[Array]:
        return require_columns(batch, self, **self._columns(require_rows(batch, self)))

    def _columns(self, rows: int) -> dict[str, Column]:
        return {"codes": ((rows, self.dim), np.uint8), "scales": ((rows,), np.float32)}
