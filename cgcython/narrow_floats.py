"""Floats narrower than NumPy's: bfloat16, float8_e4m3fn and float8_e5m2, read without ml_dtypes.

Where a file has them, an array holds their bits under one of NAMED's types: a structured type of
one field, named as ml_dtypes names it, so that nobody takes bits for numbers.
"""

from typing import Any, TypeAlias

import numpy as np

from cgcython.types import Array, Float32Array, LazyArray

BFLOAT16, E4M3, E5M2 = (
    np.dtype([(name, bits)])
    for name, bits in (("bfloat16", "<u2"), ("float8_e4m3fn", "u1"), ("float8_e5m2", "u1"))
)
NAMED = (BFLOAT16, E4M3, E5M2)


def is_real(dtype: np.dtype[Any]) -> bool:
    """Return whether numbers of a type become float32: NumPy's, ml_dtypes' and those of NAMED.

    Booleans do not: of them, nobody can tell whether 0 and 1 are meant, or -1 and 1.
    """
    if dtype.kind in "fiu" or dtype in NAMED:
        return True
    # Types of other packages have a type of their own for one value.
    return dtype.kind == "V" and dtype.type is not np.void and np.can_cast(dtype, "f4", "same_kind")


def conversion(dtype: np.dtype[Any]) -> str:
    """Return what turns an array of a type that is not real into one that is.

    >>> conversion(np.dtype(bool))
    'convert it with array.astype(np.float32), or for signs np.where(array, 1.0, -1.0)'
    """
    if dtype.kind == "b":
        return "convert it with array.astype(np.float32), or for signs np.where(array, 1.0, -1.0)"
    if dtype.kind == "c":
        return "convert it with array.real, or np.concatenate([array.real, array.imag], axis=-1)"
    if dtype.kind == "O":
        return "convert it with np.stack(list(array)).astype(np.float32)"
    if dtype.kind == "V" and dtype.names is None:
        return (
            ".npy forgets the types of ml_dtypes: save array.astype(np.float32), or BF16, F8_E4M3 "
            "or F8_E5M2 as .safetensors; in Python array.view(ml_dtypes.bfloat16) brings it back"
        )
    if dtype.kind == "V":
        return "pass one field of it, array[name]"
    return "convert it with array.astype(np.float32)"


def widened(array: Array) -> Float32Array:
    """Return the float32 values of an array of one of NAMED's types; each is exact.

    >>> widened(np.array([0x3F80, 0xC000], "<u2").view(BFLOAT16)).tolist()
    [1.0, -2.0]
    """
    (name,) = array.dtype.names or ()
    bits: Array = array[name]
    if array.dtype == BFLOAT16:  # float32's upper half
        return (bits.astype(np.uint32) << 16).view(np.float32)
    if array.dtype == E5M2:  # float16's upper half
        return (bits.astype(np.uint16) << 8).view(np.float16).astype(np.float32)
    return _E4M3_VALUES[bits]


def _e4m3_values() -> Float32Array:
    """Return the value of each E4M3 code: sign, four exponent bits (bias 7), three of mantissa."""
    codes = np.arange(128)
    sizes = np.where(codes < 8, codes * 2.0**-9, (8 + codes % 8) * 2.0 ** (codes // 8 - 10))
    sizes[127] = np.nan
    return np.concatenate([sizes, -sizes]).astype(np.float32)


_E4M3_VALUES = _e4m3_values()


class WidenedRows:
    """An array of one of NAMED's types whose rows become float32 when they are read.

    It stays where it lies, mapped or in an object, and indexes, slices and converts as NumPy's
    arrays do.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, bits: Array | LazyArray) -> None:
        self.bits = bits

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return self.bits.shape

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self.bits.ndim

    def __len__(self) -> int:
        return len(self.bits)

    def __getitem__(self, rows: Any) -> Float32Array:
        return widened(self.bits[rows])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        values = widened(np.asarray(self.bits))
        return values if dtype is None else values.astype(dtype, copy=False)


Rows: TypeAlias = Array | WidenedRows | LazyArray
