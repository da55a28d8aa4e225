"""The codebook of a product quantizer: centroids, a rotation with its mean, an identity.

Names are those of faiss and of Jégou et al., Product quantization for nearest neighbor search
(2011): M subvectors of dsub values, each with ksub = 256 centroids.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from cgcython import kernels
from cgcython.arrays import as_matrix, as_vector
from cgcython.base import QuantizationMethod
from cgcython.codecs import codebook_file, training
from cgcython.codecs.checks import output, require_finite_rows
from cgcython.codecs.codebook_base import Codebook, frozen
from cgcython.codecs.pq_decoding import Decoder
from cgcython.codecs.pq_tables import SearchTables, TableMaker
from cgcython.errors import InvalidInput
from cgcython.kernels.pq_layout import PreparedCodebook, prepare, scratch
from cgcython.parallel import split_rows
from cgcython.types import ArrayLike, BytesLike, Float32Array, RowSource, UInt8Array
from cgcython.types import TrainingProgress as Progress


@dataclass(frozen=True, eq=False, init=False, repr=False)
class PQ8Codebook(Codebook):
    """The 256 centroids [M, ksub, dsub] of each of M subvectors of a vector, one byte for each.

    With a rotation [dim, M * dsub] and a mean [dim], the subvectors are those of
    (x - mean) @ rotation. Raises InvalidInput or NonFiniteValue for arrays that make no codebook.

    >>> book = PQ8Codebook(np.zeros((8, 256, 1)) + np.arange(256)[:, None])
    >>> book.quantize([0, 1, 2.4, 2.6, 255, 300, -9, 7]).hex()
    '00010203ffff0007'
    """

    prepared: PreparedCodebook = field(init=False)  # the arrays as the kernels want them

    method: ClassVar = QuantizationMethod.PQ8
    file_kind: ClassVar = codebook_file.PQ8

    def __init__(
        self,
        centroids: ArrayLike,
        rotation: ArrayLike | None = None,
        mean: ArrayLike | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        if (rotation is None) != (mean is None):
            expected = "a rotation and a mean, or neither"
            raise InvalidInput(what="codebook", expected=expected, actual="one of them")
        own = frozen(centroids)
        turn, centre = (None if one is None else frozen(one) for one in (rotation, mean))
        try:
            prepared = prepare(own, centre, turn)
        except ValueError as error:
            raise InvalidInput(what="codebook", expected="arrays that fit", actual=error) from None
        facts = codebook_file.checked_facts(metadata or {})
        self.__dict__.update(
            centroids=own, rotation=turn, mean=centre, metadata=facts, prepared=prepared
        )

    def __repr__(self) -> str:
        return (
            f"PQ8Codebook(embedding_dim={self.embedding_dim}, "
            f"num_subvectors={self.num_subvectors}, width={self.width}, "
            f"codebook_id={self.codebook_id:#010x})"
        )

    @property
    def embedding_dim(self) -> int:
        """The number of values of an embedding."""
        return self.prepared.dim

    @property
    def num_subvectors(self) -> int:
        """M, the number of subvectors, and of bytes per embedding."""
        return len(self.centroids)

    @property
    def width(self) -> int:
        """M * dsub, the number of values after the rotation."""
        return len(self.centroids) * int(self.centroids.shape[2])

    @classmethod
    def train(
        cls,
        samples: ArrayLike | RowSource,
        num_subvectors: int = 8,
        seed: int = 0,
        rotation: str | None = "opq",
        *,
        width: int | None = None,
        sample: int | None = None,
        num_threads: int = 1,
        progress: Progress | None = None,
        model: str = "",
    ) -> Self:
        """Return the codebook that suits samples [n, dim].

        Of more than `sample` (65,536) some are drawn, by seed; only these are read, so samples may
        be a memory map of any size, or what reads rows by number (`types.RowSource`).
        `rotation` is "opq" (principal axes balanced over the subvectors, then refined), "pca" (not
        refined) or None; `width` the number of values it keeps (chosen on held-out samples unless
        given). `progress(step, steps, loss)` is called after each step. `model` names the
        embedder, the only one that the codebook then serves. The metadata holds the loss on
        held-out samples and how many of their ten nearest neighbours the codes keep, with 95 %
        intervals. Ctrl-C ends the training with the best codebook so far, `interrupted` in its
        metadata. Raises InvalidInput below 256 samples; warns below 9984.
        """
        found, facts = training.train(
            samples,
            num_subvectors=num_subvectors,
            seed=seed,
            rotation=rotation,
            width=width,
            sample=sample,
            num_threads=num_threads,
            progress=progress,
        )
        return cls(found.centroids, found.rotation, found.mean, {"model": model, **facts})

    def quantize(self, values: ArrayLike) -> bytes:
        """Return the codes of one embedding, one byte per subvector; errors as in `encode`."""
        codes = kernels.pq.encode_vector(values, self.prepared)
        if codes is not None:
            return codes
        return self.encode(as_vector(values, self.embedding_dim)[None]).tobytes()

    def dequantize(self, codes: BytesLike) -> Float32Array:
        """Return the embedding that codes stand for.

        Raises InvalidQuantizedData for any other number of bytes.
        """
        return self._decoder.one(self.checked_bytes(codes))

    def encode(
        self, rows: ArrayLike, *, num_threads: int = 1, out: UInt8Array | None = None
    ) -> UInt8Array:
        """Return the codes [n, M] of embeddings [n, dim], in `out` where it is given.

        Raises DimensionMismatch, NonFiniteValue or InvalidInput.
        """
        matrix = as_matrix(rows, self.embedding_dim, finite=False)
        codes = output(out, (len(matrix), self.num_subvectors), np.uint8)

        def encode_range(start: int, stop: int) -> None:
            some, space = slice(start, stop), scratch(self.prepared)
            first = kernels.pq.encode_rows(matrix[some], self.prepared, codes[some], space)
            require_finite_rows(first, matrix[some], start)

        split_rows(encode_range, len(matrix), num_threads)
        return codes

    def decode(
        self, codes: ArrayLike, *, num_threads: int = 1, out: Float32Array | None = None
    ) -> Float32Array:
        """Return the embeddings [n, dim] of codes [n, M], in `out` where it is given.

        With a rotation, a table of up to 16 MiB is kept once 512 were decoded (pq_decoding). Raises
        InvalidInput for codes of another length or type than uint8.
        """
        matrix = self.checked_codes(codes)
        rows = output(out, (len(matrix), self.embedding_dim), np.float32)
        self._decoder.many(matrix, rows, num_threads)
        return rows

    def search_tables(self, query: ArrayLike) -> SearchTables:
        """Return the tables whose sums over codes are the cosine of query with what they decode to.

        >>> book = PQ8Codebook(np.arange(8.0 * 256).reshape(8, 256, 1))
        >>> codes, cosines = np.zeros((1, 8), np.uint8), np.empty(1, np.float32)
        >>> kernels.adc.cosine(*book.search_tables(book.decode(codes)[0]), codes, cosines)
        >>> cosines.round(6)
        array([1.], dtype=float32)
        """
        return self.table_maker.search_tables(as_vector(query, self.embedding_dim))

    @cached_property
    def _decoder(self) -> Decoder:
        return Decoder(self.prepared)

    @cached_property
    def table_maker(self) -> TableMaker:
        """What makes the tables of queries."""
        return TableMaker(self.prepared)
