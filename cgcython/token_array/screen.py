"""An int8 copy of float32 tokens that bounds their scores, so that few need the float32 values."""

from typing import NamedTuple

import numpy as np

from cgcython.parallel import split_rows
from cgcython.token_array import precisions

BLOCK = 4096  # tokens whose errors are found at once, in float64


class Screen(NamedTuple):
    """Codes [total, dim], their scales [total], and the angle between each token and its code."""

    codes: np.ndarray
    scales: np.ndarray
    angles: np.ndarray  # [total + 1]: radians, rounded up; 0 behind the last

    @classmethod
    def of(cls, values, num_threads=1):
        """Return the screen of float32 tokens [total, dim]."""
        int8 = precisions.precision_of("int8")
        codes, scales = precisions.encode(values, int8, num_threads=num_threads)
        angles = np.zeros(len(values) + 1, np.float32)

        def measure(start, stop):
            for first in range(start, stop, BLOCK):
                rows = slice(first, min(first + BLOCK, stop))
                angles[rows] = angles_between(values[rows], codes[rows])

        split_rows(measure, len(values), num_threads)
        return cls(codes, scales, angles)

    @property
    def bytes_per_token(self):
        """What the copy costs beside the float32 values."""
        return self.codes.shape[1] + 4 + 4


def angles_between(rows, others):
    """Return the angle of each row to its own other in radians, never too small; 0 for zeros.

    >>> angles_between(np.float32([[1, 0], [1, 1], [0, 0]]), np.int8([[9, 0], [0, 9], [0, 0]]))
    array([1.000e-06, 7.854e-01, 0.000e+00], dtype=float32)
    """
    rows, others = rows.astype(np.float64), others.astype(np.float64)
    lengths, products = (rows**2).sum(axis=1), (rows * others).sum(axis=1)
    along = products / np.maximum((others**2).sum(axis=1), 1)
    across = np.sqrt(((rows - along[:, None] * others) ** 2).sum(axis=1))
    angles = np.arctan2(across, along * np.sqrt((others**2).sum(axis=1)))
    # Far above the rounding of all these steps.
    return np.where(lengths > 0, angles * (1 + 1e-6) + 1e-6, 0).astype(np.float32)


def widest_angles(screen, starts, counts):
    """Return the widest angle among the tokens of each document."""
    bounds = np.stack([starts, starts + counts], axis=1).reshape(-1)
    if not len(bounds):
        return np.empty(0, np.float32)
    # Every second range is what lies between two documents.
    return np.maximum.reduceat(screen.angles, bounds)[::2]
