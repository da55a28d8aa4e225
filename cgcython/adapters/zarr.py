"""Serializers for zarr 3: chunks of float arrays, rows along the last axis, as codes.

    zarr.create_array("rows.zarr", data=rows, chunks=(1000, 384), serializer=Float8())

Arrays say the codec by name, so that zarr finds it again wherever this package is installed.
"""

import asyncio
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from zarr.abc.codec import ArrayBytesCodec
from zarr.core.array_spec import ArraySpec
from zarr.core.buffer import Buffer, NDBuffer

from cgcython.adapters import chunks
from cgcython.codecs.base import Codec
from cgcython.codecs.binary import BinaryCodec
from cgcython.codecs.float8 import Float8Codec
from cgcython.codecs.pq8 import PQ8Codec
from cgcython.codecs.rq8 import RQ8Codec
from cgcython.codecs.scalar import ScalarCodec


@dataclass(frozen=True)
class RowSerializer(ArrayBytesCodec):
    """What the codecs share; zarr calls it."""

    is_fixed_size = True
    name: ClassVar[str]

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Return the codec that an array's metadata describe."""
        return cls(**data.get("configuration", {}))

    def to_dict(self) -> dict[str, Any]:
        """Return what an array's metadata keep of the codec."""
        return {"name": self.name, "configuration": dict(vars(self))}

    def validate(self, *, shape: tuple[int, ...], dtype: Any, chunk_grid: Any) -> None:
        """Raise InvalidInput where the codes cannot stand for an array's values."""
        chunks.require_floats(dtype.to_native_dtype())
        self._codec_of(chunk_grid.chunk_shape[-1] if shape else 1)

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        """Return the bytes of a chunk."""
        codec = self._codec_of(chunk_spec.shape[-1])
        return int(np.prod(chunk_spec.shape[:-1])) * chunks.row_bytes(codec)

    async def _encode_single(self, chunk_data: NDBuffer, chunk_spec: ArraySpec) -> Buffer:
        values = np.asarray(chunk_data.as_ndarray_like())
        codec = self._codec_of(chunk_spec.shape[-1])
        data = await asyncio.to_thread(chunks.to_bytes, codec, values)
        return chunk_spec.prototype.buffer.from_bytes(data)

    async def _decode_single(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        codec = self._codec_of(chunk_spec.shape[-1])
        values = await asyncio.to_thread(chunks.from_bytes, codec, chunk_data.to_bytes())
        shaped = values.astype(chunk_spec.dtype.to_native_dtype(), copy=False)
        return chunk_spec.prototype.nd_buffer.from_numpy_array(shaped.reshape(chunk_spec.shape))

    @abstractmethod
    def _codec_of(self, dim: int) -> Codec:
        """Return the codec of rows of `dim` values."""


@dataclass(frozen=True)
class Float8(RowSerializer):
    """E4M3 codes and a scale per row."""

    name: ClassVar[str] = "cgcython.float8"

    def _codec_of(self, dim: int) -> Codec:
        return Float8Codec(dim)


@dataclass(frozen=True)
class Scalar(RowSerializer):
    """Codes of 8, 6, 4 or 2 bits of rotated values, and a scale per row."""

    bits: int = 8
    name: ClassVar[str] = "cgcython.scalar"

    def _codec_of(self, dim: int) -> Codec:
        return ScalarCodec(dim, self.bits)


@dataclass(frozen=True)
class Binary(RowSerializer):
    """A bit per value, which decodes to +1 and -1."""

    threshold: float = 0.0
    name: ClassVar[str] = "cgcython.binary"

    def _codec_of(self, dim: int) -> Codec:
        return BinaryCodec(dim, self.threshold)


@dataclass(frozen=True)
class PQ8(RowSerializer):
    """Product-quantization codes; the array's metadata hold the path of their codebook's file."""

    codebook: str
    name: ClassVar[str] = "cgcython.pq8"

    def _codec_of(self, dim: int) -> Codec:
        return chunks.codec_of(PQ8Codec, self.codebook)


@dataclass(frozen=True)
class RQ8(RowSerializer):
    """Residual codes; the array's metadata hold the path of their codebook's file."""

    codebook: str
    name: ClassVar[str] = "cgcython.rq8"

    def _codec_of(self, dim: int) -> Codec:
        return chunks.codec_of(RQ8Codec, self.codebook)
