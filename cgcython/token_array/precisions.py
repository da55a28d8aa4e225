"""How a token lies in memory at each precision, and what it costs to get there and back."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cgcython import kernels
from cgcython.errors import InvalidInput, NonFiniteValue
from cgcython.parallel import split_rows

BLOCK = 4096  # tokens encoded at once where NumPy needs copies


@dataclass(frozen=True)
class Precision:
    """One way to store tokens: `dtype` items of `per_item` values each.

    `encode(values, codes, scales)` returns the flat index of the first value that is not finite,
    or -1; `decode(codes, scales, values)` undoes it. Those without scales are given None.
    """

    name: str
    dtype: type
    per_item: int = 1
    has_scales: bool = False
    encode: Callable | None = None
    decode: Callable | None = None

    def width(self, dim):
        """Return the items per token of `dim` values."""
        return -(-dim // self.per_item)


def _encode_bfloat16(values, codes, scales):
    for start in range(0, len(values), BLOCK):
        bits = values[start : start + BLOCK].view(np.uint32)
        # Ties go to the even code; the largest finite values stay finite.
        rounded = (bits + 0x7FFF + (bits >> 16 & 1) >> 16).astype(np.uint16)
        rounded -= rounded & 0x7FFF == 0x7F80
        codes[start : start + BLOCK] = rounded
    return _first_nonfinite(values)


def _decode_bfloat16(codes, scales, values):
    np.left_shift(codes, 16, out=values.view(np.uint32), dtype=np.uint32)


def _first_nonfinite(values):
    return kernels.dense.first_nonfinite(values.reshape(-1))


PRECISIONS = {
    one.name: one
    for one in (
        Precision("float32", np.float32),
        Precision("bfloat16", np.uint16, encode=_encode_bfloat16, decode=_decode_bfloat16),
        Precision(
            "e4m3",
            np.uint8,
            has_scales=True,
            encode=lambda values, codes, scales: kernels.e4m3.encode_rows(values, codes, scales),
            decode=lambda codes, scales, values: kernels.e4m3.decode_rows(codes, scales, values),
        ),
        Precision(
            "sign",
            np.uint8,
            per_item=8,
            encode=lambda values, codes, _: kernels.bits.pack_rows(values, 0.0, codes),
            decode=lambda codes, _, values: kernels.bits.unpack_rows(codes, values),
        ),
        Precision("pq", np.uint8),
    )
}


def precision_of(name):
    """Return the Precision of a name; raises InvalidInput."""
    if not isinstance(name, str) or name not in PRECISIONS:
        raise InvalidInput(what="precision", expected=", ".join(PRECISIONS), actual=name)
    return PRECISIONS[name]


def encode(values, precision, codebook=None, num_threads=1):
    """Return (codes, scales or None) of float32 tokens [n, dim]; raises NonFiniteValue."""
    if precision.name == "pq":
        return codebook.encode(values, num_threads=num_threads), None
    codes = np.empty((len(values), precision.width(values.shape[1])), precision.dtype)
    scales = np.empty(len(values), np.float32) if precision.has_scales else None

    def encode_range(start, stop):
        rows = slice(start, stop)
        first = precision.encode(
            values[rows], codes[rows], scales[rows] if scales is not None else None
        )
        if first >= 0:
            index = start * values.shape[1] + first
            raise NonFiniteValue(index=index, value=float(values.flat[index]))

    if codes.size:
        split_rows(encode_range, len(values), num_threads)
    return codes, scales


def decode(codes, scales, dim, precision, codebook=None, num_threads=1):
    """Return the float32 tokens [n, dim] of codes; without scales each counts as 1."""
    if precision.name == "float32":
        return codes
    if precision.name == "pq":
        return codebook.decode(codes, num_threads=num_threads)
    values = np.empty((len(codes), dim), np.float32)
    if scales is None and precision.has_scales:
        scales = np.ones(len(codes), np.float32)

    def decode_range(start, stop):
        rows = slice(start, stop)
        precision.decode(codes[rows], _part(scales, rows), values[rows])

    if values.size:
        split_rows(decode_range, len(codes), num_threads)
    return values


def _part(scales, rows):
    return None if scales is None else scales[rows]
