"""The machine itself, measured by the package's own kernels in the same run as all else."""

from time import perf_counter

import numpy as np

from cgcython import kernels
from cgcython.parallel import split_rows

ROUNDS = 100_000  # about a millisecond, shorter than a time slice
LARGE = np.ones(1 << 25, np.float32)  # 128 MiB, more than any cache


def fastest(call, repeats=30):
    """Return the shortest time of a call, in seconds: a limit is what nothing disturbed."""
    times = []
    for _ in range(repeats):
        start = perf_counter()
        call()
        times.append(perf_counter() - start)
    return min(times)


def fma_rate():
    """Return the flops per second of one core's single-precision multiply-adds."""
    return kernels.limits.fma(ROUNDS) / fastest(lambda: kernels.limits.fma(ROUNDS))


def share_of_fma(flops, call, rounds=5):
    """Return the highest share of the multiply-add rate that a call of so many flops reached."""
    return max(flops / fastest(call, 5) / fma_rate() for _ in range(rounds))


def track_fma_rate():
    """Single-precision multiply-adds of one core at the level in use."""
    return fma_rate() / 1e9


def track_read_bandwidth():
    """Reads of one core from memory."""
    return LARGE.nbytes / fastest(lambda: kernels.limits.read(LARGE), 5) / 1e9


def track_read_bandwidth_of_two_cores():
    """Reads of two cores at once."""

    def read(start, stop):
        kernels.limits.read(LARGE[start:stop])

    return LARGE.nbytes / fastest(lambda: split_rows(read, len(LARGE), 2), 5) / 1e9


track_fma_rate.unit = "GFLOP/s"
track_read_bandwidth.unit = track_read_bandwidth_of_two_cores.unit = "GB/s"
