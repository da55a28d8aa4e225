"""Residual quantization: an embedding is a sum of centroids of all values, each named by a byte."""

from dataclasses import dataclass
from typing import ClassVar

from cgcython.base import QuantizationMethod
from cgcython.codecs.codebook_codec import CodebookCodec, size_of
from cgcython.codecs.residual_codebook import RQ8Codebook
from cgcython.codecs.row_settings import ADDITIVE_BYTES, METRIC
from cgcython.frames import Layout
from cgcython.metadata import RQ8Metadata
from cgcython.tensors import ArrayForm
from cgcython.types import BytesLike


def _wrong(dim: int, metadata: RQ8Metadata, data: BytesLike) -> str | None:
    return None if metadata.code_size >= 1 else "no bytes per embedding"


@dataclass(frozen=True)
class RQ8Codec(CodebookCodec):
    """The codes of one codebook. Batches have the column `codes` [n, M] u8.

    >>> import numpy as np
    >>> centroids = np.zeros((2, 256, 2))
    >>> centroids[0, :, 0], centroids[1, :, 1] = np.arange(256), np.arange(256)
    >>> codec = RQ8Codec(RQ8Codebook(centroids, rotation=np.eye(2), mean=np.zeros(2)))
    >>> codes = codec.encode([7.2, 3.9])
    >>> codes.data.hex()
    '0704'
    >>> codec.decode(codes)
    array([7., 4.], dtype=float32)
    """

    codebook: RQ8Codebook

    method = QuantizationMethod.RQ8
    kind, metadata_kind = RQ8Codebook, RQ8Metadata
    layouts = (Layout.of(20, method, RQ8Metadata, "<IB", size=size_of, wrong=_wrong),)
    columns: ClassVar = {"codes": ArrayForm("U8", ("rows", "code_size"))}
    shared = ("codebook_id", "code_size")
    ratio, max_loss = 32.0, 0.05
    codebook_kind, untrained_bytes = "rq8", 8
    row_settings: ClassVar = METRIC | ADDITIVE_BYTES
