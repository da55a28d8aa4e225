"""How tokens lie in memory at each precision, and how they get there and back."""

from typing import Any

import numpy as np

from cgcython import kernels
from cgcython.checks import require_choice
from cgcython.token_array import lookup
from cgcython.token_array.integers import HadamardSign, Int2, Int4, Int8, Sign
from cgcython.token_array.precision import ByRows, Precision
from cgcython.types import Array, CodebookLike, Float32Array


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


class _BFloat16(ByRows):
    name, dtype = "bfloat16", np.uint16

    def encode_rows(self, values: Float32Array, codes: Array, scales: object) -> int:
        return kernels.maxsim_bf16.encode(values.reshape(-1), codes.reshape(-1))

    def decode_rows(self, codes: Array, scales: object, values: Float32Array) -> None:
        kernels.maxsim_bf16.decode(codes.reshape(-1), values.reshape(-1))

    def write_norms(
        self, codes: Array, scales: object, dim: int, codebook: object, out: Float32Array
    ) -> None:
        kernels.maxsim_bf16.inverse_norms(codes, out)


class _E4M3(ByRows):
    name, dtype, has_scales = "e4m3", np.uint8, True

    def encode_rows(self, values: Float32Array, codes: Array, scales: Float32Array) -> int:
        return kernels.e4m3.encode_rows(values, codes, scales)

    def decode_rows(self, codes: Array, scales: Float32Array, values: Float32Array) -> None:
        kernels.e4m3.decode_rows(codes, scales, values)

    def write_norms(
        self, codes: Array, scales: object, dim: int, codebook: object, out: Float32Array
    ) -> None:
        kernels.maxsim.inverse_norms_codes(codes, out)


_KINDS = (
    _Float32,
    _BFloat16,
    _E4M3,
    Int8,
    Int4,
    Int2,
    HadamardSign,
    Sign,
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
    return PRECISIONS[HadamardSign.name if chosen.name == Sign.name else chosen.name]


def _given(codebook: CodebookLike | None) -> Any:
    """Return the codebook that a TokenArray of precision `pq` always has."""
    assert codebook is not None
    return codebook
