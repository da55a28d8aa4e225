"""Codecs for numcodecs, and so for zarr 2 arrays and kerchunk: `numcodecs.get_codec` finds them.

>>> import numcodecs
>>> codec = Float8(dim=2)
>>> codec.decode(codec.encode(np.float32([[1.0, -0.5]])))
array([[ 1. , -0.5]], dtype=float32)
"""

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
from numcodecs.abc import Codec as NumCodec
from numcodecs.compat import ensure_contiguous_ndarray, ndarray_copy

from cgcython.adapters import chunks
from cgcython.codecs.base import Codec
from cgcython.codecs.binary import BinaryCodec
from cgcython.codecs.float8 import Float8Codec
from cgcython.codecs.pq8 import PQ8Codec
from cgcython.codecs.rq8 import RQ8Codec
from cgcython.codecs.scalar import ScalarCodec


class RowCodec(NumCodec):  # type: ignore[misc]  # numcodecs has no types
    """Rows of `dim` floats; `dtype` is what they are decoded to."""

    dim: int
    dtype: str

    def __init__(self, dim: int, dtype: str = "<f4") -> None:
        chunks.require_floats(np.dtype(dtype))
        self.dim, self.dtype = self._codec_of(dim).dim, np.dtype(dtype).str

    def encode(self, buf: Any) -> bytes:
        """Return the bytes of an array [..., dim]."""
        given = buf if isinstance(buf, np.ndarray) else np.frombuffer(buf, self.dtype)
        chunks.require_floats(given.dtype)
        return chunks.to_bytes(self._codec_of(self.dim), given)

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Return the values [rows, dim] of bytes, in `out` where it is given."""
        data = ensure_contiguous_ndarray(buf).view(np.uint8)
        values = chunks.from_bytes(self._codec_of(self.dim), data)
        return ndarray_copy(values.astype(self.dtype, copy=False), out)

    @abstractmethod
    def _codec_of(self, dim: int) -> Codec:
        """Return the codec of rows of `dim` values."""


class Float8(RowCodec):
    """E4M3 codes and a scale per row."""

    codec_id: ClassVar[str] = "cgcython.float8"

    def _codec_of(self, dim: int) -> Codec:
        return Float8Codec(dim)


class Scalar(RowCodec):
    """Codes of 8, 6, 4 or 2 bits of rotated values, and a scale per row."""

    codec_id: ClassVar[str] = "cgcython.scalar"

    def __init__(self, dim: int, bits: int = 8, dtype: str = "<f4") -> None:
        self.bits = bits
        super().__init__(dim, dtype)

    def _codec_of(self, dim: int) -> Codec:
        return ScalarCodec(dim, self.bits)


class Binary(RowCodec):
    """A bit per value, which decodes to +1 and -1."""

    codec_id: ClassVar[str] = "cgcython.binary"

    def __init__(self, dim: int, threshold: float = 0.0, dtype: str = "<f4") -> None:
        self.threshold = threshold
        super().__init__(dim, dtype)

    def _codec_of(self, dim: int) -> Codec:
        return BinaryCodec(dim, self.threshold)


class PQ8(RowCodec):
    """Product-quantization codes; the array's metadata hold the path of their codebook's file."""

    codec_id: ClassVar[str] = "cgcython.pq8"

    def __init__(self, codebook: str, dtype: str = "<f4") -> None:
        self.codebook = str(codebook)
        super().__init__(0, dtype)

    def get_config(self) -> dict[str, Any]:
        """Return what makes an equal codec."""
        return {"id": self.codec_id, "codebook": self.codebook, "dtype": self.dtype}

    def _codec_of(self, dim: int) -> Codec:
        return chunks.codec_of(PQ8Codec, self.codebook)


class RQ8(PQ8):
    """Residual codes; the array's metadata hold the path of their codebook's file."""

    codec_id: ClassVar[str] = "cgcython.rq8"

    def _codec_of(self, dim: int) -> Codec:
        return chunks.codec_of(RQ8Codec, self.codebook)
