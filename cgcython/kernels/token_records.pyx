"""The kept tokens of a text as bytes, in five layouts.

Canonical bytes are u32 count, then f32 importance and the f32 vector of each kept token. Compact
bytes are a bitmap of kept positions, most significant bit first, then f32 scales and codes (E4M3,
or 4 or 2 bits of the turned tokens), or f32 vectors.
"""
from cpython.bytes cimport (
    PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE,
)
from libc.string cimport memcpy, memset
cimport numpy as np
from cgcython.kernels._door cimport agree, check_buffers, in_bytes, plain_matrix, require_apart
from cgcython.kernels._e4m3_scaled cimport decode_times, encode_scaled
from cgcython.kernels._finite cimport first_nonfinite
from cgcython.kernels._integer_query cimport WIDEST
from cgcython.kernels._sparse_rows cimport is_plain, require_rows
from cgcython.kernels._token_codes cimport code_bytes, decode_turned, encode_turned
from cgcython.kernels._types cimport f32, i64, u8, u32

cdef extern from *:
    int popcount "__builtin_popcount"(unsigned int bits) nogil

np.import_array()

cdef enum:
    CANONICAL_LAYOUT = 0
    E4M3_LAYOUT = 1
    F32_LAYOUT = 2
    INT4_LAYOUT = 3
    INT2_LAYOUT = 4

CANONICAL, COMPACT_E4M3, COMPACT_F32 = CANONICAL_LAYOUT, E4M3_LAYOUT, F32_LAYOUT
COMPACT_INT4, COMPACT_INT2 = INT4_LAYOUT, INT2_LAYOUT
WIDEST_TURNED = WIDEST


cdef inline int bits_of(int layout) noexcept nogil:
    """The bits of a code of a turned token; 0 for layouts that have none."""
    if layout == INT4_LAYOUT:
        return 4
    return 2 if layout == INT2_LAYOUT else 0


cdef inline Py_ssize_t head_of(Py_ssize_t n, int layout) noexcept nogil:
    """The bytes before the tokens, of a text of n."""
    return 4 if layout == CANONICAL_LAYOUT else in_bytes(n)


cdef inline Py_ssize_t each_of(Py_ssize_t dim, int layout) noexcept nogil:
    """The bytes of one kept token."""
    if layout == E4M3_LAYOUT:
        return 4 + dim
    if bits_of(layout):
        return 4 + code_bytes(dim, bits_of(layout))
    return 4 * dim if layout == F32_LAYOUT else 4 + 4 * dim


cdef inline bint is_length(
    Py_ssize_t length, Py_ssize_t n, Py_ssize_t count, Py_ssize_t dim, int layout
) noexcept nogil:
    """Whether so many bytes hold such a record; a product could overflow here."""
    cdef Py_ssize_t each = each_of(dim, layout)
    length -= head_of(n, layout)
    if count <= 0 or each == 0:
        return length == 0 and count >= 0
    return length > 0 and length % count == 0 and length // count == each


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
    """Whether all kept tokens are finite; codes after the first that is not are not written."""
    cdef:
        Py_ssize_t i, width = each_of(dim, layout) - 4
        int bits = bits_of(layout)
        const f32 *token
        u8 *codes
        f32 scale
    for i in range(count):
        token, codes = values + kept[i] * dim, data + 4 * count + i * width
        scale = encode_turned(token, dim, bits, codes) if bits else encode_scaled(token, codes, dim)
        if scale != scale:
            return False
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


cdef bint names(const u8 *bitmap, Py_ssize_t n, Py_ssize_t count) noexcept nogil:
    """Whether a bitmap of n positions names so many."""
    cdef Py_ssize_t i, named = 0
    for i in range((n + 7) >> 3):
        named += popcount(bitmap[i])
    return named == count and (n & 7 == 0 or bitmap[n >> 3] & (0xFF >> (n & 7)) == 0)


cdef bint token_record_decode(
    const u8 *scales, Py_ssize_t count, Py_ssize_t dim, int layout, f32 *values
) noexcept nogil:
    """Whether scales and codes, which lie behind them, are ones that an encoder writes."""
    cdef:
        Py_ssize_t i, width = each_of(dim, layout) - 4
        int bits = bits_of(layout)
        const u8 *codes = scales + 4 * count
        f32 scale
    for i in range(count):
        memcpy(&scale, scales + 4 * i, 4)
        if bits == 0:
            decode_times(codes + i * width, scale, 0, values + i * dim, dim)
        elif not decode_turned(codes + i * width, scale, dim, bits, values + i * dim):
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
    if not is_length(room, n, count, dim, layout):
        raise ValueError(f"{count} of {n} tokens do not fill {room} bytes")
    return 0


cdef inline bint is_narrow(Py_ssize_t dim, int layout) noexcept nogil:
    """Whether a layout has tokens of so many values."""
    return bits_of(layout) == 0 or dim <= WIDEST


cdef int require_layout(int layout) except -1:
    if not 0 <= layout <= INT2_LAYOUT:
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

    Only canonical ones hold the importance. Returns None where a scale of a kept row is not finite.
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
    """Write the bytes of many texts; return the first with a scale that is not finite, or -1.

    The tokens of text i are values[offsets[i]:offsets[i + 1]], the positions that it keeps and
    their importance lie between edges[i] and edges[i + 1], its bytes between places[i] and
    places[i + 1].
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
                &kept[0] + edges[i], &importance[0] + edges[i], edges[i + 1] - edges[i], layout,
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
    check_buffers(1, values, data, offsets, originals, edges)
    require_layout(layout)
    require_narrow(dim, layout)
    require_rows(offsets, data.shape[0], texts)
    require_rows(edges, values.shape[0], texts)
    with nogil:
        for i in range(texts):
            count = edges[i + 1] - edges[i]
            if not is_length(
                offsets[i + 1] - offsets[i], originals[i], count, dim, layout
            ) or not token_record_read(
                &data[0] + offsets[i], originals[i], count, dim, layout,
                &values[0, 0] + edges[i] * dim,
            ):
                bad = i
                break
    return bad
