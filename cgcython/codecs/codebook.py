"""The codebook of a product quantizer: centroids, a rotation with its mean, an identity.

Names are those of faiss and of Jégou et al., Product quantization for nearest neighbor search
(2011): M subvectors of dsub values, each with ksub = 256 centroids.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from cgcython import kernels
from cgcython.arrays import as_float32, as_integers, as_matrix, as_vector, require_finite
from cgcython.base import QuantizationMethod
from cgcython.checks import require_mapping, require_whole
from cgcython.codecs import codebook_file, training
from cgcython.codecs.checks import output, require_finite_rows
from cgcython.codecs.pq_decoding import Decoder
from cgcython.codecs.pq_tables import Norms, SearchTables, cosine_tables, norms_of
from cgcython.errors import (
    CodebookCorrupt,
    DimensionMismatch,
    InvalidInput,
    InvalidQuantizedData,
    RecallLossExceeded,
)
from cgcython.files import write_whole
from cgcython.kernels.pq_layout import NUM_CENTROIDS, PreparedCodebook, prepare, scratch
from cgcython.parallel import split_rows
from cgcython.records import as_bytes
from cgcython.tensors import Malformed, told_as_damage
from cgcython.types import ArrayLike, BytesLike, Float32Array, StrPath, UInt8Array
from cgcython.types import TrainingProgress as Progress


@dataclass(frozen=True, eq=False, init=False, repr=False)
class PQ8Codebook:
    """The 256 centroids [M, ksub, dsub] of each of M subvectors of a vector, one byte for each.

    With a rotation [dim, M * dsub] and a mean [dim], the subvectors are those of
    (x - mean) @ rotation. `metadata` is what JSON can hold. All arrays are float32 and read-only.
    Raises InvalidInput or NonFiniteValue for arrays that make no codebook.

    >>> book = PQ8Codebook(np.zeros((8, 256, 1)) + np.arange(256)[:, None])
    >>> book.quantize([0, 1, 2.4, 2.6, 255, 300, -9, 7]).hex()
    '00010203ffff0007'
    """

    centroids: Float32Array
    rotation: Float32Array | None
    mean: Float32Array | None
    metadata: Mapping[str, Any]
    prepared: PreparedCodebook = field(init=False)  # the arrays as the kernels want them

    method: ClassVar = QuantizationMethod.PQ8
    num_centroids: ClassVar = NUM_CENTROIDS

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
        own = _frozen(centroids)
        turn, centre = (None if one is None else _frozen(one) for one in (rotation, mean))
        try:
            prepared = prepare(own, centre, turn)
        except ValueError as error:
            raise InvalidInput(what="codebook", expected="arrays that fit", actual=error) from None
        facts = codebook_file.checked_facts(metadata or {})
        self.__dict__.update(
            centroids=own, rotation=turn, mean=centre, metadata=facts, prepared=prepared
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PQ8Codebook):
            return NotImplemented
        return self.sha256 == other.sha256

    def __hash__(self) -> int:
        return self.codebook_id

    def __repr__(self) -> str:
        return (
            f"PQ8Codebook(embedding_dim={self.embedding_dim}, "
            f"num_subvectors={self.num_subvectors}, width={self.width}, "
            f"codebook_id={self.codebook_id:#010x})"
        )

    def __reduce__(self) -> tuple[type["PQ8Codebook"], tuple[object, ...]]:
        return PQ8Codebook, (self.centroids, self.rotation, self.mean, dict(self.metadata))

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

    @property
    def cost(self) -> float | None:
        """The drop of Recall@10 where it was judged, else the held-out loss, else None."""
        return next(
            (self.metadata[name] for name in codebook_file.COSTS if name in self.metadata), None
        )

    @cached_property
    def sha256(self) -> str:
        """The hash of the arrays, in hexadecimal."""
        return codebook_file.contents_hash(self._arrays())

    @property
    def codebook_id(self) -> int:
        """The number that codes carry: 32 bits of the hash, never 0."""
        return int(self.sha256[:8], 16) or 1

    @classmethod
    def train(
        cls,
        samples: ArrayLike,
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
        be a memory map of any size. `rotation` is "opq" (principal axes balanced over the
        subvectors, then refined), "pca" (not refined) or None; `width` the number of values it
        keeps (chosen on held-out samples unless given). `progress(step, steps, loss)` is called
        after each step. `model` names the embedder, the only one that the codebook then serves.
        The metadata holds the loss on held-out samples and how many of their ten nearest neighbours
        the codes keep, with 95 % intervals. Ctrl-C ends the training with the best codebook so
        far, `interrupted` in its metadata. Raises InvalidInput below 256 samples; warns below 9984.
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

    def with_facts(self, facts: Mapping[str, Any]) -> Self:
        """Return the same codebook with more metadata."""
        return replace(self, metadata={**self.metadata, **require_mapping(facts, "facts")})

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
        data = as_bytes(codes)
        if len(data) != self.num_subvectors:
            lengths = {"expected_bytes": self.num_subvectors, "actual_bytes": len(data)}
            raise InvalidQuantizedData(method=self.method, **lengths)
        return self._decoder.one(data)

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

    def checked_codes(self, codes: ArrayLike) -> UInt8Array:
        """Return codes [n, M] as they lie in memory for kernels; raises InvalidInput."""
        found = codes if type(codes) is np.ndarray else as_integers(codes, "codes")
        if found.dtype != np.uint8 or found.shape[1:] != (self.num_subvectors,):
            expected, actual = f"u8 [n, {self.num_subvectors}]", f"{found.dtype} {found.shape}"
            raise InvalidInput(what="codes", expected=expected, actual=actual)
        return np.ascontiguousarray(found)

    def search_tables(self, query: ArrayLike) -> SearchTables:
        """Return the tables whose sums over codes are the cosine of query with what they decode to.

        >>> book = PQ8Codebook(np.arange(8.0 * 256).reshape(8, 256, 1))
        >>> codes, cosines = np.zeros((1, 8), np.uint8), np.empty(1, np.float32)
        >>> kernels.adc.cosine(*book.search_tables(book.decode(codes)[0]), codes, cosines)
        >>> cosines.round(6)
        array([1.], dtype=float32)
        """
        return cosine_tables(self.prepared, self._norms, as_vector(query, self.embedding_dim))

    @cached_property
    def _decoder(self) -> Decoder:
        return Decoder(self.prepared)

    @cached_property
    def _norms(self) -> Norms:
        return norms_of(self.prepared)

    def save(self, path: StrPath, *, force: bool = False) -> None:
        """Write the codebook to a safetensors file, whole or not at all.

        Raises RecallLossExceeded where its `cost` is over 5 %, unless forced.
        """
        cost, limit = self.cost, self.method.max_recall_loss()
        if cost is not None and cost > limit and not force:
            raise RecallLossExceeded(method=self.method, measured_loss=cost, max_loss=limit)
        write_whole(path, self.to_bytes())

    @classmethod
    def load(cls, path: StrPath, embedding_dim: int | None = None) -> Self:
        """Return the codebook of a file that `save` wrote.

        Raises CodebookMissing, CodebookCorrupt, or DimensionMismatch where it is for embeddings
        of another dimension.
        """
        return cls.from_bytes(codebook_file.read(path), embedding_dim, where=str(path))

    def to_bytes(self) -> bytes:
        """Return the bytes of the codebook's file; equal codebooks and metadata, equal bytes."""
        own = {"dim": self.embedding_dim, "id": self.codebook_id}
        return codebook_file.to_bytes(self._arrays(), {**self.metadata, **own})

    @classmethod
    def from_bytes(
        cls, data: BytesLike, embedding_dim: int | None = None, *, where: str = "bytes"
    ) -> Self:
        """Return the codebook of the bytes of a file; errors as in `load`."""
        arrays, facts = codebook_file.from_bytes(data, where)
        claims = facts.pop("dim", None), facts.pop("id", None)
        with told_as_damage(where, CodebookCorrupt):
            book = cls(**arrays, metadata=facts)
            if claims != (book.embedding_dim, book.codebook_id):
                raise Malformed("its metadata are of another codebook")
        if embedding_dim is not None and (
            require_whole(embedding_dim, "embedding_dim") != book.embedding_dim
        ):
            raise DimensionMismatch(
                expected=embedding_dim, actual=book.embedding_dim, what="values in the codebook"
            )
        return book

    def _arrays(self) -> dict[str, Float32Array]:
        named = {"centroids": self.centroids, "rotation": self.rotation, "mean": self.mean}
        return {name: array for name, array in named.items() if array is not None}


def _frozen(array: ArrayLike) -> Float32Array:
    own = np.array(as_float32(array), order="C")
    require_finite(own)
    own.flags.writeable = False
    return own
