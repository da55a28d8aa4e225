"""Sparse vectors by definition: four byte layouts.

Canonical: u32 count, then count pairs (u32 index, f32 weight), little-endian, ascending by index.

Compact (Elias-Fano): nothing but three bit strings, each padded with zeros to whole bytes. Their
sizes follow from nnz and dimension, so a reader knows the length before it looks at a bit. With
`low_bits` = the largest l such that nnz * 2**l <= dimension (0 for nnz = 0):

1. low: the lowest l bits of each index, index after index. Bit b of the string is bit b % 8 (least
   significant first) of byte b // 8, and each field's least significant bit comes first.
2. high: index i sets bit (index >> l) + i of nnz + ((dimension - 1) >> l) + 1 bits, in the same
   order of bits. That is one bucket per value of index >> l: a one for each index in it, then a
   zero.
3. weights, in the order of the indices: f16 or f32, little-endian; or f32 lowest, f32 step and how
   many steps, u8, the root of each weight, with its sign, lies above the lowest.

No indices, no bytes. Weights in f16 round to nearest, ties to even, and fit when the largest
magnitude is zero or a normal f16, 2**-14 to 65504: then none is off by more than half a unit of the
largest. The step is the widest of which 255 do not pass the highest root.
"""

import numpy as np

from cgcython.kernels.reference.door import agree, require_apart, writes
from cgcython.kernels.reference.sparse_rows import check_rows, fits_in_half, is_plain, rows_of

CANONICAL, COMPACT_F16, COMPACT_F32, COMPACT_U8 = range(4)
SOUND, BAD_LENGTH, BAD_COUNT, BAD_PADDING, BAD_INDEX, BAD_WEIGHT = range(6)
_PAIR = np.dtype([("index", "<u4"), ("weight", "<f4")])


def size(nnz, dimension, layout):
    """Return the bytes that nnz of `dimension` values take."""
    if not 0 <= nnz <= dimension < 2**32 or not 0 <= layout <= COMPACT_U8:
        raise ValueError(f"no layout {layout} of {nnz} non-zeros among {dimension}")
    if layout == CANONICAL:
        return 4 + 8 * nnz
    low, high = _string_bits(nnz, dimension)
    head = 8 if layout == COMPACT_U8 and nnz else 0
    return -(-low // 8) - (-high // 8) + head + nnz * _weight_type(layout).itemsize


@writes("data")
def encode(indices, weights, dimension, layout, data):
    """Write the bytes of one vector; return whether its indices, weights and layout are sound."""
    if indices.shape != weights.shape or len(data) != size(len(indices), dimension, layout):
        raise ValueError(f"{len(indices)} indices, {len(weights)} weights, {len(data)} bytes")
    if not _is_sound(indices, weights, dimension):
        return False
    if layout == COMPACT_F16 and not fits_in_half(weights):
        return False
    if layout == CANONICAL:
        data[:4] = np.array([len(indices)], "<u4").view(np.uint8)
        pairs = np.empty(len(indices), _PAIR)
        pairs["index"], pairs["weight"] = indices, weights
        data[4:] = pairs.view(np.uint8)
        return True
    data[:] = np.concatenate(_strings(indices, weights, dimension, layout))
    return True


@writes("indices", "weights")
def decode(data, dimension, layout, indices, weights):
    """Read the bytes of one vector and return SOUND, or what is wrong; then both are undefined."""
    nnz = len(indices)
    if len(weights) != nnz:
        raise ValueError(f"indices holds {nnz}, weights holds {len(weights)}")
    if nnz > dimension or len(data) != size(nnz, dimension, layout):
        return BAD_LENGTH
    data = np.frombuffer(data, np.uint8)
    read = _read_pairs if layout == CANONICAL else _read_compact
    status, found, values = read(data, nnz, dimension, layout)
    if status == SOUND:
        status = _damage(found, values, dimension)
    if status == SOUND:
        indices[:], weights[:] = found, values
    return status


def encode_vector(indices, weights, dimension, layout):
    """Return the bytes of one vector, or None when it takes a closer look to say why not."""
    if not (is_plain(indices, np.uint32) and is_plain(weights, np.float32)):
        return None
    if len(indices) != len(weights) or len(indices) > dimension:
        return None
    data = np.empty(size(len(indices), dimension, layout), np.uint8)
    return data.tobytes() if encode(indices, weights, dimension, layout, data) else None


def decode_vector(data, nnz, dimension, layout):
    """Return new (indices, weights), or None when the bytes are not those of such a vector."""
    if not 0 <= nnz <= dimension or len(data) != size(nnz, dimension, layout):
        return None
    indices, weights = np.empty(nnz, np.uint32), np.empty(nnz, np.float32)
    return None if decode(data, dimension, layout, indices, weights) else (indices, weights)


@writes("fits")
def fits_half(indptr, weights, fits):
    """Write 1 for each row whose weights fit in f16, else 0."""
    check_rows(indptr, len(weights), fits)
    for row, part in enumerate(rows_of(indptr)):
        fits[row] = fits_in_half(weights[part])


@writes("offsets")
def measure_rows(indptr, dimension, layouts, offsets):
    """Write where the bytes of each row begin, and where the last one ends."""
    check_rows(indptr, np.iinfo(np.int64).max, layouts, offsets[1:])
    sizes = [size(nnz, dimension, layout) for nnz, layout in zip(np.diff(indptr).tolist(), layouts)]
    offsets[0] = 0
    np.cumsum(sizes, out=offsets[1:])


@writes("data")
def encode_rows(indptr, indices, weights, dimension, layouts, data, offsets):
    """Write the bytes of all rows; return the first row that is not sound, or -1."""
    check_rows(indptr, min(len(indices), len(weights)), layouts, offsets[1:])
    check_rows(offsets, len(data))
    for row, (part, place) in enumerate(zip(rows_of(indptr), rows_of(offsets))):
        if not encode(indices[part], weights[part], dimension, layouts[row], data[place]):
            return row
    return -1


@writes("fits")
def fits_half_vectors(weights, fits):
    """Write 1 for each vector whose weights fit in f16, else 0.

    Return False where one is no plain vector of float32; then `fits` is undefined.
    """
    _require_lists(weights)
    agree("fits", len(fits), "weights", len(weights))
    if not all(is_plain(one, np.float32) for one in weights):
        return False
    fits[:] = list(map(fits_in_half, weights))
    return True


@writes("data")
def encode_vectors(indices, weights, dimension, layouts, data, offsets):
    """Write the bytes of all vectors; return the first that is not plain or not sound, or -1."""
    _require_lists(indices, weights)
    check_rows(offsets, len(data), layouts)
    agree("indices", len(indices), "layouts", len(layouts))
    agree("weights", len(weights), "layouts", len(layouts))
    for row, (places, values, room) in enumerate(zip(indices, weights, rows_of(offsets))):
        is_whole = is_plain(places, np.uint32) and is_plain(values, np.float32)
        if not is_whole or len(places) != len(values):
            return row
        if room.stop - room.start != size(len(places), dimension, layouts[row]):
            raise ValueError(f"row {row} has {room.stop - room.start} bytes")
        require_apart("data", data, "indices", places)
        require_apart("data", data, "weights", values)
        if not encode(places, values, dimension, layouts[row], data[room]):
            return row
    return -1


def _require_lists(*lists):
    if not all(type(one) is list for one in lists):
        raise TypeError("vectors come in lists")


@writes("indices", "weights")
def decode_rows(data, offsets, layouts, dimension, indptr, indices, weights):
    """Read the bytes of all rows; return the first damaged row, or -1."""
    check_rows(indptr, min(len(indices), len(weights)), layouts, offsets[1:])
    check_rows(offsets, len(data))
    for row, (part, place) in enumerate(zip(rows_of(indptr), rows_of(offsets))):
        if decode(data[place], dimension, layouts[row], indices[part], weights[part]):
            return row
    return -1


def _is_sound(indices, weights, dimension):
    return _damage(indices, weights, dimension) == SOUND


def _damage(indices, weights, dimension):
    if np.any(indices[1:] <= indices[:-1]) or np.any(indices >= dimension):
        return BAD_INDEX
    return SOUND if np.isfinite(weights).all() else BAD_WEIGHT


def _weight_type(layout):
    return np.dtype({COMPACT_F16: "<f2", COMPACT_U8: "u1"}.get(layout, "<f4"))


def _steps(weights):
    """Return the weights as lowest root, step and codes."""
    if not len(weights):
        return np.empty(0, np.uint8)
    wide = weights.astype(float)
    roots = np.copysign(np.sqrt(np.abs(wide)), wide)
    lowest = np.float32(roots.min()) + np.float32(0)  # of two zeros 0.0
    if float(lowest) < roots.min():
        lowest = np.nextafter(lowest, np.float32(np.inf))
    span = max(roots.max() - float(lowest), 0.0)
    step = np.float32(span / 255)
    if float(step) * 255 > span:
        step = np.nextafter(step, np.float32(0))
    codes = np.rint(np.maximum((roots - float(lowest)) / float(step or 1), 0)).astype(np.uint8)
    return np.concatenate([np.array([lowest, step], "<f4").view(np.uint8), codes])


def _from_steps(data):
    with np.errstate(over="ignore", invalid="ignore"):
        lowest, step = data[:8].view("<f4").astype(float)
        roots = lowest + data[8:] * step
        weights = (roots * np.abs(roots)).astype(np.float32)
    return weights if step >= 0 else np.full(len(weights), np.nan, np.float32)


def _low_bits(nnz, dimension):
    return (dimension // nnz).bit_length() - 1 if nnz else 0


def _string_bits(nnz, dimension):
    low = _low_bits(nnz, dimension)
    return nnz * low, (nnz + (dimension - 1 >> low) + 1) if nnz else 0


def _strings(indices, weights, dimension, layout):
    nnz, low_bits = len(indices), _low_bits(len(indices), dimension)
    low = indices[:, None] >> np.arange(low_bits, dtype=np.uint32) & np.uint32(1)
    high = np.zeros(_string_bits(nnz, dimension)[1], np.uint8)
    high[(indices >> np.uint32(low_bits)) + np.arange(nnz)] = 1
    return (
        np.packbits(low.astype(np.uint8).ravel(), bitorder="little"),
        np.packbits(high, bitorder="little"),
        _steps(weights)
        if layout == COMPACT_U8
        else weights.astype(_weight_type(layout)).view(np.uint8),
    )


def _read_pairs(data, nnz, dimension, layout):
    if data[:4].view("<u4")[0] != nnz:
        return BAD_COUNT, None, None
    pairs = data[4:].view(_PAIR)
    return SOUND, pairs["index"], pairs["weight"]


def _read_compact(data, nnz, dimension, layout):
    low_count, high_count = _string_bits(nnz, dimension)
    low_end = -(-low_count // 8)
    high_end = low_end - (-high_count // 8)
    low = np.unpackbits(data[:low_end], bitorder="little")
    high = np.unpackbits(data[low_end:high_end], bitorder="little")
    if np.any(low[low_count:]) or np.any(high[high_count:]):
        return BAD_PADDING, None, None
    ones = np.flatnonzero(high)
    if len(ones) != nnz:
        return BAD_COUNT, None, None
    low_bits = _low_bits(nnz, dimension)
    fields = low[:low_count].reshape(nnz, low_bits) @ (1 << np.arange(low_bits))
    indices = (ones - np.arange(nnz) << low_bits) + fields
    if layout == COMPACT_U8 and nnz:
        return SOUND, indices, _from_steps(data[high_end:].copy())
    weights = np.frombuffer(data[high_end:].tobytes(), _weight_type(layout))
    with np.errstate(invalid="ignore"):  # ARM tells of a signalling NaN that is widened
        return SOUND, indices, weights.astype(np.float32)
