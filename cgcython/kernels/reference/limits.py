"""The limits by definition: multiply-adds that are counted, a sum that is read."""

import numpy as np


def fma(rounds):
    """Run `rounds` times 12 multiply-adds; return their flops."""
    if rounds < 0:
        raise ValueError(f"rounds is {rounds}, expected 0 or more")
    chains = np.arange(1, 13, dtype=np.float32) * np.float32(0.0137)
    for _ in range(rounds):
        chains = chains * np.float32(-0.99999994) + np.float32(0.7)
    return 2 * chains.size * rounds


def read(values):
    """Return the sum of values."""
    return float(values.sum(dtype=np.float64))
