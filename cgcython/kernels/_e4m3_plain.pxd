"""Plain codes of any floats."""
from libc.string cimport memcpy, memset
from cgcython.kernels._e4m3 cimport encode_any_four
from cgcython.kernels._e4m3_scaled cimport BLOCK
from cgcython.kernels._types cimport f32, u8
from cgcython.kernels._vector cimport LANES


cdef inline void encode_plain(const f32 *values, u8 *codes, Py_ssize_t n) noexcept nogil:
    cdef:
        Py_ssize_t i = 0
        f32[BLOCK] last
        u8[BLOCK] last_codes
    while i + 4 * LANES <= n:
        encode_any_four(values + i, codes + i)
        i += 4 * LANES
    if i < n:
        memset(last, 0, sizeof(last))
        memcpy(last, values + i, (n - i) * sizeof(f32))
        encode_any_four(last, last_codes)
        memcpy(codes + i, last_codes, n - i)
