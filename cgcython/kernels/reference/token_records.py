"""The kept tokens of a text as bytes, in seven layouts.

Canonical bytes are u32 count, then f32 importance and the f32 vector of each kept token. Compact
bytes are a bitmap of kept positions, most significant bit first, then f32 scales and codes (E4M3,
or 4 or 2 bits of the turned tokens), or f32 vectors. Layouts with f16 scales hold codes of 4 and 2
bits; a text with a scale that f16 rounds coarsely, or not at all, belongs in those with f32 scales.
"""

import numpy as np

from cgcython.kernels.reference import dense, e4m3, maxsim_integers
from cgcython.kernels.reference.door import agree, is_unmasked, require_apart, writes
from cgcython.kernels.reference.sparse_rows import check_rows, fits_in_half, is_plain, rows_of

CANONICAL, COMPACT_E4M3, COMPACT_F32, COMPACT_INT4, COMPACT_INT2 = range(5)
COMPACT_INT4_F16, COMPACT_INT2_F16 = 5, 6
WIDEST_TURNED = maxsim_integers.WIDEST
_BITS = {
    COMPACT_E4M3: 8,
    COMPACT_INT4: 4,
    COMPACT_INT2: 2,
    COMPACT_INT4_F16: 4,
    COMPACT_INT2_F16: 2,
}
_WITH_F32_SCALES = {COMPACT_INT4_F16: COMPACT_INT4, COMPACT_INT2_F16: COMPACT_INT2}


def is_sound(values, dim):
    """Return whether values are a contiguous float32 matrix of `dim` columns, all finite."""
    return _is_matrix(values) and values.shape[1] == dim and bool(np.isfinite(values).all())


def encode(values, kept, importance, layout):
    """Return the bytes of the kept rows of a matrix.

    Only canonical ones hold the importance. Returns None where a scale of a kept row is not finite,
    or none of f16 in a layout of those.
    """
    if not _is_matrix(values):
        raise ValueError("values are a contiguous float32 matrix")
    _require_layout(layout)
    _require_narrow(values.shape[1], layout)
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
    codes = np.empty((len(rows), _code_bytes(rows.shape[1], layout)), np.uint8)
    scales = np.zeros(len(rows), np.float32)
    encode_rows = e4m3.encode_rows if layout == COMPACT_E4M3 else _turned(_BITS[layout])
    if encode_rows(rows, codes, scales) >= 0:
        return None
    if layout in _WITH_F32_SCALES:
        if not all(fits_in_half(scales[i : i + 1]) for i in range(len(scales))):
            return None
        scales = scales.astype("<f2")
    return bitmap + scales.tobytes() + codes.tobytes()


@writes("data")
def encode_rows(values, offsets, kept, importance, edges, layout, data, places):
    """Write the bytes of many texts; return the first with a scale that does not fit, or -1.

    The tokens of text i are values[offsets[i]:offsets[i + 1]], the positions that it keeps and
    their importance lie between edges[i] and edges[i + 1], its bytes between places[i] and
    places[i + 1]. A text for which the places leave room for f32 scales has these.
    """
    _require_layout(layout)
    dim = values.shape[1]
    _require_narrow(dim, layout)
    texts = len(offsets) - 1
    for indptr, length in ((offsets, len(values)), (edges, len(kept)), (places, len(data))):
        check_rows(indptr, length, range(texts))
    agree("importance", len(importance), "kept", len(kept))
    rows = [rows_of(one) for one in (offsets, edges, places)]
    for tokens, some, room in zip(*rows):
        n, count = tokens.stop - tokens.start, some.stop - some.start
        _require_kept(kept[some], n, importance[some], layout)
        if _filling(room.stop - room.start, n, count, dim, layout) is None:
            raise ValueError(f"{count} of {n} tokens do not fill {room.stop - room.start} bytes")
    for i, (tokens, some, room) in enumerate(zip(*rows)):
        n, count = tokens.stop - tokens.start, some.stop - some.start
        own = _filling(room.stop - room.start, n, count, dim, layout)
        found = encode(values[tokens], kept[some], importance[some], own)
        if found is None:
            return i
        data[room] = np.frombuffer(found, np.uint8)
    return -1


def decode(data, n, count, dim, layout, out=None):
    """Return the kept tokens of a text of n, as a new matrix [count, dim] or in `out`.

    Returns None where the bytes contradict the numbers, or a value is not finite.
    """
    _require_layout(layout)
    if not (type(data) is bytes or is_plain(data, np.uint8)):
        raise ValueError("data are bytes")
    if isinstance(data, np.ndarray) and out is not None:
        require_apart("out", out, "data", data)
    data = bytes(data)
    if min(n, count, dim) < 0 or not _is_narrow(dim, layout):
        return None
    if len(data) != _size(n, count, dim, layout):
        return None
    out = np.empty((count, dim), np.float32) if out is None else out
    if not (_is_matrix(out) and out.flags.writeable and out.shape == (count, dim)):
        raise ValueError(f"out is no writable float32 matrix of {count} rows of {dim}")
    if not _names(data, n, count, layout):
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        sound = _read(data[_head(n, layout) :], layout, out)
    return out if sound and np.isfinite(out).all() else None


@writes("values")
def decode_rows(data, offsets, originals, edges, layout, values):
    """Write the kept tokens of many texts; return the first that is not sound, or -1.

    The record of text i of originals[i] tokens is data[offsets[i]:offsets[i + 1]], its kept tokens
    are values[edges[i]:edges[i + 1]].
    """
    _require_layout(layout)
    _require_narrow(values.shape[1], layout)
    check_rows(offsets, len(data), originals)
    check_rows(edges, len(values), originals)
    for i, (some, rows) in enumerate(zip(rows_of(offsets), rows_of(edges))):
        out, n = values[rows], int(originals[i])
        own = _filling(some.stop - some.start, n, *out.shape, layout)
        if own is None or decode(data[some], n, *out.shape, own, out) is None:
            return i
    return -1


@writes("kept")
def count_kept(data, offsets, originals, kept):
    """Write how many positions the bitmap of each record names; -1 where there is no whole bitmap.

    The record of text i of originals[i] tokens is data[offsets[i]:offsets[i + 1]], not canonical.
    """
    check_rows(offsets, len(data), originals)
    agree("kept", len(kept), "originals", len(originals))
    for i, some in enumerate(rows_of(offsets)):
        bitmap = data[some][: (int(originals[i]) + 7) // 8]
        is_whole = 8 * len(bitmap) >= originals[i]
        kept[i] = np.unpackbits(bitmap).sum() if is_whole else -1


def _head(n, layout):
    return 4 if layout == CANONICAL else (n + 7) // 8


def _size(n, count, dim, layout):
    coded = layout in _BITS
    plain = 4 * dim + 4 * (layout == CANONICAL)
    each = _scale_type(layout).itemsize + _code_bytes(dim, layout) if coded else plain
    return _head(n, layout) + count * each


def _filling(length, n, count, dim, layout):
    """Return the layout whose record is so long: that one, that with f32 scales, or None."""
    for one in (layout, _WITH_F32_SCALES.get(layout, layout)):
        if count >= 0 and length == _size(n, count, dim, one):
            return one
    return None


def _scale_type(layout):
    return np.dtype("<f2" if layout in _WITH_F32_SCALES else "<f4")


def _code_bytes(dim, layout):
    return (dim * _BITS[layout] + 7) // 8


def _names(data, n, count, layout):
    """Return whether a record begins with its count, or with a bitmap of so many positions."""
    head = data[: _head(n, layout)]
    if layout == CANONICAL:
        return int.from_bytes(head, "little") == count
    bits = np.unpackbits(np.frombuffer(head, np.uint8))
    return bits.sum() == count and not bits[n:].any()


def _read(tokens, layout, out):
    """Fill `out`; return whether scales and codes are ones that an encoder writes."""
    count, dim = out.shape
    if layout not in _BITS:
        width = dim + (layout == CANONICAL)  # the importance stands before each vector
        out[:] = np.frombuffer(tokens, np.float32).reshape(count, width)[:, width - dim :]
        return True
    kind = _scale_type(layout)
    split = kind.itemsize * count
    scales = np.frombuffer(tokens[:split], kind).astype(np.float32)
    codes = np.frombuffer(tokens[split:], np.uint8).reshape(count, _code_bytes(dim, layout))
    if layout == COMPACT_E4M3:
        e4m3.decode_rows(codes, scales, out)
        return True
    bits = _BITS[layout]
    used = dim * bits % 8
    padding = codes[:, -1:] >> used if used else codes[:, :0]
    if not np.all((scales >= 0) & np.isfinite(scales)) or padding.any():
        return False
    maxsim_integers.decode_rows(codes, bits, scales, out)
    dense.turn_rows(out, out, True)
    return True


def _turned(bits):
    """Return the encoder of rows whose values, turned, become codes of so many bits."""

    def encode_rows(rows, codes, scales):
        if not np.isfinite(rows).all():
            return 0
        peaks = np.abs(rows).max(axis=1, initial=0)
        lifts = np.where(peaks < 2.0**-64, np.float32(2.0**64), np.float32(1))
        turned = np.empty_like(rows)
        dense.turn_rows(rows * lifts[:, None], turned)
        maxsim_integers.encode_rows(turned, bits, codes, scales)
        scales /= lifts
        most = np.finfo(np.float32).max / np.float32(2 * max(rows.shape[1], 1) << bits)
        scales[:] = np.where(peaks > 0, np.clip(scales, np.float32(2.0**-149), most), scales)
        return -1

    return encode_rows


def _is_matrix(values):
    return (
        is_unmasked(values)
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


def _is_narrow(dim, layout):
    return _BITS.get(layout, 8) == 8 or dim <= WIDEST_TURNED


def _require_layout(layout):
    if not 0 <= layout <= COMPACT_INT2_F16:
        raise ValueError(f"no layout {layout}")


def _require_narrow(dim, layout):
    if not _is_narrow(dim, layout):
        raise ValueError(f"a token holds {dim}, layout {layout} takes up to {WIDEST_TURNED}")
