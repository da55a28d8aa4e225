"""What codebooks of every kind share: an identity, a file, and the refusals of both."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from cgcython import methods
from cgcython.arrays import as_float32, as_integers, require_finite
from cgcython.base import QuantizationMethod
from cgcython.checks import require_mapping, require_whole
from cgcython.codecs import codebook_file
from cgcython.errors import (
    CodebookCorrupt,
    DimensionMismatch,
    InvalidInput,
    InvalidQuantizedData,
    RecallLossExceeded,
)
from cgcython.files import write_whole
from cgcython.kernels.pq_layout import NUM_CENTROIDS
from cgcython.records import as_bytes
from cgcython.tensors import Malformed, told_as_damage
from cgcython.types import ArrayLike, BytesLike, Float32Array, StrPath, UInt8Array


@dataclass(frozen=True, eq=False, init=False, repr=False)
class Codebook(ABC):
    """M times 256 centroids, of which the bytes of a code name one each.

    All arrays are float32 and read-only; `metadata` is what JSON can hold. Codebooks are equal
    where their kinds and arrays are.
    """

    centroids: Float32Array  # [M, 256, ...]
    rotation: Float32Array | None
    mean: Float32Array | None
    metadata: Mapping[str, Any]

    method: ClassVar[QuantizationMethod]
    file_kind: ClassVar[codebook_file.Kind]
    num_centroids: ClassVar = NUM_CENTROIDS
    _kinds: ClassVar[dict[str, Any]] = {}  # by the format of their files

    @abstractmethod
    def __init__(
        self,
        centroids: ArrayLike,
        rotation: ArrayLike,
        mean: ArrayLike,
        metadata: Mapping[str, Any] | None = None,
    ) -> None: ...

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        Codebook._kinds[cls.file_kind.format] = cls

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Codebook):
            return NotImplemented
        return (self.file_kind, self.sha256) == (other.file_kind, other.sha256)

    def __hash__(self) -> int:
        return self.codebook_id

    def __reduce__(self) -> tuple[type["Codebook"], tuple[object, ...]]:
        return type(self), (self.centroids, self.rotation, self.mean, dict(self.metadata))

    @property
    @abstractmethod
    def embedding_dim(self) -> int:
        """The number of values of an embedding."""

    @property
    @abstractmethod
    def width(self) -> int:
        """The number of values after the rotation, which are what is coded."""

    @abstractmethod
    def quantize(self, values: ArrayLike) -> bytes:
        """Return the codes of one embedding; errors as in `encode`."""

    @abstractmethod
    def dequantize(self, codes: BytesLike) -> Float32Array:
        """Return the embedding that codes stand for.

        Raises InvalidQuantizedData for any other number of bytes.
        """

    @abstractmethod
    def encode(
        self, rows: ArrayLike, *, num_threads: int = 1, out: UInt8Array | None = None
    ) -> UInt8Array:
        """Return the codes [n, M] of embeddings [n, dim], in `out` where it is given.

        Raises DimensionMismatch, NonFiniteValue or InvalidInput.
        """

    @abstractmethod
    def decode(
        self, codes: ArrayLike, *, num_threads: int = 1, out: Float32Array | None = None
    ) -> Float32Array:
        """Return the embeddings [n, dim] of codes [n, M], in `out` where it is given.

        Raises InvalidInput for codes of another length or type than uint8.
        """

    @property
    def code_size(self) -> int:
        """M, the bytes of the codes of one embedding, in every kind of codebook."""
        return len(self.centroids)

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

    def with_facts(self, facts: Mapping[str, Any]) -> Self:
        """Return the same codebook with more metadata."""
        return replace(self, metadata={**self.metadata, **require_mapping(facts, "facts")})

    def checked_codes(self, codes: ArrayLike) -> UInt8Array:
        """Return codes [n, M] as they lie in memory for kernels; raises InvalidInput."""
        found = codes if type(codes) is np.ndarray else as_integers(codes, "codes")
        if found.dtype != np.uint8 or found.shape[1:] != (self.code_size,):
            expected, actual = f"u8 [n, {self.code_size}]", f"{found.dtype} {found.shape}"
            raise InvalidInput(what="codes", expected=expected, actual=actual)
        return np.ascontiguousarray(found)

    def checked_bytes(self, codes: BytesLike) -> bytes:
        """Return the codes of one embedding; raises InvalidQuantizedData for another length."""
        data = as_bytes(codes)
        if len(data) != self.code_size:
            lengths = {"expected_bytes": self.code_size, "actual_bytes": len(data)}
            raise InvalidQuantizedData(method=self.method, **lengths)
        return data

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
        """Return the codebook of a file that `save` wrote: `Codebook` of any kind, others theirs.

        Raises CodebookMissing, CodebookCorrupt, or DimensionMismatch where it is for embeddings
        of another dimension.
        """
        method = getattr(cls, "method", QuantizationMethod.PQ8)  # what reads any kind has none
        data = codebook_file.read(path, method.value)
        return cls.from_bytes(data, embedding_dim, where=str(path))

    def to_bytes(self) -> bytes:
        """Return the bytes of the codebook's file; equal codebooks and metadata, equal bytes."""
        own = {"dim": self.embedding_dim, "id": self.codebook_id}
        return codebook_file.to_bytes(self._arrays(), {**self.metadata, **own}, self.file_kind)

    @classmethod
    def from_bytes(
        cls, data: BytesLike, embedding_dim: int | None = None, *, where: str = "bytes"
    ) -> Self:
        """Return the codebook of the bytes of a file; errors as in `load`."""
        kinds = cls.kinds()
        files = [one.file_kind for one in kinds.values()]
        kind, arrays, facts = codebook_file.from_bytes(data, where, files)
        claims = facts.pop("dim", None), facts.pop("id", None)
        with told_as_damage(where, CodebookCorrupt):
            book: Self = kinds[kind.format](**arrays, metadata=facts)
            if claims != (book.embedding_dim, book.codebook_id):
                raise Malformed("its metadata are of another codebook")
        if embedding_dim is not None and (
            require_whole(embedding_dim, "embedding_dim") != book.embedding_dim
        ):
            raise DimensionMismatch(
                expected=embedding_dim, actual=book.embedding_dim, what="values in the codebook"
            )
        return book

    @classmethod
    def kinds(cls) -> dict[str, type[Self]]:
        """Return the kinds of codebooks that are of this class, by the format of their files."""
        methods.import_own()
        return {name: one for name, one in Codebook._kinds.items() if issubclass(one, cls)}

    def _arrays(self) -> dict[str, Float32Array]:
        named = {"centroids": self.centroids, "rotation": self.rotation, "mean": self.mean}
        return {name: array for name, array in named.items() if array is not None}


def frozen(array: ArrayLike) -> Float32Array:
    """Return a read-only float32 copy of an array; raises NonFiniteValue."""
    own = np.array(as_float32(array), order="C")
    require_finite(own)
    own.flags.writeable = False
    return own
