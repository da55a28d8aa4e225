"""One embedder's inputs as arrays: dense rows, sparse rows or token matrices."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from cgcython.arrays import as_float32
from cgcython.base import QuantizationMethod
from cgcython.checksums import crc32
from cgcython.codecs.base import InputKind, codec_class
from cgcython.errors import DimensionMismatch, InvalidInput
from cgcython.inputs.stretches import bounds_within, read_rows, require_offsets, rows_crc32
from cgcython.narrow_floats import Rows, conversion, is_real
from cgcython.records import SparseVector
from cgcython.types import Array, Float32Array, Int64Array, LazyArray


@dataclass(frozen=True, eq=False)
class DenseColumn:
    """A matrix, one row per embedding."""

    values: Rows

    parts = ("values",)

    def __post_init__(self) -> None:
        _require(self.values, "values", "numbers", 2)

    def __len__(self) -> int:
        return len(self.values)

    def check_dimension(self, dimension: int) -> None:
        """Raise DimensionMismatch unless the rows are of this dimension."""
        _match(dimension, self.values.shape[1], "values")

    @property
    def mean_bytes(self) -> float:
        """The bytes of an embedding as float32, on average."""
        return 4.0 * self.values.shape[1]

    def __getitem__(self, index: int) -> Array:
        row: Array = self.values[index]
        return row

    def some(self, start: int, stop: int) -> list[Array]:
        """Return rows start to stop, read at once."""
        return list(self.values[start:stop])

    def piece(self, start: int, stop: int) -> "DenseColumn":
        """Return the column of rows start to stop alone, read once."""
        return DenseColumn(read_rows(self.values, start, stop))

    def batch(self, start: int, stop: int) -> Float32Array:
        """Return rows start to stop as the batch encoders take them."""
        return as_float32(self.values[start:stop])

    def checksum(self, start: int, stop: int) -> int:
        """Return the CRC-32 of rows start to stop as they lie."""
        return rows_crc32(self.values, start, stop)


@dataclass(frozen=True, eq=False)
class SparseColumn:
    """CSR arrays; the vocabulary is the profile's, set by `check_dimension`."""

    indptr: Array | LazyArray
    indices: Array | LazyArray
    weights: Rows
    dimension: int = 0

    parts = ("indptr", "indices", "weights")

    def __post_init__(self) -> None:
        _require(self.indptr, "indptr", "whole numbers", 1)
        _require(self.indices, "indices", "whole numbers", 1)
        _require(self.weights, "weights", "numbers", 1)
        require_offsets(self.indptr, len(self.indices), "indptr")
        _match(len(self.indices), len(self.weights), "weights")

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def check_dimension(self, dimension: int) -> None:
        """Take the dimension of the vectors, which their columns do not tell."""
        object.__setattr__(self, "dimension", dimension)

    @property
    def mean_bytes(self) -> float:
        """The bytes of an embedding as float32, on average, its indices among them."""
        return 8.0 * len(self.indices) / max(1, len(self))

    def __getitem__(self, index: int) -> SparseVector:
        return self.some(index, index + 1)[0]

    def some(self, start: int, stop: int) -> list[SparseVector]:
        """Return vectors start to stop, read at once."""
        bounds, first, last = self._bounds(start, stop)
        indices, weights = self.indices[first:last], self.weights[first:last]
        return [
            SparseVector(indices[low:high], weights[low:high], self.dimension)
            for low, high in pairwise(bounds.tolist())
        ]

    def piece(self, start: int, stop: int) -> "SparseColumn":
        """Return the column of vectors start to stop alone, read once."""
        bounds, first, last = self._bounds(start, stop)
        indices, weights = (
            np.asarray(self.indices[first:last]),
            read_rows(self.weights, first, last),
        )
        return SparseColumn(bounds, indices, weights, self.dimension)

    def batch(self, start: int, stop: int) -> tuple[Int64Array, Array, Float32Array, int]:
        """Return vectors start to stop as the batch encoders take them."""
        bounds, first, last = self._bounds(start, stop)
        weights = as_float32(self.weights[first:last])
        return bounds, self.indices[first:last], weights, self.dimension

    def checksum(self, start: int, stop: int) -> int:
        """Return the CRC-32 of vectors start to stop as they lie, their bounds counted from 0."""
        bounds, first, last = self._bounds(start, stop)
        crc = rows_crc32(self.indices, first, last, crc32(bounds.data))
        return rows_crc32(self.weights, first, last, crc)

    def _bounds(self, start: int, stop: int) -> tuple[Int64Array, int, int]:
        return bounds_within(self.indptr, start, stop, len(self.indices), "indptr")


@dataclass(frozen=True, eq=False)
class TokenColumn:
    """The tokens of all texts in one matrix, and where each text begins."""

    values: Rows
    offsets: Array | LazyArray

    parts = ("values", "offsets")

    def __post_init__(self) -> None:
        _require(self.values, "values", "numbers", 2)
        _require(self.offsets, "offsets", "whole numbers", 1)
        require_offsets(self.offsets, len(self.values), "offsets")

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def check_dimension(self, dimension: int) -> None:
        """Raise DimensionMismatch unless the rows are of this dimension."""
        _match(dimension, self.values.shape[1], "values per token")

    @property
    def mean_bytes(self) -> float:
        """The bytes of an embedding as float32, on average."""
        return 4.0 * math.prod(self.values.shape) / max(1, len(self))

    def __getitem__(self, index: int) -> Array:
        return self.some(index, index + 1)[0]

    def some(self, start: int, stop: int) -> list[Array]:
        """Return the token matrices start to stop, read at once."""
        bounds, first, last = self._bounds(start, stop)
        values = self.values[first:last]
        return [values[low:high] for low, high in pairwise(bounds.tolist())]

    def piece(self, start: int, stop: int) -> "TokenColumn":
        """Return the column of texts start to stop alone, read once."""
        bounds, first, last = self._bounds(start, stop)
        return TokenColumn(read_rows(self.values, first, last), bounds)

    def batch(self, start: int, stop: int) -> list[Float32Array]:
        """Return the token matrices start to stop as the batch encoders take them."""
        bounds, first, last = self._bounds(start, stop)
        values = as_float32(self.values[first:last])
        return [values[low:high] for low, high in pairwise(bounds.tolist())]

    def checksum(self, start: int, stop: int) -> int:
        """Return the CRC-32 of texts start to stop as they lie, their bounds counted from 0."""
        bounds, first, last = self._bounds(start, stop)
        return rows_crc32(self.values, first, last, crc32(bounds.data))

    def _bounds(self, start: int, stop: int) -> tuple[Int64Array, int, int]:
        return bounds_within(self.offsets, start, stop, len(self.values), "offsets")


Column: TypeAlias = DenseColumn | SparseColumn | TokenColumn
Embedding: TypeAlias = Array | SparseVector


def kind_of(method: QuantizationMethod) -> type[Column]:
    """Return the kind of column that a method encodes."""
    return _KINDS[codec_class(method).inputs]


_KINDS: dict[InputKind, type[Column]] = {
    InputKind.DENSE: DenseColumn,
    InputKind.SPARSE: SparseColumn,
    InputKind.TOKENS: TokenColumn,
}


def _require(array: Rows, name: str, numbers: str, ndim: int) -> None:
    fits = is_real(array.dtype) if numbers == "numbers" else array.dtype.kind in "iu"
    if fits and array.ndim == ndim:
        return
    remedy = "" if fits else f"; {conversion(array.dtype)}"
    raise InvalidInput(
        what=name,
        expected=f"{numbers} in {ndim} dimension{'s' * (ndim > 1)}",
        actual=f"{array.dtype} {list(array.shape)}{remedy}",
    )


def _match(expected: int, actual: int, what: str) -> None:
    if expected != actual:
        raise DimensionMismatch(expected=expected, actual=actual, what=what)
