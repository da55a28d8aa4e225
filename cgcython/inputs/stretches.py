"""Stretches of rows, in memory, mapped or in an object: their bounds, values and checksums."""

import math

import numpy as np

from cgcython.checksums import crc32
from cgcython.errors import InvalidInput
from cgcython.narrow_floats import Rows, WidenedRows
from cgcython.types import Array, Int64Array, LazyArray

_CHECKED_BYTES = 1 << 26  # of a checksum at a time


def require_offsets(offsets: Array | LazyArray, total: int, name: str) -> None:
    """Raise InvalidInput unless offsets ascend from 0 to a total; lazy ones are checked later."""
    if not isinstance(offsets, np.ndarray):
        if not len(offsets):
            raise _no_offsets(offsets, total, name)
        return
    ascend = np.all(offsets[1:] >= offsets[:-1])  # differences near 2**63 would wrap around
    if not (len(offsets) and offsets[0] == 0 and offsets[-1] == total and ascend):
        raise _no_offsets(offsets, total, name)


def _no_offsets(offsets: Array | LazyArray, total: int, name: str) -> InvalidInput:
    return InvalidInput(
        what=name,
        expected=f"ascending positions from 0 to {total}",
        actual=f"{len(offsets)} positions that are not",
    )


def bounds_within(
    offsets: Array | LazyArray, start: int, stop: int, total: int, name: str
) -> tuple[Int64Array, int, int]:
    """Return the bounds of some rows, counted from 0, and the range of values that they take."""
    bounds: Array = offsets[start : stop + 1]
    first, last = (int(bounds[0]), int(bounds[-1])) if len(bounds) else (0, 0)
    if not isinstance(offsets, np.ndarray):
        is_whole = (start > 0 or first == 0) and (stop < len(offsets) - 1 or last == total)
        if not (0 <= first <= last <= total and is_whole and np.all(bounds[1:] >= bounds[:-1])):
            raise _no_offsets(offsets, total, name)
    return bounds.astype(np.int64) - first, first, last


def read_rows(values: Rows, start: int, stop: int) -> Rows:
    """Return rows start to stop as they lie, read once where they are not in memory."""
    if isinstance(values, WidenedRows):
        return WidenedRows(np.asarray(values.bits[start:stop]))
    return np.asarray(values[start:stop])


def rows_crc32(values: Rows, start: int, stop: int, crc: int = 0) -> int:
    """Return the CRC-32 of rows start to stop as they lie, going on from another.

    What is narrower than float32 is taken as its bits. It is the same for files and objects.
    """
    lying = getattr(values, "bits", values)
    row_bytes = math.prod(lying.shape[1:]) * lying.dtype.itemsize
    step = max(1, _CHECKED_BYTES // max(1, row_bytes))
    for first in range(start, stop, step):
        rows = np.ascontiguousarray(lying[first : min(first + step, stop)])
        crc = crc32(rows.reshape(-1).view(np.uint8).data, crc) if rows.size else crc
    return crc
