"""Two threads beside one, on calls so short that starting a thread may cost more than it saves."""

import numpy as np

from cgcython import kernels
from cgcython.parallel import split_rows

from .gates import at_least
from .inputs import RNG
from .stopwatch import times_as_fast

MOST = 100_000
BITS = RNG.integers(0, 256, (MOST, 128), dtype=np.uint8)
E4M3 = RNG.integers(0, 120, (MOST, 384), dtype=np.uint8)
PQ, TABLE = BITS.reshape(-1, 8)[:MOST], RNG.standard_normal((8, 256), dtype=np.float32)
QUERY, SCALES = RNG.standard_normal(384, dtype=np.float32), np.ones(MOST, np.float32)
ROWS = RNG.standard_normal((10_000, 384), dtype=np.float32)
SCORES, DISTANCES = np.empty(MOST, np.float32), np.empty(MOST, np.uint32)
CODES = np.empty((len(ROWS), 384), np.uint8)


def hamming(*rows):
    part = slice(*rows)
    kernels.bits.hamming_rows(BITS[0], BITS[part], DISTANCES[part])


def float8(*rows):
    part = slice(*rows)
    kernels.e4m3.cosine_rows(QUERY, E4M3[part], SCALES[part], SCORES[part])


def adc(*rows):
    part = slice(*rows)
    kernels.adc.scan(TABLE, PQ[part], SCORES[part])


def encode(*rows):
    part = slice(*rows)
    kernels.e4m3.encode_rows(ROWS[part], CODES[part], SCORES[part])


WORK = {work.__name__: work for work in (hamming, float8, adc, encode)}


CASES = [(work, rows) for work in WORK for rows in (2_000, 10_000, MOST)]
CASES.remove(("encode", MOST))


class TwoThreads:
    params, param_names = [[f"{work} {rows}" for work, rows in CASES]], ["work"]

    @at_least(0.75)  # of one thread's speed; equal, but other programs may hold up a thread
    def track_against_one(self, case):
        work, rows = case.split()
        return times_as_fast(
            lambda: split_rows(WORK[work], int(rows), 2), lambda: split_rows(WORK[work], int(rows))
        )
