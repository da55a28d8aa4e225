"""Plain codes of any floats, and what codes stand for; results too large for a cache stream.

Rows with scales do not: the line that two rows share would cost what all others gain.
"""
from libc.string cimport memcpy, memset
from cgcython.kernels.inner.e4m3.codes cimport encode_any_four, load_e4m3
from cgcython.kernels.inner.e4m3.scaled cimport CODES_AT_ONCE, decode_times
from cgcython.kernels.inner.stream cimport LINE, before_line, end_stream, stream_floats, stream_line
from cgcython.kernels.inner.types cimport f32, u8
from cgcython.kernels.inner.simd.vector cimport LANES, set_all, vf


cdef inline void encode_plain(const f32 *values, u8 *codes, Py_ssize_t n) noexcept nogil:
    cdef:
        Py_ssize_t i = 0
        f32[CODES_AT_ONCE] last
        u8[CODES_AT_ONCE] last_codes
    while i + 4 * LANES <= n:
        encode_any_four(values + i, codes + i)
        i += 4 * LANES
    if i < n:
        memset(last, 0, sizeof(last))
        memcpy(last, values + i, (n - i) * sizeof(f32))
        encode_any_four(last, last_codes)
        memcpy(codes + i, last_codes, n - i)


cdef inline void encode_streamed(const f32 *values, u8 *codes, Py_ssize_t n) noexcept nogil:
    cdef:
        Py_ssize_t i = min(before_line(codes), n), k
        u8[LINE] line
    encode_plain(values, codes, i)
    while i + LINE <= n:
        k = 0
        while k < LINE:
            encode_any_four(values + i + k, line + k)
            k += 4 * LANES
        stream_line(codes + i, line)
        i += LINE
    encode_plain(values + i, codes + i, n - i)
    end_stream()


cdef inline void decode_streamed(
    const u8 *codes, f32 scale, f32 bias, f32 *values, Py_ssize_t n
) noexcept nogil:
    cdef:
        Py_ssize_t i = min(before_line(<u8 *>values) // 4, n), k
        vf scales = set_all(scale), biases = set_all(bias if bias else <f32>-0.0)
    decode_times(codes, scale, bias, values, i)
    while i + LINE <= n:
        k = 0
        while k < LINE:
            stream_floats(values + i + k, load_e4m3(codes + i + k) * scales + biases)
            k += LANES
        i += LINE
    decode_times(codes + i, scale, bias, values + i, n - i)
    end_stream()
