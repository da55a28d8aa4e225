"""What decoding needs besides the bytes, one tuple per method."""

from typing import NamedTuple


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


class SparseMetadata(NamedTuple):
    """`layout`: canonical, compact_f16 or compact_f32."""

    vocab_size: int
    nnz: int
    layout: str = "canonical"


class TokenPruningMetadata(NamedTuple):
    """`threshold` is the part of tokens kept; `layout`: canonical, compact_e4m3, compact_f32."""

    original_tokens: int
    kept_tokens: int
    threshold: float = 0.5
    layout: str = "canonical"
