"""Tokens as whole numbers, 32 lanes side by side, as the families of integers read them."""

import numpy as np

from cgcython.kernels.reference.door import agree

LANES, LINE = 32, 128
WIDEST = 4096
FINE, STEPS = 32767, 8
F32 = np.float32


def unpacked(packed, groups):
    """Return the whole numbers of a packed query, one row per lane."""
    planes = packed[:, :-2].astype(np.int64)
    numbers = planes[:, :groups]
    if planes.shape[1] > groups:
        numbers = numbers * 256 + planes[:, groups:]
    numbers = numbers.reshape(len(packed), groups, LANES, 4)
    return numbers.transpose(0, 2, 1, 3).reshape(len(packed) * LANES, groups * 4)


def groups_of(dim):
    """Return the lines of four dimensions: pairs of them, so that sign codes end with a line."""
    return 2 * -(-dim // 8)


def check_plane(packed, num_tokens, dim):
    """Raise ValueError unless `packed` is one plane of packed tokens of a dimension."""
    if dim > WIDEST:
        raise ValueError(f"a token holds {dim}, expected up to {WIDEST}")
    agree("a block of packed", packed.shape[1], "its lines", groups_of(dim) + 2)
    agree("a line of packed", packed.shape[2], "the lanes", LINE)
    if not 0 <= num_tokens <= len(packed) * LANES:
        raise ValueError(f"query has {num_tokens} tokens, packed holds {len(packed) * LANES}")


def whole_numbers(token, limit):
    """round(x * limit / peak), in float32 steps."""
    peak = np.abs(token).max(initial=F32(0))
    if peak == 0:
        return np.zeros(len(token), np.int64)
    lift = F32(2.0**64 if peak < 2.0**-64 else 1)
    return np.rint(token * lift * (F32(limit) / (peak * lift))).astype(np.int64)


def levels_of_token(token, bits):
    """Return the odd levels of a token, of 4 or 2 bits, and their scale."""
    numbers = whole_numbers(token, FINE)
    found = [_levels(numbers, width, bits) for width in _widths(numbers, bits)]
    dots = [int(levels @ numbers) for levels in found]
    squares = [int(levels @ levels) for levels in found]
    best = int(np.argmax([float(dot) * float(dot) / float(s) for dot, s in zip(dots, squares)]))
    peak = np.abs(token).max()
    return found[best], F32(float(dots[best]) / float(squares[best]) * float(peak) / FINE)


def _widths(numbers, bits):
    steps = np.arange(STEPS)
    if bits == 2:
        sizes = int(np.abs(numbers).sum())
        return [max(1, sizes * (40 + 6 * int(step)) // (len(numbers) * 48)) for step in steps]
    return FINE * (256 - 14 * steps) // (256 * 8)


def _levels(numbers, width, bits):
    """Odd levels: the magnitude counts whole widths, two levels apart."""
    levels = np.minimum(2 * (np.abs(numbers) // width) + 1, 2**bits - 1)
    return np.where(numbers >= 0, levels, -levels)


def pack_levels(levels, bits, codes):
    """Write levels as codes that count them from the lowest."""
    per_byte = 8 // bits
    padded = np.zeros(len(codes) * per_byte, np.int64)
    padded[: len(levels)] = (levels + 2**bits - 1) // 2
    shifts = bits * np.arange(per_byte)
    codes[:] = (padded.reshape(-1, per_byte) << shifts).sum(axis=1)
