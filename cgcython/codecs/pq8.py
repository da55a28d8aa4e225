"""Product quantization: one byte for each part of an embedding, naming its nearest centroid."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cgcython import kernels
from cgcython.base import QuantizationMethod
from cgcython.codecs.base import (
    cosine_loss,
    invalid,
    output,
    output_columns,
    payloads,
    require_columns,
    require_kind,
)
from cgcython.codecs.codebook import PQ8Codebook
from cgcython.errors import CodebookMissing
from cgcython.metadata import PQ8Metadata
from cgcython.records import QuantizedBatch, QuantizedEmbedding


@dataclass(frozen=True)
class PQ8Codec:
    """The codes of one codebook.

    >>> codec = PQ8Codec(PQ8Codebook(np.zeros((8, 256, 1)) + np.arange(256)[:, None]))
    >>> codec.encode([0, 1, 2.4, 2.6, 255, 300, -9, 7]).data.hex()
    '00010203ffff0007'
    """

    codebook: PQ8Codebook
    method = QuantizationMethod.PQ8

    @cached_property
    def dim(self):
        """The number of values of an embedding."""
        return self.codebook.embedding_dim

    @cached_property
    def metadata(self):
        """The metadata of every record of this codec."""
        return PQ8Metadata(self.codebook.codebook_id, self.codebook.num_subvectors)

    def encode(self, values):
        """Return the record of one embedding."""
        codes = self.codebook.quantize(values)
        return QuantizedEmbedding(self.method, self.dim, codes, self.metadata)

    def decode(self, quantized, out=None):
        """Return the values of a record.

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

    def encode_batch(self, values, num_threads=1, out=None):
        """Return the batch of a matrix [n, dim]; `out` is a batch whose columns may be reused."""
        codes = None
        if out is not None:
            shape = (len(values), self.codebook.num_subvectors)
            (codes,) = output_columns(out, self, codes=(shape, np.uint8))
        codes = self.codebook.encode(values, num_threads=num_threads, out=codes)
        return QuantizedBatch(self.method, self.dim, {"codes": codes}, self.metadata._asdict())

    def decode_batch(self, batch, num_threads=1, out=None):
        """Return the values of a batch as a matrix [n, dim]; errors as in `decode`."""
        shape = (len(batch), self.codebook.num_subvectors)
        (codes,) = require_columns(batch, self, codes=(shape, np.uint8))
        self._require_codebook(batch.shared.get("codebook_id"), batch.shared.get("num_subvectors"))
        return self.codebook.decode(codes, num_threads=num_threads, out=out)

    def row(self, batch, i):
        """Return row i of a batch as a record."""
        data = batch.columns["codes"][i].tobytes()
        return QuantizedEmbedding(self.method, self.dim, data, self.metadata)

    def rows(self, batch):
        """Return all rows of a batch as records."""
        return [
            QuantizedEmbedding(self.method, self.dim, data, self.metadata)
            for data in payloads(batch.columns["codes"])
        ]

    def expected_size(self, count=None):
        """Return the bytes of one record: one per part."""
        return self.codebook.num_subvectors

    def loss(self, original, decoded):
        """Return 1 - cosine."""
        return cosine_loss(original, decoded)

    def _require_codebook(self, codebook_id, num_subvectors):
        if (codebook_id, num_subvectors) != self.metadata:
            raise CodebookMissing(codebook_id=codebook_id)
