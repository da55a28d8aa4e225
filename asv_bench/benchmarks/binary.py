"""Sign bits. The specification allows 20 us to encode 1024 values and 200 us to decode them."""

import faiss
import numpy as np

from cgcython import ModelId, kernels

from .gates import at_least, budget_us, target_us
from .inputs import FINGERPRINT, RNG, router
from .limits import LARGE
from .stopwatch import seconds_per_call, times_as_fast

ROUTER = router(None)
VALUES = FINGERPRINT[ModelId.HDC]
STORED = ROUTER.quantize(ModelId.HDC, VALUES)

ROWS = RNG.standard_normal((4096, 1024), dtype=np.float32)
PACKED = np.empty((4096, 128), np.uint8)
CODES = RNG.integers(0, 256, (200_000, 128), dtype=np.uint8)
QUERY = CODES[1234].copy()
IDS, DISTANCES = np.empty(10, np.int64), np.empty(10, np.uint32)
INDEX = faiss.IndexBinaryFlat(1024)
INDEX.add(CODES)
faiss.omp_set_num_threads(1)
SIGNS = LARGE.view(np.uint8).reshape(-1, 128)  # more than caches hold
NEAR, THEIRS = np.empty(len(SIGNS), np.uint32), np.empty((1, len(SIGNS)), np.int32)


class One:
    @budget_us(20)
    @target_us(1)
    def time_quantize(self):
        ROUTER.quantize(ModelId.HDC, VALUES)

    @target_us(0.13)
    def track_kernel(self):
        return seconds_per_call(kernels.bits.pack_vector, VALUES, 1024, 0.0)

    @budget_us(200)
    def time_dequantize(self):
        ROUTER.dequantize(STORED)

    @target_us(0.06)
    def track_hamming(self):
        return seconds_per_call(kernels.bits.hamming, STORED.data, STORED.data)


def pack():
    kernels.bits.pack_rows(ROWS, 0.0, PACKED)


def pack_by_numpy():
    return np.packbits(ROWS >= 0, axis=1)


def nearest():
    kernels.bits.hamming_topk(QUERY, CODES, IDS, DISTANCES)


def nearest_by_faiss():
    return INDEX.search(QUERY[None], 10)


def scan():
    kernels.bits.hamming_rows(SIGNS[7], SIGNS, NEAR)


def scan_by_faiss():
    places = map(faiss.swig_ptr, (SIGNS[7], SIGNS))
    faiss.hammings(*places, 1, len(SIGNS), 128, faiss.swig_ptr(THEIRS))


class Batch:
    @at_least(0.95, v4=0.8, v4n=0.8)  # without an instruction that counts bits
    def track_hamming_scan_against_faiss(self):
        scan()
        scan_by_faiss()
        assert np.array_equal(NEAR, THEIRS[0])
        return times_as_fast(scan, scan_by_faiss)

    @at_least(1)
    def track_sign_pack_against_numpy(self):
        pack()
        assert np.array_equal(PACKED, pack_by_numpy())
        return times_as_fast(pack, pack_by_numpy)

    @at_least(1)
    def track_hamming_top_10_against_faiss(self):
        nearest()
        assert np.array_equal(DISTANCES, nearest_by_faiss()[0][0])
        return times_as_fast(nearest, nearest_by_faiss)
