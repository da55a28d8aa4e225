"""Product quantization: one byte for each part of an embedding, naming its nearest centroid."""

from dataclasses import dataclass
from typing import ClassVar

from cgcython.base import QuantizationMethod
from cgcython.codecs.codebook import PQ8Codebook
from cgcython.codecs.codebook_codec import CodebookCodec, size_of
from cgcython.codecs.row_settings import BYTES, METRIC
from cgcython.frames import Layout
from cgcython.metadata import PQ8Metadata
from cgcython.tensors import ArrayForm
from cgcython.types import BytesLike


def _wrong(dim: int, metadata: PQ8Metadata, data: BytesLike) -> str | None:
    return None if metadata.num_subvectors >= 1 else "no subvectors"


@dataclass(frozen=True)
class PQ8Codec(CodebookCodec):
    """The codes of one codebook. Batches have the column `codes` [n, M] u8.

    >>> import numpy as np
    >>> codec = PQ8Codec(PQ8Codebook(np.zeros((8, 256, 1)) + np.arange(256)[:, None]))
    >>> codes = codec.encode([0, 1, 2.4, 2.6, 255, 300, -9, 7])
    >>> codes.data.hex()
    '00010203ffff0007'
    >>> codec.decode(codes)
    array([  0.,   1.,   2.,   3., 255., 255.,   0.,   7.], dtype=float32)
    """

    codebook: PQ8Codebook

    method = QuantizationMethod.PQ8
    kind, metadata_kind = PQ8Codebook, PQ8Metadata
    layouts = (Layout.of(3, method, PQ8Metadata, "<IB", size=size_of, wrong=_wrong),)
    columns: ClassVar = {"codes": ArrayForm("U8", ("rows", "num_subvectors"))}
    shared = ("codebook_id", "num_subvectors")
    ratio, max_loss = 32.0, 0.05
    untrained_bytes = 8
    row_settings: ClassVar = METRIC | BYTES
