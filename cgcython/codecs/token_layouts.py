"""The layouts of tokens: their names, their numbers, their sizes, and what contradicts them."""

import struct
from collections.abc import Callable
from math import isfinite
from typing import TYPE_CHECKING, TypeVar

from cgcython import kernels
from cgcython.base import QuantizationMethod
from cgcython.codecs.checks import invalid, require_size
from cgcython.errors import InvalidQuantizedData
from cgcython.frames import Layout
from cgcython.metadata import TokenPruningMetadata
from cgcython.tensors import ArrayForm
from cgcython.types import BytesLike, Int64Array, UInt8Array

if TYPE_CHECKING:
    from cgcython.codecs.token_pruning import TokenPruningCodec

INT4_F16, INT2_F16 = "compact_int4_f16", "compact_int2_f16"
NAMES = (
    "canonical",
    "compact_e4m3",
    "compact_f32",
    "compact_int4",
    "compact_int2",
    INT4_F16,
    INT2_F16,
)
# Where a text has a scale that is neither 0 nor a normal f16, its bytes are of the other layout.
WITH_F32_SCALES = {INT4_F16: "compact_int4", INT2_F16: "compact_int2"}
NUMBERS = {name: number for number, name in enumerate(NAMES)}  # as the kernels have them
WIDEST_TURNED = kernels.token_records.WIDEST_TURNED  # values of a token of 4 or 2 bits
COLUMNS = {
    "data": ArrayForm("U8", ("bytes",)),
    "offsets": ArrayForm("I64", ("ends",)),
    "original_tokens": ArrayForm("U32", ("rows",)),
}
BITS = {"compact_int4": 4, "compact_int2": 2, INT4_F16: 4, INT2_F16: 2}  # of turned values
_CODE_BITS = {"compact_e4m3": 8, **BITS}
_COUNT = struct.Struct("<I")
Counts = TypeVar("Counts", int, Int64Array)  # of one text, or of each of many


def names_for(dim: int) -> tuple[str, ...]:
    """Return the names of the layouts that tokens of `dim` values may be kept in."""
    return tuple(name for name in NAMES if dim <= WIDEST_TURNED or name not in BITS)


def scale_bytes(name: str) -> int:
    """Return the bytes of the scale of a token of codes."""
    return 2 if name in WITH_F32_SCALES else 4


def size_of(name: str, dim: int, original: Counts, kept: Counts) -> Counts:
    """Return the bytes of texts of `original` tokens, of which they keep some.

    >>> size_of("canonical", 128, 32, 16), size_of("compact_int2", 128, 32, 16)
    (8260, 580)
    """
    if name == "canonical":
        return 4 + kept * (4 + 4 * dim)
    return (original + 7) // 8 + kept * _token_size(name, dim)


def kept_in(name: str, dim: int, size: Counts, original: Counts) -> Counts:
    """Return how many tokens payloads of some sizes hold; rounded down if they are none."""
    if name == "canonical":
        return (size - 4) // (4 + 4 * dim)
    return (size - (original + 7) // 8) // _token_size(name, dim)


def wrong_bitmap(bitmap: UInt8Array, original: int, kept: int) -> str | None:
    """Say what is wrong unless a bitmap names as many of `original` positions as were kept."""
    bits = int.from_bytes(bitmap.tobytes(), "big")
    padding = (1 << -original % 8) - 1
    if bits.bit_count() == kept and not bits & padding:
        return None
    return f"the bitmap names {bits.bit_count()} tokens, there are {kept}"


def damage(
    codec: "TokenPruningCodec", data: UInt8Array, original: int, kept: int, layout: str
) -> InvalidQuantizedData:
    """Return the error that says why a kernel refused the bytes of a text."""
    try:
        require_size(codec, data, size_of(layout, codec.dim, original, kept))
    except InvalidQuantizedData as error:
        return error
    bitmap = data[: (original + 7) // 8]
    if layout != "canonical" and (wrong := wrong_bitmap(bitmap, original, kept)):
        return invalid(codec, wrong)
    count = int.from_bytes(data[:4].tobytes(), "little")
    if layout == "canonical" and count != kept:
        return invalid(codec, f"the bytes count {count} tokens, the metadata {kept}")
    # A NaN code, a scale out of range and padding that is not zero come to light here too.
    return invalid(codec, "a value is not finite, or not as an encoder writes it")


def _token_size(name: str, dim: int) -> int:
    bits = _CODE_BITS.get(name)
    return scale_bytes(name) + (dim * bits + 7) // 8 if bits else 4 * dim


def _wrong(dim: int, metadata: TokenPruningMetadata, data: BytesLike) -> str | None:
    original, kept, threshold, _ = metadata
    if kept > original:
        return f"{kept} of {original} tokens kept"
    return None if isfinite(threshold) else f"threshold is {threshold}"


def _wrong_pairs(dim: int, metadata: TokenPruningMetadata, data: BytesLike) -> str | None:
    found = _COUNT.unpack_from(data)[0]
    differs = f"the data count {found}, the metadata {metadata.kept_tokens}"
    return _wrong(dim, metadata, data) or (None if found == metadata.kept_tokens else differs)


def _layout(number: int, name: str, wrong: Callable[..., str | None] = _wrong) -> Layout:
    def size(dim: int, metadata: TokenPruningMetadata) -> int:
        return size_of(name, dim, metadata.original_tokens, metadata.kept_tokens)

    method = QuantizationMethod.TOKEN_PRUNING
    return Layout.of(
        number, method, TokenPruningMetadata, "<IIf", name=name, size=size, wrong=wrong
    )


LAYOUTS = (
    _layout(7, "canonical", _wrong_pairs),
    _layout(8, "compact_e4m3"),
    _layout(9, "compact_f32"),
    _layout(10, "compact_int4"),
    _layout(11, "compact_int2"),
    _layout(13, INT4_F16),
    _layout(14, INT2_F16),
)
