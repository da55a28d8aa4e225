"""Plain E4M3 codes and Hamming distances beside numkong, where it is installed."""

import numpy as np

from cgcython import kernels

from .gates import at_least, beside
from .inputs import RNG
from .stopwatch import times_as_fast

VALUES = RNG.standard_normal((32_768, 512), dtype=np.float32)  # more than a cache
CODES, DECODED = np.empty(VALUES.size, np.uint8), np.empty(VALUES.size, np.float32)
A, B = RNG.integers(0, 256, (2, 128), dtype=np.uint8)


def encode():
    kernels.e4m3.encode(VALUES.reshape(-1), CODES)


def hamming():
    return kernels.bits.hamming(A, B)


@beside("numkong")
@at_least(1.5)
def track_encode():
    import numkong

    codes = numkong.zeros(VALUES.shape, dtype="e4m3")
    ratio = times_as_fast(encode, lambda: numkong.astype(VALUES, "e4m3", out=codes))
    assert np.asarray(codes).tobytes() == CODES.tobytes()
    return ratio


def decode_as_fast(rows):
    """Return numkong's time over ours for the first rows, once both decode to the same."""
    import numkong

    encode()
    codes, decoded = numkong.astype(VALUES[:rows], "e4m3"), np.empty_like(VALUES[:rows])
    ours = CODES[: decoded.size], 1.0, 0.0, DECODED[: decoded.size]
    ratio = times_as_fast(
        lambda: kernels.e4m3.decode(*ours),
        lambda: numkong.astype(codes, "float32", out=decoded),
        rounds=25,
    )
    assert np.array_equal(decoded.ravel(), ours[-1])
    return ratio


@beside("numkong")
@at_least(1.1, v4=0.9, v4n=0.9)
def track_decode_in_cache():
    return decode_as_fast(4096)


# Both decode at the rate of the stores.
@beside("numkong")
@at_least(0.9, v4=0.7, v4n=0.7)
def track_decode_to_memory():
    return decode_as_fast(len(VALUES))


@beside("numkong")
@at_least(1.5)
def track_hamming_pair():
    import numkong

    a, b = numkong.Tensor(A), numkong.Tensor(B)
    assert numkong.hamming(a, b, "uint1") == hamming()
    return times_as_fast(hamming, lambda: numkong.hamming(a, b, "uint1"))
