"""The limits by definition: multiply-adds that are counted, a sum that is read, two streams."""

import numpy as np

from cgcython.kernels.reference.door import writes


def fma(rounds):
    """Run `rounds` times 12 multiply-adds; return their flops."""
    if not 0 <= rounds <= 1 << 30:
        raise ValueError(f"rounds is {rounds}, expected 0 to {1 << 30}")
    chains = np.arange(1, 13, dtype=np.float32) * np.float32(0.0137)
    for _ in range(rounds):
        chains = chains * np.float32(-0.99999994) + np.float32(0.7)
    return 2 * chains.size * rounds


@writes()
def read(values):
    """Return the sum of values."""
    return float(values.sum(dtype=np.float64))


@writes("out")
def narrow(values, out):
    """Write the sums of four rows of 16 values each."""
    _require_stream(values.size, out.size)
    a, b, c, d = values.reshape(-1, 4, 16).swapaxes(0, 1)
    out.reshape(-1, 16)[:] = a + b + c + d


@writes("out")
def widen(values, out):
    """Write each row of 16 values four times."""
    _require_stream(out.size, values.size)
    out.reshape(-1, 4, 16)[:] = values.reshape(-1, 1, 16)


def _require_stream(wide, narrow):
    if wide != 4 * narrow or wide % 64:
        raise ValueError(f"{wide} and {narrow} values, expected 4 to 1 in multiples of 64")
