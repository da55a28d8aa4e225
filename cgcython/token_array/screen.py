"""An int8 copy of float32 tokens that bounds their scores, so that few need the float32 values."""

from typing import NamedTuple

import numpy as np

from cgcython import kernels
from cgcython.parallel import split_rows
from cgcython.types import Float32Array, UInt8Array


class Screen(NamedTuple):
    """Codes [total, dim] and bounds [total, 2]: the step and the radius of each token's code."""

    codes: UInt8Array
    bounds: Float32Array

    @classmethod
    def of(cls, values: Float32Array, norms: Float32Array, num_threads: int = 1) -> "Screen":
        """Return the screen of finite float32 tokens [total, dim] and their inverse norms."""
        codes = np.empty(values.shape, np.uint8)
        bounds = np.empty((len(values), 2), np.float32)

        def encode(start: int, stop: int) -> None:
            rows = slice(start, stop)
            kernels.maxsim_screen.encode_rows(values[rows], norms[rows], codes[rows], bounds[rows])

        if codes.size:
            split_rows(encode, len(values), num_threads)
        return cls(codes, bounds)

    @property
    def bytes_per_token(self) -> int:
        """What the copy costs beside the float32 values."""
        return int(self.codes.shape[1] + 4 * self.bounds.shape[1])
