"""One embedder's inputs as arrays: dense rows, sparse rows or token matrices."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from cgcython.arrays import as_float32
from cgcython.base import QuantizationMethod
from cgcython.codecs.base import InputKind, codec_class
from cgcython.errors import DimensionMismatch, InvalidInput
from cgcython.narrow_floats import Rows, conversion, is_real
from cgcython.records import SparseVector
from cgcython.types import Array, Float32Array, Int64Array


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

    def __getitem__(self, index: int) -> Array:
        row: Array = self.values[index]
        return row

    def batch(self, start: int, stop: int) -> Float32Array:
        """Return rows start to stop as the batch encoders take them."""
        return as_float32(self.values[start:stop])


@dataclass(frozen=True, eq=False)
class SparseColumn:
    """CSR arrays; the vocabulary is the profile's, set by `check_dimension`."""

    indptr: Array
    indices: Array
    weights: Rows
    dimension: int = 0

    parts = ("indptr", "indices", "weights")

    def __post_init__(self) -> None:
        _require(self.indptr, "indptr", "whole numbers", 1)
        _require(self.indices, "indices", "whole numbers", 1)
        _require(self.weights, "weights", "numbers", 1)
        _require_offsets(self.indptr, len(self.indices), "indptr")
        _match(len(self.indices), len(self.weights), "weights")

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def check_dimension(self, dimension: int) -> None:
        """Take the dimension of the vectors, which their columns do not tell."""
        object.__setattr__(self, "dimension", dimension)

    def __getitem__(self, index: int) -> SparseVector:
        row = slice(int(self.indptr[index]), int(self.indptr[index + 1]))
        return SparseVector(self.indices[row], self.weights[row], self.dimension)

    def batch(self, start: int, stop: int) -> tuple[Int64Array, Array, Float32Array, int]:
        """Return vectors start to stop as the batch encoders take them."""
        first, last = int(self.indptr[start]), int(self.indptr[stop])
        indptr = np.asarray(self.indptr[start : stop + 1], np.int64) - first
        weights = as_float32(self.weights[first:last])
        return indptr, self.indices[first:last], weights, self.dimension


@dataclass(frozen=True, eq=False)
class TokenColumn:
    """The tokens of all texts in one matrix, and where each text begins."""

    values: Rows
    offsets: Array

    parts = ("values", "offsets")

    def __post_init__(self) -> None:
        _require(self.values, "values", "numbers", 2)
        _require(self.offsets, "offsets", "whole numbers", 1)
        _require_offsets(self.offsets, len(self.values), "offsets")

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def check_dimension(self, dimension: int) -> None:
        """Raise DimensionMismatch unless the rows are of this dimension."""
        _match(dimension, self.values.shape[1], "values per token")

    def __getitem__(self, index: int) -> Array:
        return self.values[int(self.offsets[index]) : int(self.offsets[index + 1])]

    def batch(self, start: int, stop: int) -> list[Float32Array]:
        """Return the token matrices start to stop as the batch encoders take them."""
        return [as_float32(self[i]) for i in range(start, stop)]


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


def _require_offsets(offsets: Array, total: int, name: str) -> None:
    ascend = np.all(offsets[1:] >= offsets[:-1])  # differences near 2**63 would wrap around
    if not (len(offsets) and offsets[0] == 0 and offsets[-1] == total and ascend):
        raise InvalidInput(
            what=name,
            expected=f"ascending positions from 0 to {total}",
            actual=f"{len(offsets)} positions that are not",
        )


def _match(expected: int, actual: int, what: str) -> None:
    if expected != actual:
        raise DimensionMismatch(expected=expected, actual=actual, what=what)
