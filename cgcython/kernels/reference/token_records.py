"""The kept tokens of a text as bytes, in three layouts.

Canonical bytes are u32 count, then f32 importance and the f32 vector of each kept token. Compact
bytes are a bitmap of kept positions, most significant bit first, then f32 scales and E4M3 codes,
or f32 vectors.
"""

import numpy as np

from cgcython.kernels.reference import e4m3
from cgcython.kernels.reference.door import agree
from cgcython.kernels.reference.sparse_rows import check_rows, is_plain, rows_of

CANONICAL, COMPACT_E4M3, COMPACT_F32 = range(3)


def is_sound(values, dim):
    """Return whether values are a contiguous float32 matrix of `dim` columns, all finite."""
    return _is_matrix(values) and values.shape[1] == dim and bool(np.isfinite(values).all())


def encode(values, kept, importance, layout):
    """Return the bytes of the kept rows of a matrix.

    Only canonical ones hold the importance. Returns None where a scale of a kept row is not finite.
    """
    if not _is_matrix(values):
        raise ValueError("values are a contiguous float32 matrix")
    _require_layout(layout)
    _require_kept(kept, len(values), importance, layout)
    rows = values[kept]
    if layout == CANONICAL:
        records = np.concatenate([importance[:, None], rows], axis=1)
        return np.uint32(len(kept)).tobytes() + records.tobytes()
    mask = np.zeros(len(values), bool)
    mask[kept] = True
    bitmap = np.packbits(mask).tobytes()
    if layout == COMPACT_F32:
        return bitmap + rows.tobytes()
    codes, scales = np.empty(rows.shape, np.uint8), np.empty(len(rows), np.float32)
    if e4m3.encode_rows(rows, codes, scales) >= 0:
        return None
    return bitmap + scales.tobytes() + codes.tobytes()


def decode(data, n, count, dim, layout, out=None):
    """Return the kept tokens of a text of n, as a new matrix [count, dim] or in `out`.

    Returns None where the bytes contradict the numbers, or a value is not finite.
    """
    _require_layout(layout)
    if not (type(data) is bytes or is_plain(data, np.uint8)):
        raise ValueError("data are bytes")
    data = bytes(data)
    if min(n, count, dim) < 0 or len(data) != _size(n, count, dim, layout):
        return None
    out = np.empty((count, dim), np.float32) if out is None else out
    if not (_is_matrix(out) and out.flags.writeable and out.shape == (count, dim)):
        raise ValueError(f"out is no writable float32 matrix of {count} rows of {dim}")
    if not _names(data, n, count, layout):
        return None
    _read(data[_head(n, layout) :], layout, out)
    return out if np.isfinite(out).all() else None


def decode_rows(data, offsets, originals, edges, layout, values):
    """Write the kept tokens of many texts; return the first that is not sound, or -1.

    The record of text i of originals[i] tokens is data[offsets[i]:offsets[i + 1]], its kept tokens
    are values[edges[i]:edges[i + 1]].
    """
    _require_layout(layout)
    check_rows(offsets, len(data), originals)
    check_rows(edges, len(values), originals)
    for i, (some, rows) in enumerate(zip(rows_of(offsets), rows_of(edges))):
        out = values[rows]
        if decode(data[some], int(originals[i]), *out.shape, layout, out) is None:
            return i
    return -1


def _head(n, layout):
    return 4 if layout == CANONICAL else (n + 7) // 8


def _size(n, count, dim, layout):
    each = 4 + dim if layout == COMPACT_E4M3 else 4 * dim + 4 * (layout == CANONICAL)
    return _head(n, layout) + count * each


def _names(data, n, count, layout):
    """Return whether a record begins with its count, or with a bitmap of so many positions."""
    head = data[: _head(n, layout)]
    if layout == CANONICAL:
        return int.from_bytes(head, "little") == count
    bits = np.unpackbits(np.frombuffer(head, np.uint8))
    return bits.sum() == count and not bits[n:].any()


def _read(tokens, layout, out):
    count, dim = out.shape
    if layout == COMPACT_E4M3:
        scales = np.frombuffer(tokens[: 4 * count], np.float32)
        codes = np.frombuffer(tokens[4 * count :], np.uint8).reshape(count, dim)
        e4m3.decode_rows(codes, scales, out)
    else:
        width = dim + (layout == CANONICAL)  # the importance stands before each vector
        out[:] = np.frombuffer(tokens, np.float32).reshape(count, width)[:, width - dim :]


def _is_matrix(values):
    return (
        isinstance(values, np.ndarray)
        and values.dtype == np.float32
        and values.dtype.isnative
        and values.ndim == 2
        and values.flags.c_contiguous
        and values.flags.aligned
    )


def _require_kept(kept, n, importance, layout):
    if not is_plain(kept, np.uint32):
        raise ValueError("kept positions are contiguous uint32 numbers")
    for position in kept:
        if position >= n:
            raise ValueError(f"kept names row {position} of {n}")
    if layout == CANONICAL:
        if not is_plain(importance, np.float32):
            raise ValueError("importance is contiguous float32 numbers")
        agree("importance", len(importance), "kept", len(kept))


def _require_layout(layout):
    if not 0 <= layout <= 2:
        raise ValueError(f"no layout {layout}")
