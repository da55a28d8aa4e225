"""E4M3 float8: sign, four exponent bits (bias 7), three mantissa bits; finite to +-448.

Codes round to nearest, ties to even, and saturate at 448 (OCP OFP8, E4M3FN). NaN becomes 0x7F.
Scaled rows hold E4M3(x * (448 / peak)), where peak = max|x|, and their scale is peak / 448.
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.math cimport NAN
from libc.string cimport memcpy
cimport numpy as np
from cgcython.kernels._types cimport f32, u8, u32
from cgcython.kernels._vector cimport (
    LANES, below, bits, floats, load, load_bytes, max_u, min_f, select, set_all, set_all_u,
    store, store_bytes, vf, vu,
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


cdef inline vf decode_lanes(vu code) noexcept nogil:
    cdef:
        vu size = (code & <u32>0x7F) << 20
        vf normal = floats(size + <u32>(120 << 23))
        vf tiny = floats(size + <u32>(121 << 23)) - floats(set_all_u(121 << 23))
        vu is_tiny = below(size, set_all_u(1 << 23))
    return floats(select(is_tiny, bits(tiny), bits(normal)) | ((code & <u32>0x80) << 24))


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
    return NAN  # the family's owner writes this


def encode(
    const f32[::1] values,  # IN
    u8[::1] codes,          # OUT
):
    """Write the E4M3 code of each value."""
    cdef Py_ssize_t n = values.shape[0]
    if codes.shape[0] != n:
        raise ValueError(f"codes holds {codes.shape[0]}, values holds {n}")
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
    if values.shape[0] != n:
        raise ValueError(f"values holds {values.shape[0]}, codes holds {n}")
    if n:
        with nogil:
            e4m3_decode(&codes[0], scale, bias, &values[0], n)
