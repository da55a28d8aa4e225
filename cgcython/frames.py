"""The bytes around one encoded embedding: what it is, how long it is, and a checksum.

A section is, little-endian: u8 embedder (0xFF: none), u8 layout, u32 dimension, u32 length, a
payload of that length, u32 CRC-32 of all before. The payload is the layout's metadata, then its
data. A record is `CGQE`, u8 version and one section.
"""

import struct
from collections.abc import Callable
from math import isfinite
from typing import NamedTuple
from zlib import crc32

import numpy as np

from cgcython.base import ModelId, QuantizationMethod
from cgcython.errors import (
    InvalidInput,
    InvalidQuantizedData,
    StorageCorruption,
    UnsupportedVersion,
)
from cgcython.metadata import (
    BinaryMetadata,
    Float8Metadata,
    PQ8Metadata,
    SparseMetadata,
    TokenPruningMetadata,
)

MAGIC, VERSION = b"CGQE", 1
NO_EMBEDDER = 0xFF
_HEAD, _U32 = struct.Struct("<BBII"), struct.Struct("<I")
OVERHEAD = _HEAD.size + _U32.size
_RESIDUE = crc32(_U32.pack(crc32(b"")))  # of any bytes that end in their own checksum
METHODS = {
    Float8Metadata: QuantizationMethod.FLOAT8_E4M3,
    BinaryMetadata: QuantizationMethod.BINARY,
    PQ8Metadata: QuantizationMethod.PQ8,
    SparseMetadata: QuantizationMethod.SPARSE_NATIVE,
    TokenPruningMetadata: QuantizationMethod.TOKEN_PRUNING,
}


class Layout(NamedTuple):
    """One way to lay out an embedding: its metadata as a struct, then its data.

    `stored` are the metadata that `fields` packs, alone, and `head` after the head of a section.
    `size(dimension, metadata)` is the bytes of data, where the metadata tell;
    `wrong(dimension, metadata, data)` says what contradicts what, or None.
    """

    number: int
    kind: type
    name: str | None
    fields: struct.Struct
    size: Callable | None
    wrong: Callable
    head: struct.Struct
    method: QuantizationMethod
    stored: slice


def _layout(number, kind, name, fields, size, wrong, stored=slice(None)):
    head, fields = struct.Struct(_HEAD.format + fields.removeprefix("<")), struct.Struct(fields)
    return Layout(number, kind, name, fields, size, wrong, head, METHODS[kind], stored)


def _wrong_float8(dimension, m, data):
    if not (isfinite(m.scale) and isfinite(m.bias)):
        return f"scale is {m.scale}, bias is {m.bias}"


def _wrong_binary(dimension, m, data):
    if not isfinite(m.threshold):
        return f"threshold is {m.threshold}"


def _wrong_pq8(dimension, m, data):
    if m.num_subvectors < 1:
        return "no subvectors"


def _wrong_sparse(dimension, m, data):
    if m.vocab_size != dimension or m.nnz > dimension:
        return f"{m.nnz} non-zeros of {m.vocab_size}, dimension {dimension}"


def _wrong_pairs(dimension, m, data):
    return _wrong_sparse(dimension, m, data) or _wrong_count(m.nnz, data)


def _wrong_tokens(dimension, m, data):
    if m.kept_tokens > m.original_tokens:
        return f"{m.kept_tokens} of {m.original_tokens} tokens kept"
    if not isfinite(m.threshold):
        return f"threshold is {m.threshold}"


def _wrong_token_records(dimension, m, data):
    return _wrong_tokens(dimension, m, data) or _wrong_count(m.kept_tokens, data)


def _wrong_count(said, data):
    found = _U32.unpack_from(data)[0]
    if found != said:
        return f"the data count {found}, the metadata {said}"


def _bitmap(metadata):
    return (metadata.original_tokens + 7) // 8


def _codes(dim, metadata, bits):
    return metadata.kept_tokens * (4 + (dim * bits + 7) // 8)


def _token_layout(number, name, size, wrong=_wrong_tokens):
    return _layout(number, TokenPruningMetadata, name, "<IIf", size, wrong, slice(3))


def _sparse_layout(number, name, fields, size=None, wrong=_wrong_sparse):
    stored = slice(1, 2) if fields == "<I" else slice(0)
    return _layout(number, SparseMetadata, name, fields, size, wrong, stored)


LAYOUTS = (
    _layout(1, Float8Metadata, None, "<ff", lambda dim, m: dim, _wrong_float8),
    _layout(2, BinaryMetadata, None, "<f", lambda dim, m: (dim + 7) // 8, _wrong_binary),
    _layout(3, PQ8Metadata, None, "<IB", lambda dim, m: m.num_subvectors, _wrong_pq8),
    # Canonical pairs begin with their count, so they carry no metadata.
    _sparse_layout(4, "canonical", "<", lambda dim, m: 4 + 8 * m.nnz, _wrong_pairs),
    _sparse_layout(5, "compact_f16", "<I"),
    _sparse_layout(6, "compact_f32", "<I"),
    _token_layout(
        7, "canonical", lambda dim, m: 4 + m.kept_tokens * (4 + 4 * dim), _wrong_token_records
    ),
    _token_layout(8, "compact_e4m3", lambda dim, m: _bitmap(m) + m.kept_tokens * (4 + dim)),
    _token_layout(9, "compact_f32", lambda dim, m: _bitmap(m) + m.kept_tokens * 4 * dim),
    _token_layout(10, "compact_int4", lambda dim, m: _bitmap(m) + _codes(dim, m, 4)),
    _token_layout(11, "compact_int2", lambda dim, m: _bitmap(m) + _codes(dim, m, 2)),
    _sparse_layout(12, "compact_u8", "<I"),
)
_BY_NUMBER = {layout.number: layout for layout in LAYOUTS}
_KINDS = {method: kind for kind, method in METHODS.items()}
_BY_METADATA = {(layout.kind, layout.name): layout for layout in LAYOUTS}


def write_section(quantized, model_id=None):
    """Return the section of a QuantizedEmbedding.

    Raises InvalidQuantizedData when its parts contradict each other.
    """
    dimension, data, metadata = quantized.original_dim, quantized.data, quantized.metadata
    layout = _BY_METADATA.get((type(metadata), getattr(metadata, "layout", None)))
    if layout is None or layout.method is not quantized.method:
        raise InvalidInput(what="metadata", expected=f"that of {quantized.method}", actual=metadata)
    embedder = NO_EMBEDDER if model_id is None else model_id
    length, fields = layout.fields.size + len(data), metadata[layout.stored]
    try:
        head = layout.head.pack(embedder, layout.number, dimension, length, *fields)
    except (struct.error, OverflowError) as error:
        raise InvalidInput(what="metadata", expected="32-bit numbers", actual=error) from None
    _require_consistent(layout, dimension, metadata, data)
    return b"".join((head, data, _U32.pack(crc32(data, crc32(head)))))


def read_section(section, where="quantized embedding"):
    """Return (ModelId or None, the four fields of a QuantizedEmbedding) of a section's bytes.

    Raises StorageCorruption (naming `where`) for bytes that were not written as they are, and
    InvalidQuantizedData for a content that contradicts itself.
    """
    if len(section) < OVERHEAD:
        raise _damaged(where, f"{len(section)} bytes are fewer than the {OVERHEAD} of a frame")
    embedder, number, dimension, length = _HEAD.unpack_from(section)
    if len(section) != OVERHEAD + length:
        raise _damaged(where, f"{OVERHEAD + length} bytes were announced, {len(section)} are there")
    if crc32(section) != _RESIDUE:
        raise _damaged(where, "the checksum differs")
    layout = _BY_NUMBER.get(number)
    if layout is None or embedder not in _EMBEDDERS:  # whole, so of a release to come
        reason = f"layout {number} of embedder {embedder} is unknown"
        raise UnsupportedVersion(where=where, reason=reason)
    if length < layout.fields.size:
        raise _invalid(layout, layout.fields.size, length)
    data = bytes(section[layout.head.size : -_U32.size])
    metadata = _metadata_of(layout, dimension, layout.fields.unpack_from(section, _HEAD.size), data)
    _require_consistent(layout, dimension, metadata, data)
    return _EMBEDDERS[embedder], (layout.method, dimension, data, metadata)


class SectionMatrix(NamedTuple):
    """Equally long sections of one layout and dimension, part by part.

    `fields` is a structured array [n] of the metadata that sections of the layout store, such as
    `fields["scale"]`; `data` is u8 [n, bytes of data]. Both are read-only and may be strided.
    """

    layout: Layout
    dimension: int
    fields: np.ndarray
    data: np.ndarray


def are_whole(sections):
    """Return whether each of some sections ends in its own checksum."""
    return set(map(crc32, sections)) <= {_RESIDUE}


def layout_number(section):
    """Return the number of a section's layout."""
    return section[1]


def data_start(number, fields=None):
    """Return where the data begin in sections of a layout.

    Given a number of `fields`, return instead where the metadata after so many of them begin.

    >>> data_start(1), data_start(1, fields=0)
    (18, 10)
    """
    layout = _BY_NUMBER[number]
    if fields is None:
        return layout.head.size
    return struct.calcsize(_HEAD.format + layout.fields.format.removeprefix("<")[:fields])


def as_matrix(sections):
    """Return the SectionMatrix of one or more sections, or None where their heads differ.

    Checksums and contents are not looked at.
    """
    first = sections[0]
    _, number, dimension, length = _HEAD.unpack_from(first)
    layout = _BY_NUMBER.get(number)
    if layout is None or length < layout.fields.size or len(first) != OVERHEAD + length:
        return None
    if set(map(len, sections)) != {len(first)}:
        return None
    matrix = np.frombuffer(b"".join(sections), np.uint8).reshape(len(sections), len(first))
    if np.any(matrix[:, : _HEAD.size] != matrix[0, : _HEAD.size]):
        return None
    fields = _fields(layout, matrix[:, _HEAD.size : layout.head.size])
    return SectionMatrix(layout, dimension, fields, matrix[:, layout.head.size : -_U32.size])


def _fields(layout, stored):
    formats, names = layout.fields.format.removeprefix("<"), layout.kind._fields[layout.stored]
    dtype = np.dtype([(name, "<" + one) for name, one in zip(names, formats)])
    return np.ndarray(len(stored), dtype, np.ascontiguousarray(stored))


def section_length(data, start, where):
    """Return the length of the section that begins at a position of some bytes.

    Raises StorageCorruption, naming `where`, when it is cut off.
    """
    if len(data) < start + _HEAD.size:
        raise _damaged(where, "a section is missing")
    length = OVERHEAD + _HEAD.unpack_from(data, start)[3]
    if len(data) < start + length:
        raise _damaged(where, f"a section of {length} bytes is cut off at {len(data) - start}")
    return length


def overhead(method, layout=None):
    """Return the bytes of a section besides its data.

    >>> overhead(QuantizationMethod.TOKEN_PRUNING, "compact_int2")
    26
    """
    return OVERHEAD + _BY_METADATA[_KINDS[method], layout].fields.size


def write_record(quantized):
    """Return a QuantizedEmbedding as bytes that stand alone."""
    return _PREFIX + write_section(quantized)


def read_record(record, where="quantized embedding"):
    """Return the four fields of a QuantizedEmbedding; errors as in `read_section`."""
    if not record.startswith(MAGIC) or len(record) < len(_PREFIX):
        raise _damaged(where, f"it does not begin with {MAGIC!r} and a version")
    if record[len(MAGIC)] != VERSION:
        reason = f"it has version {record[len(MAGIC)]}, this release reads {VERSION}"
        raise UnsupportedVersion(where=where, reason=reason)
    return read_section(record[len(_PREFIX) :], where)[1]


_PREFIX = MAGIC + bytes([VERSION])
_EMBEDDERS = {NO_EMBEDDER: None, **{int(model_id): model_id for model_id in ModelId}}


def _metadata_of(layout, dimension, fields, data):
    kind = layout.kind
    if kind is SparseMetadata:
        if not layout.fields.size and len(data) < _U32.size:
            raise _invalid(layout, _U32.size, len(data))
        return SparseMetadata(dimension, *(fields or _U32.unpack_from(data)), layout.name)
    return kind(*fields, layout.name) if layout.name else kind._make(fields)


def _require_consistent(layout, dimension, metadata, data):
    size = layout.size
    if size and len(data) != size(dimension, metadata):
        raise _invalid(layout, size(dimension, metadata), len(data))
    wrong = layout.wrong(dimension, metadata, data)
    if wrong or dimension < 1:
        raise _invalid(layout, reason=wrong or f"dimension is {dimension}")


def _invalid(layout, expected=None, actual=None, reason=None):
    return InvalidQuantizedData(
        method=layout.method, expected_bytes=expected, actual_bytes=actual, reason=reason
    )


def _damaged(where, reason):
    return StorageCorruption(where=where, reason=reason)
