"""Float8: one E4M3 code per value, one scale per embedding."""

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
    rows_as,
)
from cgcython.metadata import Float8Metadata
from cgcython.parallel import split_rows
from cgcython.records import QuantizedBatch, QuantizedEmbedding

E4M3_MAX = 448.0
F32_MAX = float(np.finfo(np.float32).max)
LARGEST_SCALE = F32_MAX / E4M3_MAX


@dataclass(frozen=True)
class Float8Codec:
    """E4M3 codes, scaled so that each embedding's peak lands on 448."""

    dim: int
    method = QuantizationMethod.FLOAT8_E4M3

    def encode(self, values):
        """Return the record of one embedding.

        >>> Float8Codec(dim=2).encode([1.0, -0.5]).data.hex()
        '7ef6'
        """
        encoded = kernels.e4m3.encode_vector(values, self.dim)
        if encoded is None:
            encoded = kernels.e4m3.encode_vector(as_vector(values, self.dim), self.dim)
        data, scale = encoded
        # The named constructor, which is Python, takes twice as long.
        metadata = tuple.__new__(Float8Metadata, (scale, 0.0))
        return QuantizedEmbedding(self.method, self.dim, data, metadata)

    def decode(self, quantized, out=None):
        """Return the values of a record, code * scale + bias; any scale and bias are honoured."""
        data, metadata = quantized.data, quantized.metadata
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

    def encode_batch(self, values, num_threads=1, out=None):
        """Return the batch of a matrix [n, dim]; `out` is a batch whose columns may be reused."""
        values = as_matrix(values, self.dim, finite=False)
        codes, scales = output_columns(out, self, **self._columns(len(values)))

        def encode(start, stop):
            rows = slice(start, stop)
            first = kernels.e4m3.encode_rows(values[rows], codes[rows], scales[rows])
            require_finite_rows(first, values[rows], start)

        split_rows(encode, len(values), num_threads)
        columns = {"codes": codes, "scales": scales}
        return QuantizedBatch(self.method, self.dim, columns)

    def decode_batch(self, batch, num_threads=1, out=None):
        """Return the values of a batch as a matrix [n, dim]."""
        codes, scales = require_columns(batch, self, **self._columns(len(batch)))
        if not np.all(np.abs(scales) <= LARGEST_SCALE):
            raise invalid(self, "a scale overflows float32")
        values = output(out, codes.shape)

        def decode(start, stop):
            rows = slice(start, stop)
            kernels.e4m3.decode_rows(codes[rows], scales[rows], values[rows])

        split_rows(decode, len(batch), num_threads)
        return values

    def row(self, batch, i):
        """Return row i of a batch as a record."""
        codes, scales = batch.columns["codes"], batch.columns["scales"]
        metadata = Float8Metadata(float(scales[i]))
        return QuantizedEmbedding(self.method, self.dim, codes[i].tobytes(), metadata)

    def rows(self, batch):
        """Return all rows of a batch as records."""
        codes, scales = batch.columns["codes"], batch.columns["scales"].tolist()
        return records_of(self, payloads(codes), rows_as(Float8Metadata, scales, repeat(0.0)))

    def expected_size(self, count=None):
        """Return the bytes of one record: one per value."""
        return self.dim

    def loss(self, original, decoded):
        """Return 1 - cosine."""
        return cosine_loss(original, decoded)

    def _require_range(self, scale, bias):
        try:
            largest = abs(scale) * E4M3_MAX + abs(bias)
        except TypeError:
            raise invalid(self, f"scale {scale!r} and bias {bias!r} are no numbers") from None
        if not largest <= F32_MAX:
            raise invalid(self, f"scale {scale} and bias {bias} overflow float32")

    def _columns(self, rows):
        return {"codes": ((rows, self.dim), np.uint8), "scales": ((rows,), np.float32)}
