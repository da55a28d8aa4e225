"""What the codecs share whose codes are a trained codebook's."""

from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from typing import Any, ClassVar, Self

import numpy as np

from cgcython import kernels
from cgcython.arrays import as_matrix
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
from cgcython.codecs.codebook_base import Codebook
from cgcython.codecs.framing import Payloads, of_codes
from cgcython.codecs.rows import embeddings_of, payloads
from cgcython.errors import CodebookMissing
from cgcython.records import QuantizedBatch, QuantizedEmbedding
from cgcython.types import ArrayLike, Float32Array, UInt8Array


def size_of(dim: int, metadata: Any) -> int:
    """Return the bytes of codes, which their metadata tell after the codebook's id."""
    size: int = metadata[1]
    return size


@dataclass(frozen=True)
class CodebookCodec(Codec):
    """The codes of one codebook. Batches have the column `codes` [n, M] u8.

    A subclass names the `kind` of its codebooks and the `metadata_kind` of its embeddings: a
    codebook's id, and the bytes of an embedding.
    """

    codebook: Any

    kind: ClassVar[type[Codebook]]
    metadata_kind: ClassVar[type[Any]]
    inputs = InputKind.DENSE
    needs_codebook = True

    def __post_init__(self) -> None:
        require_instance(self.codebook, self.kind, "codebook")

    @classmethod
    def for_dimension(cls, dim: int, codebook: Codebook | None = None, **settings: Any) -> Self:
        """Return the codec of a codebook, which knows its own dimension."""
        return cls(codebook)

    @cached_property
    def dim(self) -> int:
        """The number of values of an embedding."""
        dim: int = self.codebook.embedding_dim
        return dim

    @cached_property
    def metadata(self) -> Any:
        """The metadata of all that this codec encodes."""
        return self.metadata_kind(self.codebook.codebook_id, self.codebook.code_size)

    def encode(self, values: ArrayLike) -> QuantizedEmbedding:
        """Return the quantized embedding of `dim` values."""
        codes = self.codebook.quantize(values)
        return QuantizedEmbedding(self.method, self.dim, codes, self.metadata)

    def decode(
        self, quantized: QuantizedEmbedding, out: Float32Array | None = None
    ) -> Float32Array:
        """Return the values that codes stand for.

        Raises CodebookMissing where another codebook made the codes.
        """
        require_kind(quantized, self, self.metadata_kind, self.codebook.code_size)
        self._require_codebook(*quantized.metadata)
        if out is None:
            decoded: Float32Array = self.codebook.dequantize(quantized.data)
        else:
            codes = np.frombuffer(quantized.data, np.uint8)
            decoded = output(out, (self.dim,))
            self.codebook.decode(codes[None], out=decoded[None])
        # Centroids are finite; only turning them back may overflow.
        if self.codebook.rotation is not None and kernels.dense.first_nonfinite(decoded) >= 0:
            raise invalid(self, "a value is not finite")
        return decoded if out is None else out

    def encode_batch(
        self, values: ArrayLike, num_threads: int = 1, out: QuantizedBatch | None = None
    ) -> QuantizedBatch:
        """Return the batch of a matrix [n, dim]; `out` is a batch whose columns may be reused."""
        codes = None
        if out is not None:
            values = as_matrix(values, self.dim)
            shape = (len(values), self.codebook.code_size)
            (codes,) = output_columns(out, self, codes=(shape, np.uint8))
        codes = self.codebook.encode(values, num_threads=num_threads, out=codes)
        return QuantizedBatch(self.method, self.dim, {"codes": codes}, self.metadata._asdict())

    def decode_batch(
        self, batch: QuantizedBatch, num_threads: int = 1, out: Float32Array | None = None
    ) -> Float32Array:
        """Return the values of a batch as a matrix [n, dim]; errors as in `decode`."""
        codes = self._codes_of(batch)
        self._require_codebook(*(batch.shared.get(name) for name in self.shared))
        found: Float32Array = self.codebook.decode(codes, num_threads=num_threads, out=out)
        return found

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
        """Return the bytes of one embedding."""
        size: int = self.codebook.code_size
        return size

    def _codes_of(self, batch: QuantizedBatch) -> UInt8Array:
        shape = (require_rows(batch, self), self.codebook.code_size)
        return require_columns(batch, self, codes=(shape, np.uint8))[0]

    def _require_codebook(self, codebook_id: Any, code_size: Any) -> None:
        if (codebook_id, code_size) != self.metadata:
            raise CodebookMissing(codebook_id=codebook_id)
