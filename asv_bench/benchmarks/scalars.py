"""Scalar codes: encoding, and scans of them beside those of float8 and of faiss."""

from functools import cache

import faiss
import numpy as np

from cgcython.codecs.float8 import Float8Codec
from cgcython.codecs.scalar import ScalarCodec
from cgcython.search.float8_scans import Float8Scan
from cgcython.search.scalar_scan import ScalarScan

from .gates import at_least, budget_us
from .inputs import RNG
from .stopwatch import times_as_fast

BITS = [8, 6, 4, 2]
NUM_ROWS, DIM, K = 100_000, 384, 10
VECTOR = RNG.standard_normal(DIM, dtype=np.float32)
CODECS = {bits: ScalarCodec(DIM, bits) for bits in BITS}
STORED = {bits: codec.encode(VECTOR) for bits, codec in CODECS.items()}


@cache
def rows():
    return RNG.standard_normal((NUM_ROWS, DIM), dtype=np.float32)


@cache
def scan(bits):
    return ScalarScan(*CODECS[bits].encode_batch(rows()).columns.values(), DIM, bits)


@cache
def float8_scan():
    columns = Float8Codec(DIM).encode_batch(rows()).columns
    return Float8Scan(columns["codes"], columns["scales"])


@cache
def index(bits):
    """Return faiss's index of the same bits; it searches with one thread."""
    faiss.omp_set_num_threads(1)
    kind = getattr(faiss.ScalarQuantizer, f"QT_{bits}bit")
    made = faiss.IndexScalarQuantizer(DIM, kind, faiss.METRIC_INNER_PRODUCT)
    made.train(rows()[:20_000])
    made.add(rows())
    return made


class One:
    params, param_names = [BITS], ["bits"]

    @budget_us(50)
    def time_encode(self, bits):
        CODECS[bits].encode(VECTOR)

    @budget_us(200)
    def time_decode(self, bits):
        CODECS[bits].decode(STORED[bits])


class Scan:
    @at_least(0.8)
    def track_8_bits_against_float8(self):
        ours, theirs = scan(8), float8_scan()
        return times_as_fast(lambda: ours.best(VECTOR, K), lambda: theirs.best(VECTOR, K), 25)

    @at_least(0.9)
    def track_4_bits_against_8(self):
        ours, theirs = scan(4), scan(8)
        return times_as_fast(lambda: ours.best(VECTOR, K), lambda: theirs.best(VECTOR, K))

    @at_least(1.2)
    def track_8_bits_against_faiss(self):
        ours, theirs = scan(8), index(8)
        return times_as_fast(lambda: ours.best(VECTOR, K), lambda: theirs.search(VECTOR[None], K))

    @at_least(1.2)
    def track_4_bits_against_faiss(self):
        ours, theirs = scan(4), index(4)
        return times_as_fast(lambda: ours.best(VECTOR, K), lambda: theirs.search(VECTOR[None], K))
