"""Single embeddings: sparse vectors, token matrices, and encoded ones."""

from dataclasses import dataclass
from typing import Any, SupportsIndex

import numpy as np

from cgcython import frames, methods
from cgcython.arrays import as_float32, as_integers, as_tokens, require_finite
from cgcython.base import QuantizationMethod
from cgcython.checks import require_whole
from cgcython.errors import DimensionMismatch, InvalidInput
from cgcython.types import (
    Array,
    ArrayLike,
    BytesLike,
    Float32Array,
    TokensLike,
    UInt32Array,
)


def as_bytes(data: BytesLike) -> bytes:
    """Return the bytes of a bytes-like object."""
    try:
        return bytes(memoryview(data))
    except (TypeError, ValueError, BufferError):  # no buffer, a released one, one in pieces
        raise InvalidInput(what="data", expected="bytes", actual=type(data).__name__) from None


@dataclass(frozen=True, eq=False, init=False)
class SparseVector:
    """Indices (u32, ascending) and weights (f32) of the non-zeros of a vector.

    Unsorted indices are sorted, weights of zero left out. Raises InvalidInput for duplicate or
    out-of-range indices, DimensionMismatch for wrong or unequal lengths, NonFiniteValue.

    >>> SparseVector([7, 2], [0.5, 1.0], dimension=10).indices
    array([2, 7], dtype=uint32)
    """

    indices: UInt32Array
    weights: Float32Array
    dimension: int

    def __init__(self, indices: ArrayLike, weights: ArrayLike, dimension: SupportsIndex) -> None:
        self.__dict__.update(_checked(_indices(indices), as_float32(weights), dimension))

    @classmethod
    def trusted(cls, indices: UInt32Array, weights: Float32Array, dimension: int) -> "SparseVector":
        """Return the vector of arrays that a decoder has just checked, without checking again."""
        vector = object.__new__(cls)
        attributes = vector.__dict__
        attributes["indices"] = indices
        attributes["weights"] = weights
        attributes["dimension"] = dimension
        return vector

    @property
    def nnz(self) -> int:
        """The number of non-zeros."""
        return len(self.indices)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SparseVector):
            return NotImplemented
        return (
            self.dimension == other.dimension
            and np.array_equal(self.indices, other.indices)
            and np.array_equal(self.weights, other.weights)
        )


def _checked(indices: Array, weights: Float32Array, given: SupportsIndex) -> dict[str, Any]:
    """Return the attributes of a SparseVector, or say what is wrong."""
    dimension = require_whole(given, "dimension", least=1, most=2**32 - 1)
    if weights.shape != indices.shape:
        raise DimensionMismatch(expected=len(indices), actual=weights.size, what="weights")
    require_finite(weights)
    if np.any(indices[1:] <= indices[:-1]):
        order = np.argsort(indices, kind="stable")
        indices, weights = indices[order], weights[order]
        if np.any(indices[1:] == indices[:-1]):
            raise InvalidInput(what="indices", expected="no duplicates", actual="duplicates")
    if len(indices) and not (indices[0] >= 0 and indices[-1] < dimension):
        outside = int(indices[0] if indices[0] < 0 else indices[-1])
        raise InvalidInput(what="indices", expected=f"0 to {dimension - 1}", actual=outside)
    if not weights.all():
        kept = weights != 0
        indices, weights = indices[kept], weights[kept]
    indices = np.require(indices, np.uint32, ["C", "A"])
    return {"indices": indices, "weights": weights, "dimension": dimension}


def _indices(given: Any) -> Array:
    indices = as_integers(given, "indices")
    if indices.size == 0:
        return np.empty(0, np.uint32)
    if indices.ndim != 1:
        raise DimensionMismatch(expected=1, actual=indices.ndim, what="dimensions of indices")
    return indices


@dataclass(frozen=True, eq=False, init=False)
class TokenEmbeddings:
    """The token matrix of one text, [token_count, dims_per_token] f32."""

    embeddings: Float32Array

    def __init__(self, embeddings: TokensLike) -> None:
        object.__setattr__(self, "embeddings", as_tokens(embeddings))

    @property
    def token_count(self) -> int:
        """The number of tokens."""
        return len(self.embeddings)

    @property
    def dims_per_token(self) -> int:
        """The number of values of a token."""
        return int(self.embeddings.shape[1])


@dataclass(frozen=True)
class QuantizedEmbedding:
    """One encoded embedding: its method, its bytes and what decoding needs besides.

    `original_dim` is the number of values (vocabulary size, values per token).
    """

    method: QuantizationMethod
    original_dim: int
    data: bytes
    metadata: Any

    def __init__(
        self, method: QuantizationMethod, original_dim: int, data: BytesLike, metadata: Any
    ) -> None:
        # A frozen dataclass's own __init__ takes four times as long.
        attributes = self.__dict__
        attributes["method"] = method
        attributes["original_dim"] = original_dim
        attributes["data"] = data if type(data) is bytes else as_bytes(data)
        attributes["metadata"] = metadata

    def to_bytes(self) -> bytes:
        """Return bytes that stand alone, with a version and a checksum, as docs/FORMAT.md says."""
        return frames.write_embedding(self)

    @classmethod
    def from_bytes(cls, data: BytesLike) -> "QuantizedEmbedding":
        """Return what `to_bytes` wrote.

        Raises StorageCorruption for damaged bytes and InvalidQuantizedData for a content that
        contradicts itself.
        """
        return cls(*frames.read_embedding(as_bytes(data)))

    @property
    def size_bytes(self) -> int:
        """The length of `data`."""
        return len(self.data)

    @property
    def original_bytes(self) -> int:
        """The bytes of the same embedding as float32 values, pairs or tokens."""
        codec = methods.declaration(self.method.value)
        return codec.float32_bytes(self.original_dim, self.metadata)

    @property
    def compression_ratio(self) -> float:
        """Original bytes for each stored byte."""
        return self.original_bytes / len(self.data) if self.data else 0.0
