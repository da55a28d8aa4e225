"""Magnitudes as integers: the bits of |x| rise with |x|, through infinity to NaN."""
from libc.math cimport frexp
from libc.string cimport memcpy, memset
from cgcython.kernels.inner.types cimport f32, u32
from cgcython.kernels.inner.simd.vector cimport (
    LANES, bits, load, max_u, set_all_u, top_u, vu,
)

cdef enum:
    LARGEST = 0x7F7FFFFF  # the bits of the largest finite float
    STRETCH = 1024


cdef inline u32 peak_bits(const f32 *values, Py_ssize_t n) noexcept nogil:
    """Return the bits of max|x|; beyond LARGEST where a value is not finite."""
    cdef:
        vu a = set_all_u(0), b = a, c = a, d = a
        u32 magnitude = 0x7FFFFFFF
        Py_ssize_t i = 0
        f32[64] few
    if n < 4 * LANES:
        memset(few, 0, sizeof(few))
        memcpy(few, values, n * sizeof(f32))
        values, n = few, 4 * LANES
    while i < n:
        i = min(i, n - 4 * LANES)  # the last block may overlap the one before
        a = max_u(a, bits(load(values + i)) & magnitude)
        b = max_u(b, bits(load(values + i + LANES)) & magnitude)
        c = max_u(c, bits(load(values + i + 2 * LANES)) & magnitude)
        d = max_u(d, bits(load(values + i + 3 * LANES)) & magnitude)
        i += 4 * LANES
    return top_u(max_u(max_u(a, b), max_u(c, d)))


cdef inline Py_ssize_t first_nonfinite(const f32 *values, Py_ssize_t n) noexcept nogil:
    """Return the index of the first NaN or infinity, or -1."""
    cdef Py_ssize_t i, start = 0
    while start < n:
        if peak_bits(values + start, min(STRETCH, n - start)) > LARGEST:
            for i in range(start, n):
                if peak_bits(values + i, 1) > LARGEST:
                    return i
        start += STRETCH
    return -1


cdef inline int power_of(const f32 *x, Py_ssize_t n) noexcept nogil:
    """Return the least p >= -126 with max|x| < 2**p."""
    cdef:
        u32 size = peak_bits(x, n)
        f32 peak
        int power
    memcpy(&peak, &size, sizeof(peak))
    frexp(peak, &power)
    return max(power, -126)
