"""Kernels that memory holds back, as shares of a bare stream of the same bytes timed in turn."""

import numpy as np

from cgcython import kernels
from cgcython.kernels import pq_layout

from .gates import at_least
from .limits import LARGE
from .stopwatch import share_of

WORDS = np.ones(LARGE.size // 4, np.float32)
ROWS, CODES = LARGE.reshape(-1, 512), WORDS.view(np.uint8).reshape(-1, 512)
SCALES = np.ones(len(ROWS), np.float32)
WIDE_ROWS, PACKED = LARGE.reshape(-1, 1024), np.ones((len(ROWS) // 2, 128), np.uint8)
SIGNS = LARGE.view(np.uint8).reshape(-1, 128)
DISTANCES, DOTS = np.ones(len(SIGNS), np.uint32), np.ones(len(ROWS), np.float32)
PREPARED = pq_layout.prepare(np.ones((8, 256, 128), np.float32))
PQ_CODES, SCRATCH = CODES.reshape(-1)[: 8 * len(WIDE_ROWS)].reshape(-1, 8), np.empty(0, np.float32)


def read():
    kernels.limits.read(LARGE)


def narrow():
    kernels.limits.narrow(LARGE, WORDS)


def widen():
    kernels.limits.widen(WORDS, LARGE)


@at_least(0.8, "of read")
def track_sign_pack():
    return share_of(read, lambda: kernels.bits.pack_rows(WIDE_ROWS, 0.0, PACKED))


@at_least(0.8, "of read", v4=0.65, v4n=0.65)  # without an instruction that counts bits
def track_hamming_scan():
    return share_of(read, lambda: kernels.bits.hamming_rows(SIGNS[0], SIGNS, DISTANCES))


@at_least(0.8, "of read")
def track_dense_dots():
    return share_of(read, lambda: kernels.dense.dot_rows(ROWS[0], ROWS, DOTS))


@at_least(0.75, "of 4 to 1", v3=0.45, v4=0.55, v4n=0.55)  # without one that shuffles bytes
def track_e4m3_encode_rows():
    return share_of(narrow, lambda: kernels.e4m3.encode_rows(ROWS, CODES, SCALES))


@at_least(0.75, "of 1 to 4")
def track_e4m3_decode_rows():
    CODES[:] = 0x38  # 1.0, so that LARGE stays as it is
    return share_of(widen, lambda: kernels.e4m3.decode_rows(CODES, SCALES, ROWS))


@at_least(0.5, "of 1 to 4")
def track_pq_decode_rows():
    return share_of(widen, lambda: kernels.pq.decode_rows(PQ_CODES, PREPARED, WIDE_ROWS, SCRATCH))
