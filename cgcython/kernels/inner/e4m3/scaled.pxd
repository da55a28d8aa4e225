"""Scaled E4M3 codes: of usual rows by one factor, of tiny ones by two; and back."""
from libc.math cimport NAN, frexp, ldexp
from libc.string cimport memcpy, memset
from cgcython.kernels.inner.e4m3.codes cimport encode_four, load_e4m3
from cgcython.kernels.inner.finite cimport LARGEST, peak_bits
from cgcython.kernels.inner.types cimport f32, f64, u8, u32
from cgcython.kernels.inner.simd.vector cimport LANES, set_all, store, vf

cdef enum:
    CODES_AT_ONCE = 64  # a multiple of four vectors at every level
    LEAST_STEPS = 16  # of the smallest float in a scale that is rounded, by 3 % at most


cdef inline void encode_times(
    const f32 *values, f32 factor, u8 *codes, Py_ssize_t n
) noexcept nogil:
    cdef:
        Py_ssize_t i = 0
        vf factors = set_all(factor)
        f32[CODES_AT_ONCE] last
        u8[CODES_AT_ONCE] last_codes
    while i + 4 * LANES <= n:
        encode_four(values + i, factors, codes + i)
        i += 4 * LANES
    if i < n:
        memset(last, 0, sizeof(last))
        memcpy(last, values + i, (n - i) * sizeof(f32))
        encode_four(last, factors, last_codes)
        memcpy(codes + i, last_codes, n - i)


cdef inline f32 small_scale(f32 peak) noexcept nogil:
    """Return peak / 448, or the power of two above where a float so small has too few bits."""
    cdef:
        int exponent
        f64 scale = <f64>peak / 448
        bint is_power = frexp(scale, &exponent) == 0.5
    if scale >= LEAST_STEPS * 2.0 ** -149:
        return <f32>scale
    return <f32>ldexp(1, max(exponent - is_power, -149))


cdef inline f32 encode_small(
    const f32 *values, f32 peak, u8 *codes, Py_ssize_t n
) noexcept nogil:
    """Scale a tiny row in two steps, the first by a power of two: one factor would overflow."""
    cdef:
        f32 scale = small_scale(peak)
        f32 factor = <f32>(2.0 ** -64 / <f64>scale)
        Py_ssize_t i = 0, k, width
        f32[CODES_AT_ONCE] raised
    while i < n:
        width = min(CODES_AT_ONCE, n - i)
        for k in range(width):
            raised[k] = values[i + k] * <f32>(2.0 ** 64)
        encode_times(raised, factor, codes + i, width)
        i += CODES_AT_ONCE
    return scale


cdef inline f32 encode_scaled(const f32 *values, u8 *codes, Py_ssize_t n) noexcept nogil:
    """Write the codes of a row and return its scale, or NaN where a value is not finite."""
    cdef:
        u32 size = peak_bits(values, n)
        f32 peak
    if size > LARGEST:
        return NAN
    memcpy(&peak, &size, sizeof(peak))
    # Below it, 448 / peak may overflow.
    if peak >= <f32>(2.0 ** -118):
        encode_times(values, 448 / peak, codes, n)
        return peak / 448
    if peak > 0:
        return encode_small(values, peak, codes, n)
    encode_times(values, 1, codes, n)
    return 1


cdef inline void decode_times(
    const u8 *codes, f32 scale, f32 bias, f32 *values, Py_ssize_t n
) noexcept nogil:
    cdef:
        Py_ssize_t i = 0
        # Adding -0.0 changes nothing, where adding 0.0 would lose the sign of -0.0.
        vf scales = set_all(scale), biases = set_all(bias if bias else <f32>-0.0)
        f32[CODES_AT_ONCE] last
        u8[CODES_AT_ONCE] last_codes
    while i + LANES <= n:
        store(values + i, load_e4m3(codes + i) * scales + biases)
        i += LANES
    if i < n:
        memcpy(last_codes, codes + i, n - i)
        store(last, load_e4m3(last_codes) * scales + biases)
        memcpy(values + i, last, (n - i) * sizeof(f32))
