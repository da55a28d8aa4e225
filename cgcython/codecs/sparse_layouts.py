"""The layouts of sparse vectors: their names, their numbers, and what contradicts them."""

import struct
from typing import Any

from cgcython.base import QuantizationMethod
from cgcython.frames import Layout
from cgcython.metadata import SparseMetadata
from cgcython.tensors import ArrayForm
from cgcython.types import BytesLike

NAMES = ("canonical", "compact_f16", "compact_f32", "compact_u8")
NUMBERS = {name: number for number, name in enumerate(NAMES)}  # as the kernels have them
F16, F32 = NUMBERS["compact_f16"], NUMBERS["compact_f32"]
REASONS = (  # by what kernels.sparse.decode returns
    None,
    "wrong length",
    "the count differs",
    "padding is not zero",
    "indices do not ascend within the dimension",
    "a weight is not finite",
)
COLUMNS = {
    "data": ArrayForm("U8", ("bytes",)),
    "offsets": ArrayForm("I64", ("ends",)),
    "nnz": ArrayForm("U32", ("rows",)),
    "layouts": ArrayForm("U8", ("rows",)),
}
_COUNT = struct.Struct("<I")


def _size_of_pairs(dim: int, metadata: SparseMetadata) -> int:
    return 4 + 8 * metadata.nnz


def _wrong(dim: int, metadata: SparseMetadata, data: BytesLike) -> str | None:
    vocab_size, nnz, _ = metadata
    if vocab_size == dim and nnz <= dim:
        return None
    return f"{nnz} non-zeros of {vocab_size}, dimension {dim}"


def _wrong_pairs(dim: int, metadata: SparseMetadata, data: BytesLike) -> str | None:
    found = _COUNT.unpack_from(data)[0]
    differs = f"the data count {found}, the metadata {metadata.nnz}"
    return _wrong(dim, metadata, data) or (None if found == metadata.nnz else differs)


def _unpack_pairs(dim: int, stored: tuple[Any, ...], data: bytes) -> SparseMetadata:
    nnz = _COUNT.unpack_from(data)[0] if len(data) >= _COUNT.size else 0
    return SparseMetadata(dim, nnz, "canonical")


def _compact(number: int, name: str) -> Layout:
    def unpack(dim: int, stored: tuple[Any, ...], data: bytes) -> SparseMetadata:
        return SparseMetadata(dim, stored[0], name)

    return Layout.of(
        number,
        QuantizationMethod.SPARSE_NATIVE,
        SparseMetadata,
        "<I",
        name=name,
        stored=slice(1, 2),
        wrong=_wrong,
        unpack=unpack,
    )


LAYOUTS = (
    # Canonical pairs begin with their count, so they carry no metadata.
    Layout.of(
        4,
        QuantizationMethod.SPARSE_NATIVE,
        SparseMetadata,
        "<",
        name="canonical",
        stored=slice(0),
        size=_size_of_pairs,
        wrong=_wrong_pairs,
        unpack=_unpack_pairs,
    ),
    _compact(5, "compact_f16"),
    _compact(6, "compact_f32"),
    _compact(12, "compact_u8"),
)
