"""Sums in the order of the compiled levels."""

import numpy as np


def squares_of(values, kind=np.float64):
    """Sums of squares in the order of the compiled levels: sixteen lanes, halved."""
    return dots_of(values, values, kind)


def dots_of(some, others, kind=np.float64):
    """Dot products of rows with rows in the order of the compiled levels."""
    lanes = np.zeros((len(some), 16), kind)
    for start in range(0, some.shape[1], 16):
        a, b = (rows[:, start : start + 16].astype(kind) for rows in (some, others))
        lanes[:, : a.shape[1]] += a * b
    for width in (8, 4, 2, 1):
        lanes = lanes[:, :width] + lanes[:, width:]
    return lanes[:, 0]
