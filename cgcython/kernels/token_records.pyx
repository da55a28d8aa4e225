"""The kept tokens of a text as bytes, in seven layouts.

Canonical bytes are u32 count, then f32 importance and the f32 vector of each kept token. Compact
bytes are a bitmap of kept positions, most significant bit first, then f32 scales and codes (E4M3,
or 4 or 2 bits of the turned tokens), or f32 vectors. Layouts with f16 scales hold codes of 4 and 2
bits; a text with a scale that f16 rounds coarsely, or not at all, belongs in those with f32 scales.
"""
from cpython.bytes cimport (
    PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE,
)
from libc.string cimport memcpy, memset
cimport numpy as np
from cgcython.kernels.inner.door cimport agree, check_buffers, in_bytes, plain_matrix, require_apart
from cgcython.kernels.inner.e4m3.scaled cimport decode_times, encode_scaled
from cgcython.kernels.inner.finite cimport first_nonfinite
from cgcython.kernels.inner.sparse.halves cimport (
    fit_half, halves_are_finite, read_halves, write_halves,
)
from cgcython.kernels.inner.integers.query cimport WIDEST
from cgcython.kernels.inner.sparse.rows cimport is_plain, require_rows
from cgcython.kernels.inner.tokens.codes cimport decode_turned, encode_turned
from cgcython.kernels.inner.tokens.layout cimport (
    CANONICAL_LAYOUT, E4M3_LAYOUT, F32_LAYOUT, INT2_F16_LAYOUT, INT2_LAYOUT, INT4_F16_LAYOUT,
    INT4_LAYOUT, bits_of, each_of, has_halves, head_of, is_length, is_narrow, layout_filling,
    names, ones_in, scale_bytes,
)
from cgcython.kernels.inner.types cimport f32, i64, u8, u32

np.import_array()

cdef enum:
    HALVES = 16  # scales that are widened at a time

CANONICAL, COMPACT_E4M3, COMPACT_F32 = CANONICAL_LAYOUT, E4M3_LAYOUT, F32_LAYOUT
COMPACT_INT4, COMPACT_INT2 = INT4_LAYOUT, INT2_LAYOUT
COMPACT_INT4_F16, COMPACT_INT2_F16 = INT4_F16_LAYOUT, INT2_F16_LAYOUT
WIDEST_TURNED = WIDEST


cdef void token_record_pairs(
    const f32 *values, Py_ssize_t dim, const u32 *kept, const f32 *importance, Py_ssize_t count,
    u8 *data
) noexcept nogil:
    cdef Py_ssize_t i
    cdef u32 said = <u32>count
    memcpy(data, &said, 4)
    data += 4
    for i in range(count):
        memcpy(data, importance + i, 4)
        memcpy(data + 4, values + kept[i] * dim, 4 * dim)
        data += 4 + 4 * dim


cdef bint token_record_codes(
    const f32 *values, Py_ssize_t dim, const u32 *kept, Py_ssize_t count, int layout, u8 *data
) noexcept nogil:
    """Whether all scales fit the layout; codes after the first that does not are not written."""
    cdef:
        Py_ssize_t i, scales = scale_bytes(layout), width = each_of(dim, layout) - scales
        int bits = bits_of(layout)
        const f32 *token
        u8 *codes
        f32 scale
    for i in range(count):
        token, codes = values + kept[i] * dim, data + scales * count + i * width
        scale = encode_turned(token, dim, bits, codes) if bits else encode_scaled(token, codes, dim)
        if scale != scale or (has_halves(layout) and not fit_half(&scale, 1)):
            return False
        if has_halves(layout):
            write_halves(&scale, 1, data + 2 * i)
        else:
            memcpy(data + 4 * i, &scale, 4)
    return True


cdef bint token_record_write(
    const f32 *values, Py_ssize_t n, Py_ssize_t dim, const u32 *kept, const f32 *importance,
    Py_ssize_t count, int layout, u8 *data
) noexcept nogil:
    cdef Py_ssize_t i, head = head_of(n, layout)
    if layout == CANONICAL_LAYOUT:
        token_record_pairs(values, dim, kept, importance, count, data)
        return True
    memset(data, 0, head)
    for i in range(count):
        data[kept[i] >> 3] |= <u8>(0x80 >> (kept[i] & 7))
    if layout != F32_LAYOUT:
        return token_record_codes(values, dim, kept, count, layout, data + head)
    for i in range(count):
        memcpy(data + head + 4 * i * dim, values + kept[i] * dim, 4 * dim)
    return True


cdef inline bint read_scales(
    const u8 *data, Py_ssize_t count, int layout, f32 *scales
) noexcept nogil:
    """Whether scales of f16 are finite, as those that can be widened are."""
    if not has_halves(layout):
        memcpy(scales, data, 4 * count)
        return True
    read_halves(data, count, scales)
    return halves_are_finite(data, count)


cdef bint token_record_decode(
    const u8 *scales, Py_ssize_t count, Py_ssize_t dim, int layout, f32 *values
) noexcept nogil:
    """Whether scales and codes, which lie behind them, are ones that an encoder writes."""
    cdef:
        Py_ssize_t i, each = scale_bytes(layout), width = each_of(dim, layout) - each
        int bits = bits_of(layout)
        const u8 *codes = scales + each * count
        f32[HALVES] some
        f32 *scale
    for i in range(count):
        scale = some + i % HALVES
        if i % HALVES == 0 and not read_scales(
            scales + each * i, min(count - i, <Py_ssize_t>HALVES), layout, some
        ):
            return False
        if bits == 0:
            decode_times(codes + i * width, scale[0], 0, values + i * dim, dim)
        elif not decode_turned(codes + i * width, scale[0], dim, bits, values + i * dim):
            return False
    return True


cdef bint token_record_read(
    const u8 *data, Py_ssize_t n, Py_ssize_t count, Py_ssize_t dim, int layout, f32 *values
) noexcept nogil:
    """Whether a record of the right length names its tokens, and all are finite."""
    cdef:
        Py_ssize_t i, head = head_of(n, layout)
        const u8 *tokens = data + head
        u32 said
    if layout == CANONICAL_LAYOUT:
        memcpy(&said, data, 4)
        if said != count:
            return False
        for i in range(count):
            memcpy(values + i * dim, tokens + 4 + i * (4 + 4 * dim), 4 * dim)
    elif not names(data, n, count):
        return False
    elif layout == F32_LAYOUT:
        memcpy(values, tokens, 4 * count * dim)
    elif not token_record_decode(tokens, count, dim, layout, values):
        return False
    return first_nonfinite(values, count * dim) < 0


cdef int require_kept(object kept, Py_ssize_t n, object importance, int layout) except -1:
    """Check that kept positions lie among n, each with an importance where a layout has one."""
    cdef Py_ssize_t i, count
    cdef const u32 *positions
    if not is_plain(kept, np.NPY_UINT32):
        raise ValueError("kept positions are contiguous uint32 numbers")
    count, positions = np.PyArray_DIM(kept, 0), <const u32 *>np.PyArray_DATA(kept)
    for i in range(count):
        if positions[i] >= n:
            raise ValueError(f"kept names row {positions[i]} of {n}")
    if layout == CANONICAL_LAYOUT:
        if not is_plain(importance, np.NPY_FLOAT32):
            raise ValueError("importance is contiguous float32 numbers")
        agree("importance", np.PyArray_DIM(importance, 0), "kept", count)
    return 0


cdef int require_text(
    const u32 *kept, Py_ssize_t count, Py_ssize_t n, Py_ssize_t dim, int layout, Py_ssize_t room
) except -1:
    """Check that kept positions lie among n, and that their bytes fill the room."""
    cdef Py_ssize_t i
    for i in range(count):
        if kept[i] >= n:
            raise ValueError(f"kept names row {kept[i]} of {n}")
    if layout_filling(room, n, count, dim, layout) < 0:
        raise ValueError(f"{count} of {n} tokens do not fill {room} bytes")
    return 0


cdef int require_layout(int layout) except -1:
    if not 0 <= layout <= INT2_F16_LAYOUT:
        raise ValueError(f"no layout {layout}")
    return 0


cdef int require_narrow(Py_ssize_t dim, int layout) except -1:
    if not is_narrow(dim, layout):
        raise ValueError(f"a token holds {dim}, layout {layout} takes up to {WIDEST}")
    return 0


def is_sound(object values, Py_ssize_t dim):
    """Return whether values are a contiguous float32 matrix of `dim` columns, all finite."""
    cdef Py_ssize_t n, columns
    cdef const f32 *rows = plain_matrix(values, &n, &columns)
    return rows is not NULL and columns == dim and first_nonfinite(rows, n * dim) < 0


def encode(object values, object kept, object importance, int layout):
    """Return the bytes of the kept rows of a matrix.

    Only canonical ones hold the importance. Returns None where a scale of a kept row is not finite,
    or none of f16 in a layout of those.
    """
    cdef Py_ssize_t n, dim, count
    cdef const f32 *rows = plain_matrix(values, &n, &dim)
    if rows is NULL:
        raise ValueError("values are a contiguous float32 matrix")
    require_layout(layout)
    require_narrow(dim, layout)
    require_kept(kept, n, importance, layout)
    count = np.PyArray_DIM(kept, 0)
    data = PyBytes_FromStringAndSize(
        NULL, head_of(n, layout) + count * each_of(dim, layout)
    )
    sound = token_record_write(
        rows, n, dim, <const u32 *>np.PyArray_DATA(kept),
        <const f32 *>np.PyArray_DATA(importance) if layout == CANONICAL_LAYOUT else NULL,
        count, layout, <u8 *>PyBytes_AS_STRING(data),
    )
    return data if sound else None


def encode_rows(
    const f32[:, ::1] values,   # IN
    const i64[::1] offsets,     # IN
    const u32[::1] kept,        # IN
    const f32[::1] importance,  # IN
    const i64[::1] edges,       # IN
    int layout,
    u8[::1] data,               # OUT
    const i64[::1] places,      # IN
):
    """Write the bytes of many texts; return the first with a scale that does not fit, or -1.

    The tokens of text i are values[offsets[i]:offsets[i + 1]], the positions that it keeps and
    their importance lie between edges[i] and edges[i + 1], its bytes between places[i] and
    places[i + 1]. A text for which the places leave room for f32 scales has these.
    """
    cdef Py_ssize_t i, bad = -1, dim = values.shape[1], n = offsets.shape[0] - 1
    check_buffers(1, data, values, offsets, kept, importance, edges, places)
    require_layout(layout)
    require_narrow(dim, layout)
    require_rows(offsets, values.shape[0], n)
    require_rows(edges, kept.shape[0], n)
    require_rows(places, data.shape[0], n)
    agree("importance", importance.shape[0], "kept", kept.shape[0])
    for i in range(n):
        require_text(
            &kept[0] + edges[i], edges[i + 1] - edges[i], offsets[i + 1] - offsets[i], dim,
            layout, places[i + 1] - places[i],
        )
    with nogil:
        for i in range(n):
            if not token_record_write(
                &values[0, 0] + offsets[i] * dim, offsets[i + 1] - offsets[i], dim,
                &kept[0] + edges[i], &importance[0] + edges[i], edges[i + 1] - edges[i],
                layout_filling(
                    places[i + 1] - places[i], offsets[i + 1] - offsets[i],
                    edges[i + 1] - edges[i], dim, layout,
                ),
                &data[0] + places[i],
            ):
                bad = i
                break
    return bad


def decode(
    object data,        # IN
    Py_ssize_t n,
    Py_ssize_t count,
    Py_ssize_t dim,
    int layout,
    object out=None,    # OUT
):
    """Return the kept tokens of a text of n, as a new matrix [count, dim] or in `out`.

    Returns None where the bytes contradict the numbers, or a value is not finite.
    """
    cdef:
        np.npy_intp[2] shape
        Py_ssize_t length, rows, columns
        const u8 *start
    require_layout(layout)
    if PyBytes_CheckExact(data):
        start, length = <const u8 *>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data)
    elif is_plain(data, np.NPY_UINT8):
        start, length = <const u8 *>np.PyArray_DATA(data), np.PyArray_DIM(data, 0)
    else:
        raise ValueError("data are bytes")
    if n < 0 or dim < 0 or not is_narrow(dim, layout):
        return None
    if not is_length(length, n, count, dim, layout):
        return None
    shape[0], shape[1] = count, dim
    if out is None:
        out = np.PyArray_EMPTY(2, shape, np.NPY_FLOAT32, 0)
    elif (
        plain_matrix(out, &rows, &columns) is NULL or not np.PyArray_ISWRITEABLE(out)
        or rows != count or columns != dim
    ):
        raise ValueError(f"out is no writable float32 matrix of {count} rows of {dim}")
    require_apart(
        "out", np.PyArray_DATA(out), count * dim * sizeof(f32), "data", start, length
    )
    sound = token_record_read(start, n, count, dim, layout, <f32 *>np.PyArray_DATA(out))
    return out if sound else None


def decode_rows(
    const u8[::1] data,         # IN
    const i64[::1] offsets,     # IN
    const u32[::1] originals,   # IN
    const i64[::1] edges,       # IN
    int layout,
    f32[:, ::1] values,         # OUT
):
    """Write the kept tokens of many texts; return the first that is not sound, or -1.

    The record of text i of originals[i] tokens is data[offsets[i]:offsets[i + 1]], its kept tokens
    are values[edges[i]:edges[i + 1]].
    """
    cdef Py_ssize_t i, count, dim = values.shape[1], texts = originals.shape[0], bad = -1
    cdef int found
    check_buffers(1, values, data, offsets, originals, edges)
    require_layout(layout)
    require_narrow(dim, layout)
    require_rows(offsets, data.shape[0], texts)
    require_rows(edges, values.shape[0], texts)
    with nogil:
        for i in range(texts):
            count = edges[i + 1] - edges[i]
            found = layout_filling(offsets[i + 1] - offsets[i], originals[i], count, dim, layout)
            if found < 0 or not token_record_read(
                &data[0] + offsets[i], originals[i], count, dim, found,
                &values[0, 0] + edges[i] * dim,
            ):
                bad = i
                break
    return bad


def count_kept(
    const u8[::1] data,         # IN
    const i64[::1] offsets,     # IN
    const u32[::1] originals,   # IN
    i64[::1] kept,              # OUT
):
    """Write how many positions the bitmap of each record names; -1 where there is no whole bitmap.

    The record of text i of originals[i] tokens is data[offsets[i]:offsets[i + 1]], not canonical.
    """
    cdef Py_ssize_t i, texts = originals.shape[0]
    check_buffers(1, kept, data, offsets, originals)
    require_rows(offsets, data.shape[0], texts)
    agree("kept", kept.shape[0], "originals", texts)
    with nogil:
        for i in range(texts):
            kept[i] = -1
            if in_bytes(originals[i]) <= offsets[i + 1] - offsets[i]:
                kept[i] = ones_in(&data[0] + offsets[i], originals[i])
