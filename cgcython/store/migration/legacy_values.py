"""What the old system stored of an embedding: little-endian float32 values and no header.

Its `serialize_embedding` wrote the values of a vector, and of the tokens of a text, one after the
other. A sparse embedding is its vocabulary written out as such a vector, or the pairs that the
system's own sparse codec writes: u32 count, then u32 index and f32 weight each.
"""

from typing import NamedTuple, TypeAlias

import numpy as np

from cgcython.base import Embedder, EmbedderId
from cgcython.codecs.base import InputKind, codec_class
from cgcython.errors import DimensionMismatch, InvalidInput, QuantizationError
from cgcython.records import SparseVector
from cgcython.types import Float32Array

LegacyValue: TypeAlias = Float32Array | SparseVector  # a vector, a token matrix or a sparse one

_PAIR = np.dtype([("index", "<u4"), ("weight", "<f4")])
_COUNT = np.dtype("<u4")


class LegacyRecord(NamedTuple):
    """One memory of a source: its embeddings, or the error that says why there are none."""

    place: bytes  # its own in the source; ascending, so that a later run can go on after it
    name: str  # its id as text, or what the source calls it
    key: bytes | None  # of its id
    embeddings: dict[EmbedderId, LegacyValue]
    float32_bytes: int
    error: QuantizationError | None = None


def decode_value(value: bytes, embedder: Embedder) -> LegacyValue:
    """Return the embedding that an embedder's legacy bytes hold.

    Raises DimensionMismatch and InvalidInput; what is not finite is refused where it is encoded.

    >>> from cgcython.base import Profile
    >>> row = Profile.from_toml('E9 = { dimension = 2, method = "binary" }')[8]
    >>> decode_value(bytes.fromhex("0000803f000000bf"), row)
    array([ 1. , -0.5], dtype=float32)
    """
    inputs = codec_class(embedder.method).inputs
    if inputs is InputKind.SPARSE:
        return _sparse(value, embedder.dimension)
    values = _floats(value)
    if inputs is InputKind.DENSE:
        return _of_dimension(values, embedder.dimension)
    if len(values) % embedder.dimension:
        expected = f"a multiple of {embedder.dimension}"
        raise DimensionMismatch(expected=expected, actual=len(values), what="values of tokens")
    return values.reshape(-1, embedder.dimension)


def _sparse(value: bytes, dimension: int) -> SparseVector:
    """Read pairs, or a vector: 4 times its dimension, which pairs reach only when half are full."""
    count = int(np.frombuffer(value, _COUNT, 1)[0]) if len(value) >= _COUNT.itemsize else -1
    if len(value) != 4 * dimension and len(value) == _COUNT.itemsize + count * _PAIR.itemsize:
        pairs = np.frombuffer(value, _PAIR, count, _COUNT.itemsize)
        weights = pairs["weight"].astype(np.float32)
        return SparseVector(pairs["index"].astype(np.uint32), weights, dimension)
    values = _of_dimension(_floats(value), dimension)
    indices = np.flatnonzero(values)
    return SparseVector(indices, values[indices], dimension)


def _floats(value: bytes) -> Float32Array:
    if len(value) % 4:
        expected = "whole float32 values of 4 bytes"
        raise InvalidInput(what="legacy value", expected=expected, actual=f"{len(value)} bytes")
    return np.frombuffer(value, "<f4").astype(np.float32, copy=False)


def _of_dimension(values: Float32Array, dimension: int) -> Float32Array:
    if len(values) != dimension:
        raise DimensionMismatch(expected=dimension, actual=len(values))
    return values
