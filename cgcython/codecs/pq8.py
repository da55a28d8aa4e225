"""Product quantization: one byte for each part of an embedding, naming its nearest centroid."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cgcython.arrays import as_vector
from cgcython.base import QuantizationMethod
from cgcython.codecs.base import require_kind, require_size
from cgcython.codecs.codebook import PQ8Codebook
from cgcython.codecs.training import mean_loss
from cgcython.errors import CodebookMissing
from cgcython.metadata import PQ8Metadata
from cgcython.records import QuantizedBatch, QuantizedEmbedding


@dataclass(frozen=True)
class PQ8Codec:
    """The codes of one codebook.

    >>> book = PQ8Codebook(np.zeros((8, 256, 1)) + np.arange(256)[:, None])
    >>> codec = PQ8Codec(book)
    >>> codec.encode([0, 1, 2.4, 2.6, 255, 300, -9, 7]).data.hex()
    '00010203ffff0007'
    >>> codec.decode(codec.encode([0, 1, 2.4, 2.6, 255, 300, -9, 7]))
    array([  0.,   1.,   2.,   3., 255., 255.,   0.,   7.], dtype=float32)
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
        """Return the codes of one embedding."""
        codes = self.codebook.quantize(values)
        return QuantizedEmbedding(self.method, self.dim, codes, self.metadata)

    def decode(self, quantized, out=None):
        """Return the embedding that a record's codes stand for.

        Raises MethodMismatch, InvalidQuantizedData, or CodebookMissing where another codebook
        made the codes.
        """
        require_kind(quantized, self, PQ8Metadata)
        require_size(self, quantized.data, self.expected_size())
        self._check_codebook(*quantized.metadata)
        if out is None:
            return self.codebook.dequantize(quantized.data)
        codes = np.frombuffer(quantized.data, np.uint8)
        return self.codebook.decode(codes[None], out=out[None])[0]

    def encode_batch(self, rows, num_threads=1, out=None):
        """Return the codes of embeddings [n, dim] as one column."""
        codes = self.codebook.encode(rows, num_threads=num_threads, out=out)
        return QuantizedBatch(self.method, self.dim, {"codes": codes}, self.metadata._asdict())

    def decode_batch(self, batch, num_threads=1, out=None):
        """Return the embeddings [n, dim] of a batch; errors as in `decode`."""
        require_kind(batch, self)
        self._check_codebook(**batch.shared)
        return self.codebook.decode(batch.columns["codes"], num_threads=num_threads, out=out)

    def row(self, batch, i):
        """Return one record of a batch."""
        data = batch.columns["codes"][i].tobytes()
        return QuantizedEmbedding(self.method, self.dim, data, self.metadata)

    def expected_size(self, count=None):
        """Return the number of bytes of a record."""
        return self.codebook.num_subvectors

    def loss(self, original, decoded):
        """Return 1 - the cosine of an embedding with what was decoded of it."""
        original, decoded = (as_vector(x, self.dim)[None] for x in (original, decoded))
        return mean_loss(original, decoded)

    def _check_codebook(self, codebook_id, num_subvectors):
        if (codebook_id, num_subvectors) != self.metadata:
            raise CodebookMissing(codebook_id=codebook_id)
