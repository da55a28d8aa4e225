"""Turned scalar codes by definition: a rotation, even parts of a range, and their dot products."""

import numpy as np

from cgcython.kernels.reference.door import (
    agree,
    first_nonfinite,
    plain_vector,
    vector_out,
    writes,
)
from cgcython.kernels.reference.integers import levels_of_token, pack_levels

F32 = np.float32
LARGEST, SECOND, WIDEST, PADDING = np.finfo(F32).max, 1 << 31, 4096, 16
FINE, BLOCK, WORDS, MOST_SIZES = 32767, 64, 32, 1 << 23


def scratch(dim):
    """Return how many numbers the scratch of a row holds."""
    _check_bits(8, dim)
    return 2 * dim + PADDING


@writes("room", "codes", "scales", "powers")
def encode_rows(values, bits, room, codes, scales, powers):
    """Write each row's codes, and its scale: an f16 number and the power of two that it is times.

    Returns the flat index of the first non-finite value, or -1.
    """
    n, dim = values.shape
    _check_rows(codes, bits, dim, "values", n)
    agree("scales", len(scales), "values", n)
    agree("powers", len(powers), "values", n)
    agree("room", len(room), "the scratch of a row", scratch(dim))
    found = first_nonfinite(values)
    # Rows before one that is not finite are written, as the compiled kernel does.
    for i in range(n if found < 0 else found // dim):
        codes[i], scales[i], powers[i] = _encoded(values[i], bits)
    return found


@writes("values")
def decode_rows(codes, bits, scales, powers, values):
    """Write each row's values, at most the largest float."""
    dim = values.shape[1]
    _check_rows(codes, bits, dim, "values", len(values))
    agree("scales", len(scales), "codes", len(codes))
    agree("powers", len(powers), "codes", len(codes))
    for i, (scale, power) in enumerate(zip(scales, powers)):
        turned = _levels(codes[i], dim, bits).astype(F32) * F32(np.ldexp(scale, -bits))
        row = _turned_back(turned)
        with np.errstate(over="ignore", under="ignore"):
            row = np.clip(row * F32(2.0 ** int(power)), -LARGEST, LARGEST) if power else row
        values[i] = row


def encode_vector(values, dim, bits):
    """Return (codes, scale, power) of one vector, codes as bytes.

    Returns None where a closer look is needed: at what is no finite float32 array of up to 4096
    numbers.
    """
    _check_bits(bits, dim)
    if dim > WIDEST or not plain_vector(values, dim):
        return None
    codes, scale, power = _encoded(values, bits)
    return codes.tobytes(), float(scale), power


def decode_vector(codes, dim, bits, scale, power, out=None):
    """Return the values of one vector, as a new array or in `out`.

    Returns None where `out` is no plain, writable float32 array of so many values.
    """
    _check_bits(bits, dim)
    agree("codes", len(codes), f"{dim} values", _width(dim, bits))
    if not -128 <= power <= 127:
        raise ValueError(f"power is {power}, expected -128 to 127")
    values = vector_out(out, dim)
    if values is not None:
        rows = np.frombuffer(codes, np.uint8)[None], values[None]
        decode_rows(rows[0], bits, np.array([scale], F32), np.array([power], np.int8), rows[1])
    return values


@writes("out")
def inverse_norms(codes, bits, dim, out):
    """Write one over the length of each row's levels, on which its scale has no effect."""
    _check_rows(codes, bits, dim, "out", len(out))
    for i, row in enumerate(codes if dim else ()):  # levels are odd: no length is 0
        out[i] = 1 / np.sqrt(float(np.square(_levels(row, dim, bits)).sum()))


def packed_size(dim, bits):
    """Return how many numbers a packed query holds."""
    _check_bits(bits, dim)
    return sum(_numbers_of(len(places), per) for places, per, _ in _runs(dim, bits))


@writes("room", "packed")
def pack_query(query, bits, room, packed):
    """Write a query of finite values as whole numbers in the order in which rows of codes lie.

    Returns their sum, the sum of their squares, and what 1 of them is worth.
    """
    dim = len(query)
    _check_bits(bits, dim)
    agree("room", len(room), "the scratch of a row", scratch(dim))
    agree("packed", len(packed), "a query", packed_size(dim, bits))
    if dim == 0:
        return 0, 0, 0.0
    turned, power = _normal_turned(query)
    limit, numbers = FINE, _whole_numbers(turned, FINE)
    sizes, most = int(np.abs(numbers).sum()), max(0, MOST_SIZES - dim)
    if sizes > most:
        limit = FINE * most // sizes
        numbers = _whole_numbers(turned, limit)
    packed[:] = 0
    at = 0
    for places, per, _ in _runs(dim, bits):
        part = np.zeros(_numbers_of(len(places), per), np.int16)
        part[: len(places)] = numbers[places]
        # The places of a code within a word side by side, in blocks of 32 words.
        blocks = part.reshape(-1, WORDS, 16 // per).transpose(0, 2, 1)
        packed[at : at + len(part)] = blocks.ravel()
        at += len(part)
    unit = np.ldexp(float(np.abs(turned).max()) / max(limit, 1), power)
    return int(numbers.sum()), int(np.square(numbers).sum()), float(unit)


@writes("out")
def score_rows(packed, total, factor, codes, bits, dim, factors, out):
    """Write the dot product of a packed query with each row's levels, times both factors.

    `total` is the sum that pack_query returned, `factors` those of rows: with inverse norms, and
    one over the query's length as `factor`, scores are cosines.
    """
    _check_rows(codes, bits, dim, "out", len(out))
    agree("factors", len(factors), "codes", len(codes))
    agree("packed", len(packed), "a query", packed_size(dim, bits))
    numbers, at = np.zeros(dim, np.int64), 0
    for places, per, _ in _runs(dim, bits):
        size = _numbers_of(len(places), per)
        part = packed[at : at + size].reshape(-1, 16 // per, WORDS).transpose(0, 2, 1).ravel()
        numbers[places] = part[: len(places)]
        at += size
    for i, row in enumerate(codes):
        each = (_levels(row, dim, bits) + 2**bits - 1) // 2
        dot = 2 * int(each @ numbers) - (2**bits - 1) * total
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            out[i] = np.float64(dot) * factor * factors[i]


def _check_bits(bits, dim):
    if bits not in (8, 6, 4, 2):
        raise ValueError(f"bits is {bits}, expected 8, 6, 4 or 2")
    if dim < 0:
        raise ValueError(f"dim is {dim}, expected 0 or more")


def _check_rows(codes, bits, dim, what, count):
    _check_bits(bits, dim)
    agree(what, count, "codes", len(codes))
    agree("a row of codes", codes.shape[1], f"{dim} values", _width(dim, bits))


def _width(dim, bits):
    return -(-dim * bits // 8)


def _runs(dim, bits):
    """Return (codes, bits of a code, weight) of each run of bytes of a row."""
    every = np.arange(dim)
    if bits != 6:
        return [(every, bits, 1)]
    whole = dim // 4 * 4
    return [(every[:whole], 4, 1), (every[:whole], 2, 16), (every[whole:], 8, 1)]


def _numbers_of(count, per):
    blocks = -(-_width(count, per) // BLOCK)
    return blocks * BLOCK * 8 // per


def _encoded(row, bits):
    """Return the codes of a row, and its scale."""
    if len(row) == 0:
        return np.empty(0, np.uint8), F32(0), 0
    turned, power = _normal_turned(row)
    peak = np.abs(turned).max()
    if bits < 6:
        levels, scale = levels_of_token(turned, bits)
        codes = np.empty(_width(len(row), bits), np.uint8)
        pack_levels(levels, bits, codes)
        return codes, *_scale(np.ldexp(float(scale), power + bits), np.rint)
    scale, lifted = _scale(np.ldexp(float(peak), power), np.ceil)
    half = 2 ** (bits - 1)
    factor = F32(half / np.ldexp(float(scale), lifted - power)) if peak > 0 else F32(0)
    parts = np.clip(np.floor(turned * factor), -half, half - 1).astype(np.int64) + half
    return _packed(parts, bits), scale, lifted


def _scale(size, rounded):
    """Return the f16 number and the power of two nearest to a size, as `rounded` says."""
    if size == 0:
        return F32(0), 0
    exponent, power = int(np.frexp(size)[1]) - 1, 0
    if not -14 <= exponent < 15:
        power = min(max(exponent, -128), 127)
        exponent -= power
    step = 2.0 ** (max(exponent, -14) - 10)
    return F32(rounded(np.ldexp(size, -power) / step) * step), power


def _packed(parts, bits):
    """Return codes of 8 or 6 bits as bytes, each run after the other."""
    if bits == 8:
        return parts.astype(np.uint8)
    whole = len(parts) // 4 * 4
    low, high = parts[:whole] & 15, parts[:whole] >> 4
    nibbles = (low.reshape(-1, 2) << [0, 4]).sum(axis=1)
    quarters = (high.reshape(-1, 4) << [0, 2, 4, 6]).sum(axis=1)
    return np.concatenate([nibbles, quarters, parts[whole:]]).astype(np.uint8)


def _levels(codes, dim, bits):
    """Return the levels of a row of codes."""
    found, at = np.zeros(dim, np.int64), 0
    for places, per, weight in _runs(dim, bits):
        size = _width(len(places), per)
        shifts = per * np.arange(8 // per)
        each = codes[at : at + size, None].astype(np.int64) >> shifts & 2**per - 1
        found[places] += weight * each.ravel()[: len(places)]
        at += size
    return 2 * found + 1 - 2**bits


def _normal_turned(row):
    """Return a row turned, times the power of two that brings its peak near 1, and that power."""
    power = max(int(np.frexp(np.abs(row).max())[1]), -126)
    return _turned(row * F32(2.0**-power)), power


def _whole_numbers(turned, limit):
    """round(x * limit / peak), in float32 steps."""
    peak = np.abs(turned).max()
    if peak == 0:
        return np.zeros(len(turned), np.int64)
    return np.rint(turned * (F32(limit) / peak)).astype(np.int64)


def _turned(row):
    size = 1 << (len(row).bit_length() - 1)
    rest, factor, row = len(row) - size, F32(1 / np.sqrt(float(size))), row.copy()
    row[:size] = _transformed(row[:size] * factor * _signs(0, size))
    if rest:
        row[rest:] = _transformed(row[rest:] * factor * _signs(SECOND, size))
    return row


def _turned_back(row):
    if len(row) == 0:
        return row
    size = 1 << (len(row).bit_length() - 1)
    rest, factor, row = len(row) - size, F32(1 / np.sqrt(float(size))), row.copy()
    if rest:
        row[rest:] = _transformed(row[rest:]) * factor * _signs(SECOND, size)
    row[:size] = _transformed(row[:size]) * factor * _signs(0, size)
    return row


def _signs(first, count):
    """Return 1 or -1 by the highest bit of a hash of each number: the last steps of xxHash32."""
    n = np.arange(first + 1, first + 1 + count, dtype=np.uint64).astype(np.uint32)
    n = n * np.uint32(0x9E3779B1)
    n = (n ^ n >> np.uint32(15)) * np.uint32(0x85EBCA77)
    n = (n ^ n >> np.uint32(13)) * np.uint32(0xC2B2AE3D)
    return np.where((n ^ n >> np.uint32(16)) >> np.uint32(31), F32(-1), F32(1))


def _transformed(row):
    """Return Hadamard's transform of a row whose length is a power of two."""
    half = 1
    while half < len(row):
        a, b = row.reshape(-1, 2, half).transpose(1, 0, 2)
        row = np.stack([a + b, a - b], axis=1).reshape(-1)
        half *= 2
    return row
