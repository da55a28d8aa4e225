"""Tokens as integers of 8 bits or fewer; below 8, those of tokens after a Hadamard transform."""

from typing import ClassVar

import numpy as np

from cgcython import kernels
from cgcython.token_array.precision import ByRows
from cgcython.types import Array, Float32Array

SLAB = 4096  # tokens transformed at a time


class Integers(ByRows):
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


class Int8(Integers):
    name, dtype, has_scales, bits = "int8", np.int8, True, 8

    def encode_rows(self, values: Float32Array, codes: Array, scales: Float32Array) -> int:
        return kernels.maxsim_integers.encode_rows(values, 8, codes.view(np.uint8), scales)

    def decode_rows(self, codes: Array, scales: Float32Array, values: Float32Array) -> None:
        kernels.maxsim_integers.decode_rows(codes.view(np.uint8), 8, scales, values)


class _Transformed(Integers):
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


class Int4(_Transformed):
    name, per_item, bits = "int4", 2, 4


class Int2(_Transformed):
    name, per_item, bits = "int2", 4, 2


class Sign(Integers):
    """Signs of values as they are: of codes made elsewhere or earlier; `quantize` makes others."""

    name, dtype, per_item, bits = "sign", np.uint8, 8, 1

    def encode_rows(self, values: Float32Array, codes: Array, scales: object) -> int:
        return kernels.bits.pack_rows(values, 0.0, codes)

    def decode_rows(self, codes: Array, scales: object, values: Float32Array) -> None:
        kernels.bits.unpack_rows(codes, values)


class HadamardSign(Sign):
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


def hadamard(tokens: Float32Array) -> Float32Array:
    """Return the transformed tokens that codes of int4, int2 and hadamard_sign are of.

    A query that meets such codes is transformed too.
    """
    transformed = np.empty_like(tokens)
    kernels.dense.turn_rows(tokens, transformed)
    return transformed
