"""E4M3 float8: sign, four exponent bits (bias 7), three mantissa bits; finite to +-448.

Codes round to nearest, ties to even, and saturate at 448 (OCP OFP8, E4M3FN). NaN becomes 0x7F.
Scaled rows hold E4M3(x * (448 / peak)), where peak = max|x|, and their scale is peak / 448.
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.math cimport NAN, fabs, frexp, isfinite, ldexp, sqrt
from libc.string cimport memcpy
cimport numpy as np
from cgcython.kernels._door cimport agree, plain_vector
from cgcython.kernels._e4m3 cimport decode_lanes
from cgcython.kernels._types cimport f32, f64, u8, u32
from cgcython.kernels._vector cimport (
    LANES, below, bits, floats, load, load16, load16_part, load_bytes, max_u, min_f,
    mul_add16, set16, set_all, set_all_u, store, store_bytes, sum16, v16, vf, vu,
)

np.import_array()


cdef inline vu encode_lanes(vf x) noexcept nogil:
    cdef:
        vu sign = bits(x) & <u32>0x80000000U
        vf size = min_f(floats(bits(x) ^ sign), set_all(448))
        # The unit of a code is 2**-3 of its power of two, and never below 2**-9.
        vu power = max_u(bits(size) & <u32>0x7F800000, set_all_u(121 << 23))
        # 2**20 powers away a float's own unit is that unit, so this addition rounds as we need.
        vu far = power + <u32>(20 << 23)
        vu units = bits(size + floats(far)) - far
    return (sign >> 24) | ((power >> 20) - <u32>(121 << 3) + units)


cdef inline vu encode_any(vf x) noexcept nogil:
    """As encode_lanes, and NaN becomes 0x7F."""
    cdef vu is_nan = below(set_all_u(0x7F800000U), bits(x) & <u32>0x7FFFFFFF)
    return encode_lanes(x) | (is_nan & <u32>0x7F)


cdef void e4m3_encode(const f32 *values, u8 *codes, Py_ssize_t n) noexcept nogil:
    cdef:
        Py_ssize_t i = 0
        f32[64] last
        u8[64] last_codes
    while i + LANES <= n:
        store_bytes(codes + i, encode_any(load(values + i)))
        i += LANES
    if i < n:
        memcpy(last, values + i, (n - i) * sizeof(f32))
        store_bytes(last_codes, encode_any(load(last)))
        memcpy(codes + i, last_codes, n - i)


cdef void e4m3_decode(
    const u8 *codes, f32 scale, f32 bias, f32 *values, Py_ssize_t n
) noexcept nogil:
    cdef:
        Py_ssize_t i = 0
        f32[64] last
        u8[64] last_codes
    while i + LANES <= n:
        store(values + i, decode_lanes(load_bytes(codes + i)) * scale + bias)
        i += LANES
    if i < n:
        memcpy(last_codes, codes + i, n - i)
        store(last, decode_lanes(load_bytes(last_codes)) * scale + bias)
        memcpy(values + i, last, (n - i) * sizeof(f32))


cdef f32 e4m3_encode_scaled(const f32 *values, u8 *codes, Py_ssize_t n) noexcept nogil:
    cdef:
        f32 peak = 0, factor, scale, up = 1
        Py_ssize_t i
        int exponent
        f32[64] block
    for i in range(n):
        if not isfinite(values[i]):
            return NAN
        peak = max(peak, <f32>fabs(values[i]))
    if peak == 0:
        factor, scale = 1, 1
    elif peak < <f32>ldexp(1, -118):
        # A power of two, so that a subnormal scale is exact and so is the division by it.
        if frexp(<f64>peak / 448, &exponent) == 0.5:
            exponent -= 1
        exponent = max(exponent, -149)
        scale, up = <f32>ldexp(1, exponent), <f32>ldexp(1, 64)
        factor = <f32>ldexp(1, -64 - exponent)
    else:
        factor, scale = <f32>448 / peak, peak / <f32>448
    for i in range(n):
        block[0] = values[i] * up * factor
        e4m3_encode(block, codes + i, 1)
    return scale


cdef Py_ssize_t e4m3_encode_rows(
    const f32 *values, Py_ssize_t n, Py_ssize_t dim, u8 *codes, f32 *scales
) noexcept nogil:
    cdef Py_ssize_t i, k
    for i in range(n):
        scales[i] = e4m3_encode_scaled(values + i * dim, codes + i * dim, dim)
        if scales[i] != scales[i]:
            for k in range(dim):
                if not isfinite(values[i * dim + k]):
                    return i * dim + k
    return -1


cdef f32 e4m3_dot(const f32 *query, const u8 *codes, Py_ssize_t n) noexcept nogil:
    cdef:
        v16 total = set16(0)
        f32[16] row
        Py_ssize_t k
    for k in range(0, n, 16):
        e4m3_decode(codes + k, 1, 0, row, min(16, n - k))
        if k + 16 <= n:
            total = mul_add16(load16(query + k), load16(row), total)
        else:
            total = mul_add16(load16_part(query + k, n - k), load16_part(row, n - k), total)
    return sum16(total)


cdef f32 e4m3_cosine(const f32 *query, const u8 *codes, Py_ssize_t n) noexcept nogil:
    cdef:
        f64 dot = 0, qq = 0, rr = 0
        f32 value
        Py_ssize_t k
    for k in range(n):
        e4m3_decode(codes + k, 1, 0, &value, 1)
        dot += <f64>query[k] * value
        qq += <f64>query[k] * query[k]
        rr += <f64>value * value
    return <f32>(dot / (sqrt(qq) * sqrt(rr))) if qq > 0 and rr > 0 else <f32>0


def encode(
    const f32[::1] values,  # IN
    u8[::1] codes,          # OUT
):
    """Write the E4M3 code of each value."""
    cdef Py_ssize_t n = values.shape[0]
    agree("codes", codes.shape[0], "values", n)
    if n:
        with nogil:
            e4m3_encode(&values[0], &codes[0], n)


def decode(
    const u8[::1] codes,    # IN
    f32 scale,
    f32 bias,
    f32[::1] values,        # OUT
):
    """Write code * scale + bias for each code."""
    cdef Py_ssize_t n = codes.shape[0]
    agree("values", values.shape[0], "codes", n)
    if n:
        with nogil:
            e4m3_decode(&codes[0], scale, bias, &values[0], n)


def encode_rows(
    const f32[:, ::1] values,   # IN
    u8[:, ::1] codes,           # OUT
    f32[::1] scales,            # OUT
):
    """Write each row's scaled codes and its scale; return the first non-finite index, or -1."""
    cdef Py_ssize_t n = values.shape[0], dim = values.shape[1], bad
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
    cdef Py_ssize_t i, n = codes.shape[0], dim = codes.shape[1]
    agree("values", values.shape[0], "codes", n)
    agree("a row of values", values.shape[1], "a row of codes", dim)
    agree("scales", scales.shape[0], "codes", n)
    with nogil:
        for i in range(n):
            e4m3_decode(&codes[i, 0], scales[i], 0, &values[i, 0], dim)


def encode_vector(object values, Py_ssize_t dim):
    """Return (bytes, scale) of one vector, or None where a closer look is needed."""
    cdef const f32 *data = plain_vector(values, dim)
    if data is NULL:
        return None
    codes = PyBytes_FromStringAndSize(NULL, dim)
    cdef f32 scale = e4m3_encode_scaled(data, <u8 *>PyBytes_AS_STRING(codes), dim)
    return None if scale != scale else (codes, scale)


def decode_vector(bytes codes not None, f32 scale, f32 bias):
    """Return code * scale + bias for each byte, as a new array."""
    cdef np.npy_intp n = PyBytes_GET_SIZE(codes)
    values = np.PyArray_EMPTY(1, &n, np.NPY_FLOAT32, 0)
    e4m3_decode(
        <const u8 *>PyBytes_AS_STRING(codes), scale, bias, <f32 *>np.PyArray_DATA(values), n
    )
    return values


def cosine_rows(
    const f32[::1] query,       # IN
    const u8[:, ::1] codes,     # IN
    f32[::1] out,               # OUT
):
    """Write the cosine of the query with each decoded row; 0 where either is zero."""
    cdef Py_ssize_t i, n = codes.shape[0], dim = codes.shape[1]
    agree("a row of codes", dim, "query", query.shape[0])
    agree("out", out.shape[0], "codes", n)
    with nogil:
        for i in range(n):
            out[i] = e4m3_cosine(&query[0], &codes[i, 0], dim)


def dot_rows(
    const f32[::1] query,       # IN
    const u8[:, ::1] codes,     # IN
    const f32[::1] scales,      # IN
    f32[::1] out,               # OUT
):
    """Write the dot product of the query with each decoded row."""
    cdef Py_ssize_t i, n = codes.shape[0], dim = codes.shape[1]
    agree("a row of codes", dim, "query", query.shape[0])
    agree("out", out.shape[0], "codes", n)
    agree("scales", scales.shape[0], "codes", n)
    with nogil:
        for i in range(n):
            out[i] = e4m3_dot(&query[0], &codes[i, 0], dim) * scales[i]
