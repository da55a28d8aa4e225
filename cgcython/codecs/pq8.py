"""Product quantization: one byte for each part of an embedding, naming its nearest centroid."""

from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from typing import Any, ClassVar

import numpy as np

from cgcython import kernels
from cgcython.arrays import as_matrix
from cgcython.base import QuantizationMethod
from cgcython.checks import require_instance
from cgcython.codecs.base import Codec, InputKind
from cgcython.codecs.checks import (
    invalid,
    output,
    output_columns,
    require_columns,
    require_kind,
    require_row,
    require_rows,
)
from cgcython.codecs.codebook import PQ8Codebook
from cgcython.codecs.codebook_base import Codebook
from cgcython.codecs.framing import Payloads, of_codes
from cgcython.codecs.row_settings import BYTES, METRIC
from cgcython.codecs.rows import embeddings_of, payloads
from cgcython.errors import CodebookMissing
from cgcython.frames import Layout
from cgcython.metadata import PQ8Metadata
from cgcython.records import QuantizedBatch, QuantizedEmbedding
from cgcython.tensors import ArrayForm
from cgcython.types import ArrayLike, BytesLike, Float32Array, UInt8Array


def _size(dim: int, metadata: PQ8Metadata) -> int:
    return metadata.num_subvectors


def _wrong(dim: int, metadata: PQ8Metadata, data: BytesLike) -> str | None:
    return None if metadata.num_subvectors >= 1 else "no subvectors"


@dataclass(frozen=True)
class PQ8Codec(Codec):
    """The codes of one codebook. Batches have the column `codes` [n, M] u8.

    >>> codec = PQ8Codec(PQ8Codebook(np.zeros((8, 256, 1)) + np.arange(256)[:, None]))
    >>> codec.encode([0, 1, 2.4, 2.6, 255, 300, -9, 7]).data.hex()
    '00010203ffff0007'
    """

    codebook: PQ8Codebook

    method = QuantizationMethod.PQ8
    layouts = (Layout.of(3, method, PQ8Metadata, "<IB", size=_size, wrong=_wrong),)
    inputs = InputKind.DENSE
    columns: ClassVar = {"codes": ArrayForm("U8", ("rows", "num_subvectors"))}
    shared = ("codebook_id", "num_subvectors")
    ratio, max_loss = 32.0, 0.05
    needs_codebook, untrained_bytes = True, 8
    row_settings: ClassVar = METRIC | BYTES

    def __post_init__(self) -> None:
        require_instance(self.codebook, PQ8Codebook, "codebook")

    @classmethod
    def for_dimension(
        cls, dim: int, codebook: Codebook | None = None, **settings: Any
    ) -> "PQ8Codec":
        """Return the codec of a codebook, which knows its own dimension."""
        return cls(require_instance(codebook, PQ8Codebook, "codebook"))

    @cached_property
    def dim(self) -> int:
        """The number of values of an embedding."""
        return self.codebook.embedding_dim

    @cached_property
    def metadata(self) -> PQ8Metadata:
        """The metadata of all that this codec encodes."""
        return PQ8Metadata(self.codebook.codebook_id, self.codebook.num_subvectors)

    def encode(self, values: ArrayLike) -> QuantizedEmbedding:
        """Return the quantized embedding of `dim` values."""
        codes = self.codebook.quantize(values)
        return QuantizedEmbedding(self.method, self.dim, codes, self.metadata)

    def decode(
        self, quantized: QuantizedEmbedding, out: Float32Array | None = None
    ) -> Float32Array:
        """Return the values that codes stand for.

        Raises CodebookMissing where another codebook made the codes.

        >>> codec = PQ8Codec(PQ8Codebook(np.zeros((8, 256, 1)) + np.arange(256)[:, None]))
        >>> codec.decode(codec.encode([0, 1, 2.4, 2.6, 255, 300, -9, 7]))
        array([  0.,   1.,   2.,   3., 255., 255.,   0.,   7.], dtype=float32)
        """
        require_kind(quantized, self, PQ8Metadata, self.codebook.num_subvectors)
        self._require_codebook(*quantized.metadata)
        if out is None:
            out = self.codebook.dequantize(quantized.data)
        else:
            codes = np.frombuffer(quantized.data, np.uint8)
            self.codebook.decode(codes[None], out=output(out, (self.dim,))[None])
        # Centroids are finite; only turning them back may overflow.
        if self.codebook.rotation is not None and kernels.dense.first_nonfinite(out) >= 0:
            raise invalid(self, "a value is not finite")
        return out

    def encode_batch(
        self, values: ArrayLike, num_threads: int = 1, out: QuantizedBatch | None = None
    ) -> QuantizedBatch:
        """Return the batch of a matrix [n, dim]; `out` is a batch whose columns may be reused."""
        codes = None
        if out is not None:
            values = as_matrix(values, self.dim)
            shape = (len(values), self.codebook.num_subvectors)
            (codes,) = output_columns(out, self, codes=(shape, np.uint8))
        codes = self.codebook.encode(values, num_threads=num_threads, out=codes)
        return QuantizedBatch(self.method, self.dim, {"codes": codes}, self.metadata._asdict())

    def decode_batch(
        self, batch: QuantizedBatch, num_threads: int = 1, out: Float32Array | None = None
    ) -> Float32Array:
        """Return the values of a batch as a matrix [n, dim]; errors as in `decode`."""
        codes = self._codes_of(batch)
        self._require_codebook(batch.shared.get("codebook_id"), batch.shared.get("num_subvectors"))
        return self.codebook.decode(codes, num_threads=num_threads, out=out)

    def row(self, batch: QuantizedBatch, i: int) -> QuantizedEmbedding:
        """Return row i of a batch as a quantized embedding."""
        i, codes = require_row(batch, self, i), self._codes_of(batch)
        data = codes[i].tobytes()
        return QuantizedEmbedding(self.method, self.dim, data, self.metadata)

    def rows(self, batch: QuantizedBatch) -> list[QuantizedEmbedding]:
        """Return all rows of a batch as quantized embeddings."""
        return embeddings_of(self, payloads(self._codes_of(batch)), repeat(self.metadata))

    def payloads(self, batch: QuantizedBatch) -> Payloads:
        """Return what sections hold of a batch."""
        return of_codes(self.layouts[0], self.dim, self.metadata._asdict(), self._codes_of(batch))

    def expected_size(self, count: int | None = None) -> int:
        """Return the bytes of one embedding: one per part."""
        return self.codebook.num_subvectors

    def _codes_of(self, batch: QuantizedBatch) -> UInt8Array:
        shape = (require_rows(batch, self), self.codebook.num_subvectors)
        return require_columns(batch, self, codes=(shape, np.uint8))[0]

    def _require_codebook(self, codebook_id: Any, num_subvectors: Any) -> None:
        if (codebook_id, num_subvectors) != self.metadata:
            raise CodebookMissing(codebook_id=codebook_id)
