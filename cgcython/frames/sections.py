"""The bytes around one encoded embedding: what it is, how long it is, and a checksum.

A section is, little-endian: u8 embedder (0xFF: none, or one without a number), u8 layout, u32
dimension, u32 length, a payload of that length, u32 CRC-32 of all before. The payload is the
layout's metadata, then its data. A QuantizedEmbedding that stands alone is `CGQE`, u8 version and
one section.
"""

import struct
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from cgcython import methods
from cgcython.base import FIRST_OWN, EmbedderId, ModelId, QuantizationMethod
from cgcython.checksums import RESIDUE, crc32
from cgcython.errors import (
    InvalidInput,
    InvalidQuantizedData,
    StorageCorruption,
    UnsupportedVersion,
)
from cgcython.frames.layouts import (
    FIRST_OF_OTHERS,
    HEAD,
    U32,
    Layout,
    by_metadata,
    by_number,
    layout_of_metadata,
    layout_of_number,
)

if TYPE_CHECKING:
    from cgcython.types import BytesLike

MAGIC, VERSION = b"CGQE", 1
NO_EMBEDDER = 0xFF
OVERHEAD = HEAD.size + U32.size
Fields: TypeAlias = tuple[QuantizationMethod, int, bytes, Any]  # of a QuantizedEmbedding


class Quantized(Protocol):
    """The fields of a QuantizedEmbedding."""

    @property
    def method(self) -> QuantizationMethod: ...
    @property
    def original_dim(self) -> int: ...
    @property
    def data(self) -> bytes: ...
    @property
    def metadata(self) -> Any: ...


def write_section(quantized: Quantized, model_id: EmbedderId | None = None) -> bytes:
    """Return the section of a QuantizedEmbedding.

    Raises InvalidQuantizedData when its parts contradict each other.
    """
    dimension, data, metadata = quantized.original_dim, quantized.data, quantized.metadata
    layout = by_metadata.get((type(metadata), getattr(metadata, "layout", None)))
    if layout is None or layout.method is not quantized.method:
        layout = layout_of_metadata(quantized.method, metadata)
    embedder = NO_EMBEDDER if model_id is None else model_id
    length, fields = layout.fields.size + len(data), metadata[layout.stored]
    try:
        head = layout.head.pack(embedder, layout.number, dimension, length, *fields)
    except (struct.error, OverflowError) as error:
        raise InvalidInput(what="metadata", expected="32-bit numbers", actual=error) from None
    _require_consistent(layout, dimension, metadata, data)
    return b"".join((head, data, U32.pack(crc32(data, crc32(head)))))


def read_section(
    section: "BytesLike", where: str = "quantized embedding"
) -> tuple[int | None, Fields]:
    """Return (number of the embedder or None, the four fields of a QuantizedEmbedding) of bytes.

    Raises StorageCorruption (naming `where`) for bytes that were not written as they are, and
    InvalidQuantizedData for a content that contradicts itself.
    """
    if len(section) < OVERHEAD:
        raise _damaged(where, f"{len(section)} bytes are fewer than the {OVERHEAD} of a frame")
    embedder, number, dimension, length = HEAD.unpack_from(section)
    if len(section) != OVERHEAD + length:
        raise _damaged(where, f"{OVERHEAD + length} bytes were announced, {len(section)} are there")
    if crc32(section) != RESIDUE:
        raise _damaged(where, "the checksum differs")
    layout = by_number.get(number) or layout_of_number(number)
    is_known = embedder in _EMBEDDERS or embedder >= FIRST_OWN
    if layout is None or not is_known:  # whole, so of a release to come
        raise _unsupported(where, number, embedder)
    if length < layout.fields.size:
        raise _invalid(layout, layout.fields.size, length)
    data = bytes(section[layout.head.size : -U32.size])
    metadata = layout.unpack(dimension, layout.fields.unpack_from(section, HEAD.size), data)
    _require_consistent(layout, dimension, metadata, data)
    return _EMBEDDERS.get(embedder, embedder), (layout.method, dimension, data, metadata)


def section_length(data: "BytesLike", start: int, where: str) -> int:
    """Return the length of the section that begins at a position of some bytes.

    Raises StorageCorruption, naming `where`, when it is cut off.
    """
    if len(data) < start + HEAD.size:
        raise _damaged(where, "a section is missing")
    length: int = OVERHEAD + HEAD.unpack_from(data, start)[3]
    if len(data) < start + length:
        raise _damaged(where, f"a section of {length} bytes is cut off at {len(data) - start}")
    return length


def write_embedding(quantized: Quantized) -> bytes:
    """Return a QuantizedEmbedding as bytes that stand alone."""
    return _PREFIX + write_section(quantized)


def read_embedding(data: bytes, where: str = "quantized embedding") -> Fields:
    """Return the four fields of a QuantizedEmbedding; errors as in `read_section`."""
    if not data.startswith(MAGIC) or len(data) < len(_PREFIX):
        raise _damaged(where, f"it does not begin with {MAGIC!r} and a version")
    if data[len(MAGIC)] != VERSION:
        reason = f"it has version {data[len(MAGIC)]}, this release reads {VERSION}"
        raise UnsupportedVersion(where=where, reason=reason)
    return read_section(data[len(_PREFIX) :], where)[1]


_PREFIX = MAGIC + bytes([VERSION])
_EMBEDDERS: dict[int, ModelId | None] = {
    NO_EMBEDDER: None,
    **{int(model_id): model_id for model_id in ModelId},
}


def _unsupported(where: str, number: int, embedder: int) -> UnsupportedVersion:
    reason = f"layout {number} of embedder {embedder} is unknown"
    if number >= FIRST_OF_OTHERS and number not in by_number:
        failed = methods.import_all_installed()
        reason += "; ".join([", it is of a package that is not installed", *failed])
    return UnsupportedVersion(where=where, reason=reason)


def _require_consistent(layout: Layout, dimension: int, metadata: Any, data: "BytesLike") -> None:
    size = layout.size
    if size and len(data) != size(dimension, metadata):
        raise _invalid(layout, size(dimension, metadata), len(data))
    wrong = layout.wrong(dimension, metadata, data)
    if wrong or dimension < 1:
        raise _invalid(layout, reason=wrong or f"dimension is {dimension}")


def _invalid(
    layout: Layout,
    expected: int | None = None,
    actual: int | None = None,
    reason: str | None = None,
) -> InvalidQuantizedData:
    return InvalidQuantizedData(
        method=layout.method, expected_bytes=expected, actual_bytes=actual, reason=reason
    )


def _damaged(where: str, reason: str) -> StorageCorruption:
    return StorageCorruption(where=where, reason=reason)
