"""How tokens lie in memory at each precision, and how they get there and back."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from cgcython import kernels
from cgcython.checks import require_choice
from cgcython.errors import NonFiniteValue
from cgcython.parallel import split_rows
from cgcython.token_array import lookup
from cgcython.types import Array, CodebookLike, Float32Array

SLAB = 4096  # tokens transformed at a time


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


class _Float32(Precision):
    name, dtype = "float32", np.float32

    def encode(
        self, values: Float32Array, codebook: object, num_threads: int
    ) -> tuple[Array, None]:
        return values, None

    def decode(
        self, codes: Array, scales: object, dim: int, codebook: object, num_threads: int
    ) -> Float32Array:
        return codes

    def write_norms(
        self, codes: Array, scales: object, dim: int, codebook: object, out: Float32Array
    ) -> None:
        kernels.maxsim.inverse_norms(codes, out)


class _ProductQuantization(Precision):
    name, dtype = "pq", np.uint8

    def encode(
        self, values: Float32Array, codebook: CodebookLike | None, num_threads: int
    ) -> tuple[Array, None]:
        return _given(codebook).encode(values, num_threads=num_threads), None

    def decode(
        self,
        codes: Array,
        scales: object,
        dim: int,
        codebook: CodebookLike | None,
        num_threads: int,
    ) -> Float32Array:
        values: Float32Array = _given(codebook).decode(codes, num_threads=num_threads)
        return values

    def write_norms(
        self,
        codes: Array,
        scales: object,
        dim: int,
        codebook: CodebookLike | None,
        out: Float32Array,
    ) -> None:
        kernels.maxsim_pq.inverse_norms(lookup.squares(_given(codebook)), codes, out)


class _ByRows(Precision):
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


class _BFloat16(_ByRows):
    name, dtype = "bfloat16", np.uint16

    def encode_rows(self, values: Float32Array, codes: Array, scales: object) -> int:
        return kernels.maxsim_bf16.encode(values.reshape(-1), codes.reshape(-1))

    def decode_rows(self, codes: Array, scales: object, values: Float32Array) -> None:
        kernels.maxsim_bf16.decode(codes.reshape(-1), values.reshape(-1))

    def write_norms(
        self, codes: Array, scales: object, dim: int, codebook: object, out: Float32Array
    ) -> None:
        kernels.maxsim_bf16.inverse_norms(codes, out)


class _E4M3(_ByRows):
    name, dtype, has_scales = "e4m3", np.uint8, True

    def encode_rows(self, values: Float32Array, codes: Array, scales: Float32Array) -> int:
        return kernels.e4m3.encode_rows(values, codes, scales)

    def decode_rows(self, codes: Array, scales: Float32Array, values: Float32Array) -> None:
        kernels.e4m3.decode_rows(codes, scales, values)

    def write_norms(
        self, codes: Array, scales: object, dim: int, codebook: object, out: Float32Array
    ) -> None:
        kernels.maxsim.inverse_norms_codes(codes, out)


class _Integers(_ByRows):
    """Integers of `bits` bits each."""

    bits: ClassVar[int]
    widest = 4096

    def write_norms(
        self,
        codes: Array,
        scales: Float32Array | None,
        dim: int,
        codebook: object,
        out: Float32Array,
    ) -> None:
        kernels.maxsim_integers.inverse_norms(codes.view(np.uint8), self.bits, dim, scales, out)


class _Int8(_Integers):
    name, dtype, has_scales, bits = "int8", np.int8, True, 8

    def encode_rows(self, values: Float32Array, codes: Array, scales: Float32Array) -> int:
        return kernels.maxsim_integers.encode_rows(values, 8, codes.view(np.uint8), scales)

    def decode_rows(self, codes: Array, scales: Float32Array, values: Float32Array) -> None:
        kernels.maxsim_integers.decode_rows(codes.view(np.uint8), 8, scales, values)


class _Transformed(_Integers):
    """So few bits have one step for all dimensions, which suits tokens that are transformed."""

    dtype, has_scales = np.uint8, True

    def encode_rows(self, values: Float32Array, codes: Array, scales: Float32Array) -> int:
        found = kernels.dense.first_nonfinite(values.reshape(-1))
        for start in range(0, len(values) if found < 0 else 0, SLAB):
            rows = slice(start, start + SLAB)
            some = hadamard(values[rows])
            kernels.maxsim_integers.encode_rows(some, self.bits, codes[rows], scales[rows])
        return found

    def decode_rows(self, codes: Array, scales: Float32Array, values: Float32Array) -> None:
        kernels.maxsim_integers.decode_rows(codes, self.bits, scales, values)
        kernels.dense.turn_rows(values, values, True)


class _Int4(_Transformed):
    name, per_item, bits = "int4", 2, 4


class _Int2(_Transformed):
    name, per_item, bits = "int2", 4, 2


class _Sign(_Integers):
    """Signs of values as they are: of codes made elsewhere or earlier; `quantize` makes others."""

    name, dtype, per_item, bits = "sign", np.uint8, 8, 1

    def encode_rows(self, values: Float32Array, codes: Array, scales: object) -> int:
        return kernels.bits.pack_rows(values, 0.0, codes)

    def decode_rows(self, codes: Array, scales: object, values: Float32Array) -> None:
        kernels.bits.unpack_rows(codes, values)


class _HadamardSign(_Sign):
    """Signs of transformed tokens, which keep more of a cosine."""

    name = "hadamard_sign"

    def encode_rows(self, values: Float32Array, codes: Array, scales: object) -> int:
        found = kernels.dense.first_nonfinite(values.reshape(-1))
        for start in range(0, len(values) if found < 0 else 0, SLAB):
            rows = slice(start, start + SLAB)
            super().encode_rows(hadamard(values[rows]), codes[rows], scales)
        return found

    def decode_rows(self, codes: Array, scales: object, values: Float32Array) -> None:
        super().decode_rows(codes, scales, values)
        kernels.dense.turn_rows(values, values, True)


_KINDS = (
    _Float32,
    _BFloat16,
    _E4M3,
    _Int8,
    _Int4,
    _Int2,
    _HadamardSign,
    _Sign,
    _ProductQuantization,
)
PRECISIONS: dict[str, Precision] = {kind.name: kind() for kind in _KINDS}


def precision_of(name: object) -> Precision:
    """Return the Precision of a name; raises InvalidInput."""
    return PRECISIONS[require_choice(name, "precision", PRECISIONS)]


def precision_made(name: object) -> Precision:
    """Return the Precision that `quantize` makes where it is asked for a name; InvalidInput.

    Asked for signs it makes those of transformed tokens.
    """
    chosen = precision_of(name)
    return PRECISIONS[_HadamardSign.name if chosen.name == _Sign.name else chosen.name]


def hadamard(tokens: Float32Array) -> Float32Array:
    """Return the transformed tokens that codes of int4, int2 and hadamard_sign are of.

    A query that meets such codes is transformed too.
    """
    transformed = np.empty_like(tokens)
    kernels.dense.turn_rows(tokens, transformed)
    return transformed


def _given(codebook: CodebookLike | None) -> Any:
    """Return the codebook that a TokenArray of precision `pq` always has."""
    assert codebook is not None
    return codebook
