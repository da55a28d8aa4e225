"""How a token lies in memory at each precision, and what it costs to get there and back."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cgcython import kernels
from cgcython.errors import InvalidInput, NonFiniteValue
from cgcython.parallel import split_rows
from cgcython.token_array import lookup

SLAB = 4096  # tokens turned at a time


@dataclass(frozen=True)
class Precision:
    """One way to store tokens: `dtype` items of `per_item` values each, of at most `widest`.

    `encode(values, codes, scales)` returns the flat index of the first value that is not finite,
    or -1; `decode(codes, scales, values)` undoes it; `norms(codes, tokens, scales, out)` writes
    what MaxSim multiplies the products of some codes of a TokenArray with. Those without scales
    are given None.
    """

    name: str
    dtype: type
    per_item: int = 1
    has_scales: bool = False
    encode: Callable | None = None
    decode: Callable | None = None
    norms: Callable | None = None
    widest: int | None = None

    def width(self, dim):
        """Return the items per token of `dim` values."""
        return -(-dim // self.per_item)


def _float32():
    def norms(values, tokens, scales, out):
        kernels.maxsim.inverse_norms(values, out)

    return Precision("float32", np.float32, norms=norms)


def _bfloat16():
    def encode(values, codes, scales):
        return kernels.maxsim_bf16.encode(values.reshape(-1), codes.reshape(-1))

    def decode(codes, scales, values):
        kernels.maxsim_bf16.decode(codes.reshape(-1), values.reshape(-1))

    def norms(codes, tokens, scales, out):
        kernels.maxsim_bf16.inverse_norms(codes, out)

    return Precision("bfloat16", np.uint16, 1, False, encode, decode, norms)


def _e4m3():
    def encode(values, codes, scales):
        return kernels.e4m3.encode_rows(values, codes, scales)

    def decode(codes, scales, values):
        kernels.e4m3.decode_rows(codes, scales, values)

    def norms(codes, tokens, scales, out):
        kernels.maxsim.inverse_norms_codes(codes, out)

    return Precision("e4m3", np.uint8, 1, True, encode, decode, norms)


def _int8():
    def encode(values, codes, scales):
        return kernels.maxsim_integers.encode_rows(values, 8, codes.view(np.uint8), scales)

    def decode(codes, scales, values):
        kernels.maxsim_integers.decode_rows(codes.view(np.uint8), 8, scales, values)

    return _whole_numbers("int8", np.int8, 8, encode, decode)


def _turned(name, bits):
    """Codes of so few bits are of turned tokens: no dimension is too small for their one step."""

    def encode(values, codes, scales):
        found = kernels.dense.first_nonfinite(values.reshape(-1))
        for start in range(0, len(values) if found < 0 else 0, SLAB):
            rows = slice(start, start + SLAB)
            turned = turn(values[rows])
            kernels.maxsim_integers.encode_rows(turned, bits, codes[rows], scales[rows])
        return found

    def decode(codes, scales, values):
        kernels.maxsim_integers.decode_rows(codes, bits, scales, values)
        kernels.dense.turn_rows(values, values, True)

    return _whole_numbers(name, np.uint8, bits, encode, decode)


def turn(tokens):
    """Return the tokens that the codes of int4 and int2 are of, and that a query is met as."""
    turned = np.empty_like(tokens)
    kernels.dense.turn_rows(tokens, turned)
    return turned


def _sign():
    def encode(values, codes, scales):
        return kernels.bits.pack_rows(values, 0.0, codes)

    def decode(codes, scales, values):
        kernels.bits.unpack_rows(codes, values)

    return _whole_numbers("sign", np.uint8, 1, encode, decode)


def _whole_numbers(name, dtype, bits, encode, decode):

    def norms(codes, tokens, scales, out):
        kernels.maxsim_integers.inverse_norms(codes.view(np.uint8), bits, tokens.dim, scales, out)

    return Precision(name, dtype, 8 // bits, bits > 1, encode, decode, norms, widest=4096)


def _pq():
    def norms(codes, tokens, scales, out):
        kernels.maxsim_pq.inverse_norms(lookup.squares(tokens.codebook), codes, out)

    return Precision("pq", np.uint8, norms=norms)


PRECISIONS = {
    one.name: one
    for one in (
        _float32(),
        _bfloat16(),
        _e4m3(),
        _int8(),
        _turned("int4", 4),
        _turned("int2", 2),
        _sign(),
        _pq(),
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
