"""How embeddings become codes of four bits, and back."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cgcython.arrays import as_matrix, as_vector
from cgcython.base import QuantizationMethod
from cgcython.codecs.base import Codec, InputKind
from cgcython.codecs.checks import invalid, output, require_columns, require_kind, require_rows
from cgcython.frames import Layout
from cgcython.records import QuantizedBatch, QuantizedEmbedding
from cgcython.tensors import ArrayForm

LARGEST = 7  # a nibble is a whole number from -7 to 7, plus 8


class Toy4Metadata(NamedTuple):
    """value = (nibble - 8) * scale."""

    scale: float


def nibbles(codes, dim):
    """Return the nibbles [n, dim] of codes [n, bytes], of which the first are the high ones."""
    both = np.stack([codes >> 4, codes & 15], axis=-1)
    return both.reshape(len(codes), -1)[:, :dim]


def width(dim, metadata=None):
    """Return the bytes of a code."""
    return (dim + 1) // 2


def wrong(dim, metadata, data):
    """Return what is wrong with a scale, or None."""
    return None if np.isfinite(metadata.scale) else f"scale is {metadata.scale}"


@dataclass(frozen=True)
class Toy4Codec(Codec):
    """Whole numbers from -7 to 7, scaled so that the peak of an embedding is 7.

    Batches have the columns `codes` [n, bytes] u8 and `scales` [n] f32.
    """

    dim: int

    method = QuantizationMethod.add("toy4")
    layouts = (Layout.of(200, method, Toy4Metadata, "<f", size=width, wrong=wrong),)
    inputs = InputKind.DENSE
    columns = {  # noqa: RUF012
        "codes": ArrayForm("U8", ("rows", "bytes")),
        "scales": ArrayForm("F32", ("rows",)),
    }
    ratio, max_loss = 8.0, 0.02

    def encode(self, values):
        return self.row(self.encode_batch(as_vector(values, self.dim)[None]), 0)

    def decode(self, quantized, out=None):
        require_kind(quantized, self, Toy4Metadata, width(self.dim))
        codes = np.frombuffer(quantized.data, np.uint8)[None]
        found = self._values(codes, np.float32([quantized.metadata.scale]))[0]
        values = output(out, (self.dim,))
        values[:] = found
        return values

    def encode_batch(self, values, num_threads=1, out=None):
        values = as_matrix(values, self.dim)
        scales = np.abs(values).max(axis=1) / np.float32(LARGEST)
        steps = np.where(scales > 0, scales, 1)[:, None]
        found = np.zeros((len(values), 2 * width(self.dim)), np.uint8)
        found[:, : self.dim] = np.rint(values / steps) + 8
        codes = found[:, ::2] << 4 | found[:, 1::2]
        return QuantizedBatch(self.method, self.dim, {"codes": codes, "scales": scales})

    def decode_batch(self, batch, num_threads=1, out=None):
        rows = require_rows(batch, self)
        wanted = {"codes": ((rows, width(self.dim)), np.uint8), "scales": ((rows,), np.float32)}
        values = output(out, (rows, self.dim))
        values[:] = self._values(*require_columns(batch, self, **wanted))
        return values

    def row(self, batch, i):
        codes, scales = batch.columns["codes"], batch.columns["scales"]
        metadata = Toy4Metadata(float(scales[i]))
        return QuantizedEmbedding(self.method, self.dim, codes[i].tobytes(), metadata)

    def expected_size(self, count=None):
        return width(self.dim)

    def _values(self, codes, scales):
        found = nibbles(codes, self.dim)
        if not np.all((found >= 1) & (found <= 15)):
            raise invalid(self, "a nibble is 0")
        return (found.astype(np.float32) - 8) * scales[:, None]
