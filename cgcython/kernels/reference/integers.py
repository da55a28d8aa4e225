"""Tokens as whole numbers, 32 lanes side by side, as the families of integers read them."""

import numpy as np

from cgcython.kernels.reference.door import agree

LANES, LINE = 32, 128
WIDEST = 4096
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
