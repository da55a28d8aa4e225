"""The layouts of tokens: their names, their numbers, their sizes, and what contradicts them."""

import struct
from collections.abc import Callable
from math import isfinite
from typing import TypeVar

from cgcython import kernels
from cgcython.base import QuantizationMethod
from cgcython.frames import Layout
from cgcython.metadata import TokenPruningMetadata
from cgcython.tensors import ArrayForm
from cgcython.types import BytesLike, Int64Array, UInt8Array

NAMES = ("canonical", "compact_e4m3", "compact_f32", "compact_int4", "compact_int2")
NUMBERS = {name: number for number, name in enumerate(NAMES)}  # as the kernels have them
WIDEST_TURNED = kernels.token_records.WIDEST_TURNED  # values of a token of 4 or 2 bits
COLUMNS = {
    "data": ArrayForm("U8", ("bytes",)),
    "offsets": ArrayForm("I64", ("ends",)),
    "original_tokens": ArrayForm("U32", ("rows",)),
}
_BITS = {"compact_e4m3": 8, "compact_int4": 4, "compact_int2": 2}
_COUNT = struct.Struct("<I")
Counts = TypeVar("Counts", int, Int64Array)  # of one text, or of each of many


def names_for(dim: int) -> tuple[str, ...]:
    """Return the names of the layouts that tokens of `dim` values may be kept in."""
    turned = [name for name in NAMES if _BITS.get(name, 8) < 8]
    return tuple(name for name in NAMES if dim <= WIDEST_TURNED or name not in turned)


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


def _token_size(name: str, dim: int) -> int:
    bits = _BITS.get(name)
    return 4 + (dim * bits + 7) // 8 if bits else 4 * dim


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
)
