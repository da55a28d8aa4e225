"""Columns of tokens as batches have them: checked, and taken apart, for many documents at once."""

import numpy as np

from cgcython.arrays import gathered
from cgcython.codecs import token_batches
from cgcython.codecs.token_batches import TokenColumns
from cgcython.codecs.token_layouts import NAMES, scale_bytes
from cgcython.codecs.token_pruning import TokenPruningCodec
from cgcython.records import QuantizedBatch
from cgcython.types import Float32Array, Int64Array, UInt8Array

_BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(1, dtype=np.int64)
_SCALE_BYTES = np.array(list(map(scale_bytes, NAMES)))


def checked_columns(batch: QuantizedBatch) -> TokenColumns | None:
    """Return the columns of a batch of a compact layout of codes; None where a bitmap is wrong.

    Raises InvalidQuantizedData where they contradict each other.
    """
    columns = token_batches.checked_columns(TokenPruningCodec(batch.original_dim), batch)
    return columns if _are_bitmaps(columns) else None


def head_bytes(columns: TokenColumns) -> Int64Array:
    """Return the bytes of each bitmap of kept positions."""
    return (columns.originals.astype(np.int64) + 7) // 8


def first_codes(columns: TokenColumns) -> Int64Array:
    """Return where the codes of each document begin, behind its bitmap and its scales."""
    scales = _SCALE_BYTES[columns.layouts] * columns.kept
    return columns.offsets[:-1] + head_bytes(columns) + scales


def scales_of(columns: TokenColumns) -> Float32Array:
    """Return the scales of all tokens; some documents have f16 ones, others f32."""
    stops, widths = first_codes(columns), _SCALE_BYTES[columns.layouts]
    found = np.empty(int(columns.kept.sum()), np.float32)
    for width, dtype in ((2, np.float16), (4, np.float32)):
        rows = widths == width
        if not rows.any():
            continue
        data = gathered(columns.data, (stops - width * columns.kept)[rows], stops[rows])
        found[np.repeat(rows, columns.kept)] = data.view(dtype)
    return found


def codes_of(columns: TokenColumns, width: int) -> UInt8Array:
    """Return the codes of all tokens, u8 [tokens, width]."""
    codes = gathered(columns.data, first_codes(columns), columns.offsets[1:])
    return codes.reshape(-1, width)


def _are_bitmaps(columns: TokenColumns) -> bool:
    """Return whether each bitmap names as many positions as were kept, and no others."""
    sizes, starts = head_bytes(columns), columns.offsets[:-1]
    bitmaps = gathered(columns.data, starts, starts + sizes)
    ends = np.cumsum(sizes)
    bits = np.concatenate([[0], np.cumsum(_BITS[bitmaps])])
    if np.any(bits[ends] - bits[ends - sizes] != columns.kept):
        return False
    has_one = sizes > 0
    padding = (1 << -columns.originals.astype(np.int64) % 8) - 1
    return not np.any(bitmaps[ends[has_one] - 1] & padding[has_one])
