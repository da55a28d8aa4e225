"""What decoding needs besides the bytes, one tuple per method."""

import struct
from typing import NamedTuple

_F32 = struct.Struct("<f")


def to_float32(number: float) -> float:
    """Return the float32 nearest to a number, which is what bytes will hold of it.

    Infinite where the number overflows.
    """
    try:
        nearest: float = _F32.unpack(_F32.pack(number))[0]
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")
    return nearest


def codebook_id_of(metadata: object) -> int | None:
    """Return the id of the codebook that decoding needs, or None where it needs none."""
    codebook_id: int | None = getattr(metadata, "codebook_id", None)
    return codebook_id


class Float8Metadata(NamedTuple):
    """value = code * scale + bias."""

    scale: float
    bias: float = 0.0


class BinaryMetadata(NamedTuple):
    """bit = value >= threshold."""

    threshold: float = 0.0


class PQ8Metadata(NamedTuple):
    """The codebook that made the codes."""

    codebook_id: int
    num_subvectors: int = 8


class RQ8Metadata(NamedTuple):
    """The codebook that made the codes, and their bytes per embedding."""

    codebook_id: int
    code_size: int = 8


class ScalarMetadata(NamedTuple):
    """value = level * scale / 2^bits * 2^power, rotated back; `scale` is an f16 number."""

    bits: int
    scale: float
    power: int = 0


class SparseMetadata(NamedTuple):
    """`layout`: canonical, compact_f16, compact_f32 or compact_u8."""

    vocab_size: int
    nnz: int
    layout: str = "canonical"


class TokenPruningMetadata(NamedTuple):
    """`threshold` is the part of tokens kept.

    `layout`: canonical, compact_e4m3, compact_f32, compact_int4, compact_int2, compact_int4_f16 or
    compact_int2_f16.
    """

    original_tokens: int
    kept_tokens: int
    threshold: float = 0.5
    layout: str = "canonical"
