"""The frozen values that travel between layers."""

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cgcython import frames
from cgcython.arrays import as_float32, as_tokens, require_finite
from cgcython.base import QuantizationMethod
from cgcython.errors import DimensionMismatch, InvalidInput
from cgcython.metadata import SparseMetadata, TokenPruningMetadata


def as_bytes(data):
    """Return the bytes of a bytes-like object."""
    try:
        return bytes(memoryview(data))
    except TypeError:
        raise InvalidInput(what="data", expected="bytes", actual=type(data).__name__) from None


@dataclass(frozen=True, eq=False)
class SparseVector:
    """Indices (u32, ascending) and weights (f32) of the non-zeros of a vector.

    Unsorted indices are sorted. Raises InvalidInput for duplicate or out-of-range indices,
    DimensionMismatch for unequal lengths, NonFiniteValue.

    >>> SparseVector([7, 2], [0.5, 1.0], dimension=10).indices
    array([2, 7], dtype=uint32)
    """

    indices: np.ndarray
    weights: np.ndarray
    dimension: int

    def __post_init__(self):
        indices, weights = _indices(self.indices), as_float32(self.weights)
        dimension = _dimension(self.dimension)
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
        indices = np.require(indices, np.uint32, ["C", "A"])
        self.__dict__.update(indices=indices, weights=weights, dimension=dimension)

    @classmethod
    def trusted(cls, indices, weights, dimension):
        """Return the vector of arrays that a decoder has just checked, without checking again."""
        vector = object.__new__(cls)
        attributes = vector.__dict__
        attributes["indices"] = indices
        attributes["weights"] = weights
        attributes["dimension"] = dimension
        return vector

    @property
    def nnz(self):
        """The number of non-zeros."""
        return len(self.indices)

    def __eq__(self, other):
        if not isinstance(other, SparseVector):
            return NotImplemented
        return (
            self.dimension == other.dimension
            and np.array_equal(self.indices, other.indices)
            and np.array_equal(self.weights, other.weights)
        )


def _indices(indices):
    indices = np.asarray(indices)
    if indices.size == 0:
        return np.empty(0, np.uint32)
    if indices.ndim != 1 or indices.dtype.kind not in "ui":
        actual = f"{indices.dtype} {indices.shape}"
        raise InvalidInput(what="indices", expected="whole numbers in one dimension", actual=actual)
    return indices


def _dimension(dimension):
    try:
        number = operator.index(dimension)
    except TypeError:
        number = 0
    if not 1 <= number < 2**32:
        raise InvalidInput(what="dimension", expected="1 to 2**32 - 1", actual=dimension)
    return number


@dataclass(frozen=True, eq=False)
class TokenEmbeddings:
    """The token matrix of one text, [token_count, dims_per_token] f32."""

    embeddings: np.ndarray

    def __post_init__(self):
        object.__setattr__(self, "embeddings", as_tokens(self.embeddings))

    @property
    def token_count(self):
        return self.embeddings.shape[0]

    @property
    def dims_per_token(self):
        return self.embeddings.shape[1]


@dataclass(frozen=True)
class QuantizedEmbedding:
    """One encoded embedding: its method, its bytes and what decoding needs besides.

    `original_dim` is the number of values (vocabulary size, values per token).
    """

    method: QuantizationMethod
    original_dim: int
    data: bytes
    metadata: Any

    def __init__(self, method, original_dim, data, metadata):
        # A frozen dataclass's own __init__ takes four times as long.
        attributes = self.__dict__
        attributes["method"] = method
        attributes["original_dim"] = original_dim
        attributes["data"] = data if type(data) is bytes else as_bytes(data)
        attributes["metadata"] = metadata

    def to_bytes(self):
        """Return a versioned record with a checksum; docs/FORMAT.md has every byte."""
        return frames.write_record(self)

    @classmethod
    def from_bytes(cls, record):
        """Return what `to_bytes` wrote.

        Raises StorageCorruption for damaged bytes and InvalidQuantizedData for a content that
        contradicts itself.
        """
        return cls(*frames.read_record(as_bytes(record)))

    @property
    def size_bytes(self):
        """The length of `data`."""
        return len(self.data)

    @property
    def original_bytes(self):
        """The bytes of the same embedding as float32 values, pairs or tokens."""
        match self.metadata:
            case SparseMetadata(nnz=nnz):
                return 8 * nnz
            case TokenPruningMetadata(original_tokens=tokens):
                return 4 * tokens * self.original_dim
        return 4 * self.original_dim

    @property
    def compression_ratio(self):
        """Original bytes for each stored byte."""
        return self.original_bytes / len(self.data) if self.data else 0.0


@dataclass(frozen=True, eq=False)
class QuantizedBatch:
    """Many encoded embeddings of one embedder as columns, ready to map, scan or store.

    Columns by method: float8 `codes [n, dim] u8, scales [n] f32`; binary `codes [n, bytes] u8`;
    pq8 `codes [n, M] u8`; sparse and tokens `data [bytes] u8, offsets [n + 1] i64`, where row i
    is the payload `data[offsets[i]:offsets[i + 1]]`, and for tokens `original_tokens [n] u32`.
    `shared` is what all rows have in common (codebook_id, threshold, layout...).
    """

    method: QuantizationMethod
    original_dim: int
    columns: Mapping[str, np.ndarray]
    shared: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self):
        if "offsets" in self.columns:
            return len(self.columns["offsets"]) - 1
        return len(self.columns["codes"])

    @property
    def nbytes(self):
        """The bytes of all columns."""
        return sum(column.nbytes for column in self.columns.values())
