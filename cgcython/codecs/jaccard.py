"""Jaccard similarity of sign codes: the bits set in both, as a part of those set in either."""

import numpy as np

from cgcython import kernels
from cgcython.arrays import as_array
from cgcython.checks import require_whole
from cgcython.codecs.binary import hamming_distance
from cgcython.errors import DimensionMismatch, InvalidInput
from cgcython.parallel import split_rows
from cgcython.records import as_bytes
from cgcython.types import Array, ArrayLike, BytesLike, Float32Array, Int64Array, UInt8Array


def jaccard_similarity(a: BytesLike, b: BytesLike, num_bits: int | None = None) -> float:
    """Return the number of bits set in both codes, as a part of those set in either.

    Two codes without any bit are equal: 1.0. Given `num_bits`, the padding bits of the last byte do
    not count; a codec leaves them zero. Raises DimensionMismatch for unequal lengths, InvalidInput
    for what is no bytes.

    >>> jaccard_similarity(bytes([0b1100]), bytes([0b0110]))
    0.3333333333333333
    """
    distance = hamming_distance(a, b)
    left, right = as_bytes(a), as_bytes(b)
    if num_bits is not None:
        padding = _padding(num_bits, len(left))
        left, right = _cleared(left, padding), _cleared(right, padding)
        distance = kernels.bits.hamming(left, right)
    both = sum(kernels.bits.hamming(one, bytes(len(one))) for one in (left, right))
    return (both - distance) / (both + distance) if both else 1.0


def jaccard_similarities(
    queries: ArrayLike | BytesLike, codes: ArrayLike, num_threads: int = 1
) -> Float32Array:
    """Return the similarity of each code [n, bytes] with a query [bytes]: [n] f32.

    Queries [m, bytes] give a matrix [m, n]. Codes are u8, as BinaryCodec packs them. Raises
    DimensionMismatch and InvalidInput.

    >>> jaccard_similarities(np.uint8([3]), np.uint8([[1], [3], [0]]))
    array([0.5, 1. , 0. ], dtype=float32)
    """
    stored = _as_codes(codes, "codes")
    asked = _as_codes(queries, "queries")
    if stored.ndim != 2 or asked.ndim not in (1, 2):
        wrong = stored if stored.ndim != 2 else asked
        raise DimensionMismatch(expected=2, actual=wrong.ndim, what="dimensions of the codes")
    if asked.shape[-1] != stored.shape[1]:
        raise DimensionMismatch(expected=stored.shape[1], actual=asked.shape[-1], what="bytes")
    rows = np.atleast_2d(asked)
    set_bits = _differing(np.zeros(stored.shape[1], np.uint8), stored, num_threads)
    out = np.empty((len(rows), len(stored)), np.float32)
    for query, similarities in zip(rows, out):
        either = set_bits + kernels.bits.hamming(query, np.zeros_like(query))
        distances = _differing(query, stored, num_threads)
        similarities[:] = 1  # where neither has a bit
        np.divide(either - distances, either + distances, out=similarities, where=either > 0)
    return out.reshape(*asked.shape[:-1], len(stored))


def _differing(query: UInt8Array, codes: UInt8Array, num_threads: int) -> Int64Array:
    """Return in how many bits each code differs from a query."""
    distances = np.empty(len(codes), np.uint32)

    def count(start: int, stop: int) -> None:
        kernels.bits.hamming_rows(query, codes[start:stop], distances[start:stop])

    split_rows(count, len(codes), num_threads)
    return distances.astype(np.int64)


def _as_codes(codes: ArrayLike | BytesLike, what: str) -> UInt8Array:
    found: Array
    if isinstance(codes, (bytes, bytearray, memoryview)):
        found = np.frombuffer(as_bytes(codes), np.uint8)
    else:
        found = as_array(codes, what)
    if found.dtype != np.uint8:
        raise InvalidInput(what=what, expected="packed bits, uint8", actual=found.dtype)
    return np.ascontiguousarray(found)


def _padding(num_bits: int, num_bytes: int) -> int:
    bits = require_whole(num_bits, "num_bits", least=1)
    if (bits + 7) // 8 != num_bytes:
        raise DimensionMismatch(expected=num_bytes * 8, actual=num_bits, what="bits")
    return (1 << -bits % 8) - 1


def _cleared(code: bytes, padding: int) -> bytes:
    return code[:-1] + bytes([code[-1] & ~padding])
