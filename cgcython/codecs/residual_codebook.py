"""The codebook of a residual quantizer: an embedding is a sum of M centroids.

Names are those of faiss's ResidualQuantizer and of Chen et al., Approximate nearest neighbor search
by residual vector quantization (2010): each of M stages has 256 centroids of all values.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Final, Self

import numpy as np

from cgcython import kernels
from cgcython.arrays import as_matrix, as_vector
from cgcython.base import QuantizationMethod
from cgcython.codecs import codebook_file, residual_training
from cgcython.codecs.checks import output
from cgcython.codecs.codebook_base import Codebook, frozen
from cgcython.codecs.residual_search import MOST_STAGES, Encoder, multiplied
from cgcython.errors import InvalidInput
from cgcython.kernels.pq_layout import NUM_CENTROIDS, strips
from cgcython.parallel import split_rows
from cgcython.types import (
    ArrayLike,
    BytesLike,
    Float32Array,
    RowSource,
    TrainingProgress,
    UInt8Array,
)

BLOCK: Final = 256  # rows decoded at once


@dataclass(frozen=True, eq=False, init=False, repr=False)
class RQ8Codebook(Codebook):
    """The 256 centroids [M, 256, width] of each of M stages, one byte of a code for each.

    An embedding is mean [dim] + rotation [dim, width] @ the sum of one centroid of each stage.
    Raises InvalidInput or NonFiniteValue for arrays that make no codebook.

    >>> centroids = np.zeros((2, 256, 2))
    >>> centroids[0, :, 0], centroids[1, :, 1] = np.arange(256), np.arange(256)
    >>> book = RQ8Codebook(centroids, rotation=np.eye(2), mean=np.zeros(2))
    >>> book.decode(book.encode([[7.2, 3.9]]))
    array([[7., 4.]], dtype=float32)
    """

    rotation: Float32Array
    mean: Float32Array

    method: ClassVar = QuantizationMethod.RQ8
    file_kind: ClassVar = codebook_file.RQ8

    def __init__(
        self,
        centroids: ArrayLike,
        rotation: ArrayLike,
        mean: ArrayLike,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        arrays = frozen(centroids), frozen(rotation), frozen(mean)
        _require_fit(*arrays)
        facts = codebook_file.checked_facts(metadata or {})
        named = zip(("centroids", "rotation", "mean"), arrays)
        self.__dict__.update(named, metadata=facts)

    def __repr__(self) -> str:
        return (
            f"RQ8Codebook(embedding_dim={self.embedding_dim}, code_size={self.code_size}, "
            f"width={self.width}, codebook_id={self.codebook_id:#010x})"
        )

    @property
    def embedding_dim(self) -> int:
        """The number of values of an embedding."""
        return len(self.mean)

    @property
    def width(self) -> int:
        """The number of values after the rotation."""
        return int(self.centroids.shape[2])

    @classmethod
    def train(
        cls,
        samples: ArrayLike | RowSource,
        code_size: int = 8,
        seed: int = 0,
        *,
        width: int | None = None,
        sample: int | None = None,
        num_threads: int = 1,
        progress: TrainingProgress | None = None,
        model: str = "",
    ) -> Self:
        """Return the codebook that suits samples [n, dim].

        Arguments, metadata, Ctrl-C, errors and warnings are those of `PQ8Codebook.train`, with
        `code_size` stages of a byte each; the rotation keeps the widest `width` principal axes.
        """
        found, facts = residual_training.train(
            samples,
            code_size=code_size,
            seed=seed,
            width=width,
            sample=sample,
            num_threads=num_threads,
            progress=progress,
        )
        return cls(found.centroids, found.rotation, found.mean, {"model": model, **facts})

    def quantize(self, values: ArrayLike) -> bytes:
        """Return the codes of one embedding, one byte per stage; errors as in `encode`."""
        return self.encode(as_vector(values, self.embedding_dim)[None]).tobytes()

    def dequantize(self, codes: BytesLike) -> Float32Array:
        """Return the embedding that codes stand for.

        Raises InvalidQuantizedData for any other number of bytes.
        """
        data = np.frombuffer(self.checked_bytes(codes), np.uint8)
        rows = np.empty((1, self.embedding_dim), np.float32)
        self._decode_block(data[None], rows)
        decoded: Float32Array = rows[0]
        return decoded

    def encode(
        self, rows: ArrayLike, *, num_threads: int = 1, out: UInt8Array | None = None
    ) -> UInt8Array:
        """Return the codes [n, M] of embeddings [n, dim], in `out` where it is given.

        Raises DimensionMismatch, NonFiniteValue or InvalidInput.
        """
        matrix = as_matrix(rows, self.embedding_dim)
        codes = output(out, (len(matrix), self.code_size), np.uint8)
        split_rows(
            lambda start, stop: self._encoder.encode(matrix[start:stop], codes[start:stop]),
            len(matrix),
            num_threads,
        )
        return codes

    def decode(
        self, codes: ArrayLike, *, num_threads: int = 1, out: Float32Array | None = None
    ) -> Float32Array:
        """Return the embeddings [n, dim] of codes [n, M], in `out` where it is given.

        Raises InvalidInput for codes of another length or type than uint8.
        """
        matrix = self.checked_codes(codes)
        rows = output(out, (len(matrix), self.embedding_dim), np.float32)

        def decode_range(start: int, stop: int) -> None:
            for first in range(start, stop, BLOCK):
                some = slice(first, min(first + BLOCK, stop))
                self._decode_block(matrix[some], rows[some])

        split_rows(decode_range, len(matrix), num_threads)
        return rows

    def norms(self, codes: ArrayLike, num_threads: int = 1) -> Float32Array:
        """Return the L2 norms [n] of what codes [n, M] decode to; errors as there."""
        matrix = self.checked_codes(codes)
        norms = np.empty(len(matrix), np.float32)

        def measure_range(start: int, stop: int) -> None:
            rows = np.empty((min(BLOCK, stop - start), self.embedding_dim), np.float32)
            for first in range(start, stop, BLOCK):
                some = slice(first, min(first + BLOCK, stop))
                own = rows[: some.stop - first]
                self._decode_block(matrix[some], own)
                kernels.dense.norms(own, norms[some])

        split_rows(measure_range, len(matrix), num_threads)
        return norms

    @np.errstate(all="ignore")
    def dot_tables(self, query: ArrayLike) -> tuple[Float32Array, float]:
        """Return the tables [M, 256] and the offset whose sum over codes is a dot product.

        It is that of a query with what the codes decode to.

        >>> book = RQ8Codebook(np.ones((1, 256, 1)), rotation=np.eye(1), mean=np.ones(1))
        >>> tables, offset = book.dot_tables([3.0])
        >>> float(tables[0, 7]), offset
        (3.0, 3.0)
        """
        values = as_vector(query, self.embedding_dim)
        turned = multiplied(values[None], self._forward)[0, : self.width]
        tables = np.empty((self.code_size, NUM_CENTROIDS), np.float32)
        kernels.dense.dot_rows(turned, self.centroids.reshape(-1, self.width), tables.reshape(-1))
        return tables, float(values.astype(np.float64) @ self.mean)

    @cached_property
    def _encoder(self) -> Encoder:
        return Encoder(self.centroids, self._forward, self.mean)

    @cached_property
    def _forward(self) -> Float32Array:
        return strips(self.rotation)

    @cached_property
    def _back(self) -> Float32Array:
        return np.ascontiguousarray(self.rotation.T)

    def _decode_block(self, codes: UInt8Array, rows: Float32Array) -> None:
        sums = np.empty((len(codes), self.width), np.float32)
        kernels.residual.sums(codes, self.centroids, sums)
        kernels.dense.back_project(sums, self._back, self.mean, rows)


def _require_fit(centroids: Float32Array, rotation: Float32Array, mean: Float32Array) -> None:
    M, width = len(centroids) if centroids.ndim else 0, centroids.shape[-1:]
    fits = centroids.ndim == 3 and centroids.shape[1] == NUM_CENTROIDS and centroids.size
    if not fits or M > MOST_STAGES:
        expected = f"[M, {NUM_CENTROIDS}, width], M up to {MOST_STAGES}"
        raise InvalidInput(what="codebook centroids", expected=expected, actual=centroids.shape)
    if mean.ndim != 1 or not mean.size or rotation.shape != mean.shape + width:
        expected = f"a rotation [dim, {width[0]}] and a mean [dim]"
        actual = f"{rotation.shape} and {mean.shape}"
        raise InvalidInput(what="codebook", expected=expected, actual=actual)
