"""Chunks of arrays as bytes of a dense codec: its columns one after the other, little-endian.

Rows are along the last axis of a chunk. Float8 is codes u8 [rows, dim], then scales f32 [rows];
scalar codes are u8 [rows, ceil(dim * bits / 8)], then scales f16 and powers i8; bits are u8
[rows, ceil(dim / 8)]; product quantization and residual codes are u8 [rows, M].
"""

import math
from functools import lru_cache
from typing import Any

import numpy as np

from cgcython.arrays import as_float32
from cgcython.codecs.base import Codec
from cgcython.codecs.codebook_base import Codebook
from cgcython.errors import DimensionMismatch, InvalidInput, InvalidQuantizedData
from cgcython.records import QuantizedBatch
from cgcython.types import Array, ArrayLike, BytesLike, Float32Array


def to_bytes(codec: Codec, values: ArrayLike) -> bytes:
    """Return the bytes of an array [..., dim], or of one that was flattened.

    Raises DimensionMismatch, InvalidInput and NonFiniteValue.

    >>> from cgcython import BinaryCodec
    >>> to_bytes(BinaryCodec(4), [[1, -1, 1, 1], [-1, -1, -1, 1]]).hex()
    'b010'
    """
    given = as_float32(values)
    if given.size % codec.dim or (given.ndim > 1 and given.shape[-1] != codec.dim):
        actual = given.shape[-1] if given.ndim > 1 else given.size
        raise DimensionMismatch(expected=codec.dim, actual=actual, what="values per row")
    batch = codec.encode_batch(given.reshape(-1, codec.dim))
    return b"".join(np.ascontiguousarray(batch.columns[name]).tobytes() for name in codec.columns)


def from_bytes(codec: Codec, data: BytesLike) -> Float32Array:
    """Return the values [rows, dim] of bytes; raises InvalidQuantizedData for any other bytes.

    >>> from cgcython import BinaryCodec
    >>> from_bytes(BinaryCodec(4), bytes.fromhex("b010"))
    array([[ 1., -1.,  1.,  1.],
           [-1., -1., -1.,  1.]], dtype=float32)
    """
    raw = np.frombuffer(data, np.uint8)
    none = _no_rows(codec)
    rows, rest = divmod(len(raw), row_bytes(codec))
    if rest:
        expected = rows * row_bytes(codec)
        raise InvalidQuantizedData(
            method=codec.method, expected_bytes=expected, actual_bytes=len(raw)
        )
    columns, start = {}, 0
    for name in codec.columns:
        column = none.columns[name]
        stop = start + rows * _width(column)
        typed = raw[start:stop].view(column.dtype.newbyteorder("<")).astype(column.dtype)
        columns[name], start = typed.reshape(rows, *column.shape[1:]), stop
    values: Float32Array = codec.decode_batch(
        QuantizedBatch(codec.method, codec.dim, columns, none.shared)
    )
    return values


def row_bytes(codec: Codec) -> int:
    """Return the bytes of one row.

    >>> from cgcython import Float8Codec
    >>> row_bytes(Float8Codec(384))
    388
    """
    return sum(_width(column) for column in _no_rows(codec).columns.values())


@lru_cache(maxsize=16)
def codec_of(kind: type[Codec], path: str) -> Codec:
    """Return the codec of the codebook in a file; raises CodebookMissing and CodebookCorrupt."""
    codebook = Codebook.load(path)
    return kind.for_dimension(codebook.embedding_dim, codebook)


def require_floats(dtype: np.dtype[Any]) -> None:
    """Raise InvalidInput unless a type is one of floats, which codes can stand for."""
    if dtype.kind != "f":
        raise InvalidInput(what="dtype", expected="float32, float64 or float16", actual=dtype)


def _no_rows(codec: Codec) -> QuantizedBatch:
    return codec.encode_batch(np.empty((0, codec.dim), np.float32))


def _width(column: Array) -> int:
    return column.itemsize * math.prod(column.shape[1:])
