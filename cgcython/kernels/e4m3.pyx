"""E4M3 float8: sign, four exponent bits (bias 7), three mantissa bits; finite to +-448.

Codes round to nearest, ties to even, and saturate at 448 (OCP OFP8, E4M3FN). NaN becomes 0x7F.
Scaled rows hold E4M3(x * (448 / peak)), where peak = max|x|, and their scale is peak / 448.
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.math cimport ldexp, sqrt
cimport numpy as np
from cgcython.kernels.inner.simd.compiler cimport fetch
from cgcython.kernels.inner.door cimport (
    agree, check_buffers, plain_out, plain_vector, require_apart, shaped, vector_out, writable,
)
from cgcython.kernels.inner.e4m3.plain cimport decode_streamed, encode_plain, encode_streamed
from cgcython.kernels.inner.e4m3.query cimport WIDEST, Query, Rows, lay_query, score_rows
from cgcython.kernels.inner.e4m3.scaled cimport decode_times, encode_scaled
from cgcython.kernels.inner.e4m3.scan cimport scale_products, scan_squares, squares_of
from cgcython.kernels.inner.finite cimport first_nonfinite, power_of
from cgcython.kernels.inner.stream cimport is_streamed
from cgcython.kernels.inner.types cimport f32, f64, i64, u8
from cgcython.kernels.inner.simd.vector cimport SLACK, aligned

np.import_array()

cdef enum:
    WORTH_RELEASING = 4096  # values: below, letting go of the GIL costs more than the work
    ROW_ROOM = WIDEST + SLACK
    ROWS_AHEAD = 8  # rows that are fetched before they are scored, which lie anywhere


cdef void e4m3_encode(const f32 *values, u8 *codes, Py_ssize_t n) noexcept nogil:
    if is_streamed(n * <Py_ssize_t>sizeof(f32)):
        encode_streamed(values, codes, n)
    else:
        encode_plain(values, codes, n)


cdef f32 e4m3_encode_scaled(const f32 *values, u8 *codes, Py_ssize_t n) noexcept nogil:
    return encode_scaled(values, codes, n)


cdef Py_ssize_t e4m3_encode_rows(
    const f32 *values, Py_ssize_t n, Py_ssize_t dim, u8 *codes, f32 *scales
) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        scales[i] = encode_scaled(values + i * dim, codes + i * dim, dim)
        if scales[i] != scales[i]:
            return i * dim + first_nonfinite(values + i * dim, dim)
    return -1


cdef void e4m3_decode(
    const u8 *codes, f32 scale, f32 bias, f32 *values, Py_ssize_t n
) noexcept nogil:
    if is_streamed(n * <Py_ssize_t>sizeof(f32)) and <size_t>values % sizeof(f32) == 0:
        decode_streamed(codes, scale, bias, values, n)
    else:
        decode_times(codes, scale, bias, values, n)


cdef void e4m3_decode_rows(
    const u8 *codes, const f32 *scales, Py_ssize_t n, Py_ssize_t dim, f32 *values
) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        decode_times(codes + i * dim, scales[i], 0, values + i * dim, dim)


cdef void e4m3_dot_rows(
    const f32 *query, const u8 *codes, const f32 *scales, Py_ssize_t n, Py_ssize_t dim, f32 *out
) noexcept nogil:
    # Powers of two bring the query's peak near 1, so that no sum leaves float32 on its way.
    cdef int power = power_of(query, dim)
    scale_products(
        query, <f32>ldexp(1, -power), ldexp(1, power + 8), codes, scales, n, dim, out
    )


cdef void e4m3_cosine_rows(
    const f32 *query, const u8 *codes, const f32 *inverse_norms, Py_ssize_t n, Py_ssize_t dim,
    f32 *out,
) noexcept nogil:
    cdef:
        f32 down = <f32>ldexp(1, -power_of(query, dim))
        f64 squares = squares_of(query, down, dim)
        f64 up = 256 / sqrt(squares) if squares != 0 else 0
    scale_products(query, down, up, codes, inverse_norms, n, dim, out)


cdef inline void fetch_row(const u8 *row, Py_ssize_t dim) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(0, dim, 64):
        fetch(row + k)


cdef void e4m3_cosine_rows_at(
    const f32 *query, const u8 *codes, const f32 *inverse_norms, Py_ssize_t dim,
    const i64 *rows, Py_ssize_t n, f32 *out,
) noexcept nogil:
    cdef:
        f32[ROW_ROOM] room
        Query q
        Rows all
        f64 product
        Py_ssize_t i
    lay_query(query, dim, True, aligned(room), &q)
    all.codes, all.dim, all.factors = codes, dim, inverse_norms
    for i in range(min(<Py_ssize_t>ROWS_AHEAD, n)):
        fetch_row(codes + rows[i] * dim, dim)
    for i in range(n):
        if i + ROWS_AHEAD < n:
            fetch_row(codes + rows[i + ROWS_AHEAD] * dim, dim)
        score_rows(&q, &all, rows[i], 1, &product, out + i)


cdef void e4m3_inverse_norms(
    const u8 *codes, Py_ssize_t n, Py_ssize_t dim, f32 *out
) noexcept nogil:
    cdef:
        f64 squares
        Py_ssize_t i
    for i in range(n):
        squares = 0
        scan_squares(codes + i * dim, dim, &squares)
        out[i] = <f32>(1 / (256 * sqrt(squares))) if squares != 0 else <f32>0


def encode(
    object values,  # IN f32[n]
    object codes,   # OUT u8[n]
):
    """Write the E4M3 code of each value."""
    cdef:
        const f32 *values_at = <const f32 *>shaped(values, np.NPY_FLOAT32, 1, "values")
        u8 *codes_at = <u8 *>writable(codes, np.NPY_UINT8, 1, "codes")
        Py_ssize_t n = np.PyArray_DIM(values, 0)
    agree("codes", np.PyArray_DIM(codes, 0), "values", n)
    require_apart("codes", codes_at, n, "values", values_at, n * sizeof(f32))
    if n < WORTH_RELEASING:
        e4m3_encode(values_at, codes_at, n)
    else:
        with nogil:
            e4m3_encode(values_at, codes_at, n)


def decode(
    object codes,   # IN u8[n]
    f32 scale,
    f32 bias,
    object values,  # OUT f32[n]
):
    """Write code * scale + bias for each code."""
    cdef:
        const u8 *codes_at = <const u8 *>shaped(codes, np.NPY_UINT8, 1, "codes")
        f32 *values_at = <f32 *>writable(values, np.NPY_FLOAT32, 1, "values")
        Py_ssize_t n = np.PyArray_DIM(codes, 0)
    agree("values", np.PyArray_DIM(values, 0), "codes", n)
    require_apart("values", values_at, n * sizeof(f32), "codes", codes_at, n)
    if n < WORTH_RELEASING:
        e4m3_decode(codes_at, scale, bias, values_at, n)
    else:
        with nogil:
            e4m3_decode(codes_at, scale, bias, values_at, n)


def encode_rows(
    const f32[:, ::1] values,   # IN
    u8[:, ::1] codes,           # OUT
    f32[::1] scales,            # OUT
):
    """Write each row's scaled codes and its scale; return the first non-finite index, or -1."""
    cdef Py_ssize_t n = values.shape[0], dim = values.shape[1], bad
    check_buffers(2, codes, scales, values)
    agree("codes", codes.shape[0], "values", n)
    agree("a row of codes", codes.shape[1], "a row of values", dim)
    agree("scales", scales.shape[0], "values", n)
    if n == 0:
        return -1
    with nogil:
        bad = e4m3_encode_rows(&values[0, 0], n, dim, &codes[0, 0], &scales[0])
    return bad


def decode_rows(
    const u8[:, ::1] codes,     # IN
    const f32[::1] scales,      # IN
    f32[:, ::1] values,         # OUT
):
    """Write each row's codes times its scale."""
    cdef Py_ssize_t n = codes.shape[0], dim = codes.shape[1]
    check_buffers(1, values, codes, scales)
    agree("values", values.shape[0], "codes", n)
    agree("a row of values", values.shape[1], "a row of codes", dim)
    agree("scales", scales.shape[0], "codes", n)
    with nogil:
        e4m3_decode_rows(&codes[0, 0], &scales[0], n, dim, &values[0, 0])


def encode_vector(object values, Py_ssize_t dim, object out=None):
    """Return (codes, scale) of one vector: new bytes, or `out`, a plain u8 array.

    Returns None where a closer look at either is needed.
    """
    cdef:
        const f32 *data = plain_vector(values, dim)
        u8 *place = NULL
        f32 scale
    if data is NULL:
        return None
    if out is None:
        out = PyBytes_FromStringAndSize(NULL, dim)
        place = <u8 *>PyBytes_AS_STRING(out)
    else:
        place = plain_out(out, dim)
        if place is NULL:
            return None
        require_apart("out", place, dim, "values", data, dim * sizeof(f32))
    scale = encode_scaled(data, place, dim)
    return None if scale != scale else (out, scale)


def decode_vector(bytes codes not None, f32 scale, f32 bias, out=None):
    """Return code * scale + bias for each byte, as a new array or in `out`.

    Returns None where `out` is no plain, writable float32 array as long as the codes.
    """
    cdef np.npy_intp n = PyBytes_GET_SIZE(codes)
    values = vector_out(out, n)
    if values is not None:
        decode_times(
            <const u8 *>PyBytes_AS_STRING(codes), scale, bias, <f32 *>np.PyArray_DATA(values), n
        )
    return values


def cosine_rows(
    const f32[::1] query,           # IN
    const u8[:, ::1] codes,         # IN
    const f32[::1] inverse_norms,   # IN: of the codes
    f32[::1] out,                   # OUT
):
    """Write the cosine of the query with each decoded row; 0 where either is zero."""
    cdef Py_ssize_t n = codes.shape[0], dim = codes.shape[1]
    check_buffers(1, out, query, codes, inverse_norms)
    agree("a row of codes", dim, "query", query.shape[0])
    agree("out", out.shape[0], "codes", n)
    agree("inverse_norms", inverse_norms.shape[0], "codes", n)
    with nogil:
        e4m3_cosine_rows(&query[0], &codes[0, 0], &inverse_norms[0], n, dim, &out[0])


def cosine_rows_at(
    const f32[::1] query,           # IN
    const u8[:, ::1] codes,         # IN
    const f32[::1] inverse_norms,   # IN: of the codes
    const i64[::1] rows,            # IN
    f32[::1] out,                   # OUT
):
    """Write what cosine_rows does of some rows, in any order, of up to 4096 dimensions."""
    cdef Py_ssize_t i, n = rows.shape[0], dim = codes.shape[1]
    check_buffers(1, out, query, codes, inverse_norms, rows)
    agree("a row of codes", dim, "query", query.shape[0])
    agree("out", out.shape[0], "rows", n)
    agree("inverse_norms", inverse_norms.shape[0], "codes", codes.shape[0])
    if dim > WIDEST:
        raise ValueError(f"query holds {dim}, expected up to {WIDEST}")
    for i in range(n):
        if rows[i] < 0 or rows[i] >= codes.shape[0]:
            raise ValueError(f"row {rows[i]} is not among {codes.shape[0]}")
    with nogil:
        e4m3_cosine_rows_at(
            &query[0], &codes[0, 0], &inverse_norms[0], dim, &rows[0], n, &out[0]
        )


def inverse_norms(
    const u8[:, ::1] codes,     # IN
    f32[::1] out,               # OUT
):
    """Write one over the length of each row of codes' values, 0 for a length of 0."""
    cdef Py_ssize_t n = codes.shape[0], dim = codes.shape[1]
    check_buffers(1, out, codes)
    agree("out", out.shape[0], "codes", n)
    with nogil:
        e4m3_inverse_norms(&codes[0, 0], n, dim, &out[0])


def dot_rows(
    const f32[::1] query,       # IN
    const u8[:, ::1] codes,     # IN
    const f32[::1] scales,      # IN
    f32[::1] out,               # OUT
):
    """Write the dot product of the query with each decoded row."""
    cdef Py_ssize_t n = codes.shape[0], dim = codes.shape[1]
    check_buffers(1, out, query, codes, scales)
    agree("a row of codes", dim, "query", query.shape[0])
    agree("out", out.shape[0], "codes", n)
    agree("scales", scales.shape[0], "codes", n)
    with nogil:
        e4m3_dot_rows(&query[0], &codes[0, 0], &scales[0], n, dim, &out[0])
