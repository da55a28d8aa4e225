"""What a precision of tokens is: how they are coded, decoded and measured."""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from cgcython.errors import NonFiniteValue
from cgcython.parallel import split_rows
from cgcython.types import Array, CodebookLike, Float32Array


class Precision(ABC):
    """One way to store tokens: `dtype` items of `per_item` values each, of at most `widest`.

    Some have a scale for each token; the others have None in its place.
    """

    name: ClassVar[str]
    dtype: ClassVar[type[np.generic]]
    per_item: ClassVar[int] = 1
    has_scales: ClassVar[bool] = False
    widest: ClassVar[int | None] = None

    def width(self, dim: int) -> int:
        """Return the items per token of `dim` values."""
        return -(-dim // self.per_item)

    @abstractmethod
    def encode(
        self, values: Float32Array, codebook: CodebookLike | None, num_threads: int
    ) -> tuple[Array, Float32Array | None]:
        """Return (codes, scales or None) of tokens [n, dim]; raises NonFiniteValue."""

    @abstractmethod
    def decode(
        self,
        codes: Array,
        scales: Float32Array | None,
        dim: int,
        codebook: CodebookLike | None,
        num_threads: int,
    ) -> Float32Array:
        """Return the tokens [n, dim] of codes; without scales each counts as 1."""

    @abstractmethod
    def write_norms(
        self,
        codes: Array,
        scales: Float32Array | None,
        dim: int,
        codebook: CodebookLike | None,
        out: Float32Array,
    ) -> None:
        """Write what MaxSim multiplies the products of some codes with: one over their length."""


class ByRows(Precision):
    """A precision whose tokens are coded one by one, by `encode_rows` and `decode_rows`.

    Both are given scales where the precision has them. `encode_rows` returns the flat index of the
    first value that is not finite, or -1.
    """

    def encode(
        self, values: Float32Array, codebook: object, num_threads: int
    ) -> tuple[Array, Float32Array | None]:
        codes = np.empty((len(values), self.width(values.shape[1])), self.dtype)
        scales = np.empty(len(values) if self.has_scales else 0, np.float32)

        def encode_range(start: int, stop: int) -> None:
            rows = slice(start, stop)
            first = self.encode_rows(values[rows], codes[rows], scales[rows])
            if first >= 0:
                index = start * values.shape[1] + first
                raise NonFiniteValue(index=index, value=float(values.flat[index]))

        if codes.size:
            split_rows(encode_range, len(values), num_threads)
        return codes, scales if self.has_scales else None

    def decode(
        self,
        codes: Array,
        scales: Float32Array | None,
        dim: int,
        codebook: object,
        num_threads: int,
    ) -> Float32Array:
        values = np.empty((len(codes), dim), np.float32)
        factors = np.ones(len(codes), np.float32) if scales is None else scales

        def decode_range(start: int, stop: int) -> None:
            rows = slice(start, stop)
            self.decode_rows(codes[rows], factors[rows], values[rows])

        if values.size:
            split_rows(decode_range, len(values), num_threads)
        return values

    @abstractmethod
    def encode_rows(self, values: Float32Array, codes: Array, scales: Float32Array) -> int: ...

    @abstractmethod
    def decode_rows(self, codes: Array, scales: Float32Array, values: Float32Array) -> None: ...
