"""Rows as codes of 8, 6, 4 or 2 bits of their turned values, and a scale for each row.

Code c of b bits stands for the level 2c + 1 - 2^b, and the turned value is that times scale / 2^b.
Of 8 and 6 bits the scale is the peak, of 4 and 2 bits what suits the values best, as tokens have
it. A scale is an f16 number times a power of two, which is 2^0 while the number is in f16's range.
"""
from libc.math cimport ceil, floorf, frexp, ldexp, rint
from libc.string cimport memcpy, memset
from cgcython.kernels.inner.finite cimport LARGEST, peak_bits
from cgcython.kernels.inner.integers.codes cimport FINE, encode_levels, whole_numbers
from cgcython.kernels.inner.integers.query cimport peak_of
from cgcython.kernels.inner.integers.tiles cimport DIMS, widen
from cgcython.kernels.inner.types cimport f32, f64, i8, i16, i32, i64, u8, u32
from cgcython.kernels.inner.whole_turn cimport turn_whole, turn_whole_back

cdef extern from "float.h":
    const f32 FLT_MAX

cdef enum:
    PADDING = 16        # numbers behind those of a row, which kernels of whole numbers write
    LEAST = -14         # exponents of normal f16 numbers
    MOST = 15           # one below the largest, so that rounding up stays finite
    FRACTION = 10       # bits of an f16 number behind the first


cdef struct Scale:
    f32 number          # an f16
    int power


cdef inline Py_ssize_t scalar_bytes(Py_ssize_t dim, int bits) noexcept nogil:
    return dim // 8 * bits + (dim % 8 * bits + 7) // 8


cdef inline Scale scale_of(f64 size, bint up) noexcept nogil:
    """The f16 times a power of two nearest to a size, or the nearest that is not below."""
    cdef:
        Scale scale
        f64 step
        int exponent
    scale.number, scale.power = 0, 0
    if size == 0:
        return scale
    frexp(size, &exponent)
    exponent -= 1
    if not LEAST <= exponent < MOST:
        scale.power = min(max(exponent, -128), 127)
        exponent -= scale.power
    step = ldexp(1, max(exponent, LEAST) - FRACTION)
    size = ldexp(size, -scale.power) / step
    scale.number = <f32>((ceil(size) if up else rint(size)) * step)
    return scale


cdef inline void number_codes(
    const f32 *turned, Py_ssize_t n, f32 factor, int half, u8 *codes
) noexcept nogil:
    """Write which of 2 * half even parts of the scale each value is in."""
    cdef:
        f32 part, most = <f32>(half - 1), least = <f32>-half
        Py_ssize_t k
    for k in range(n):
        part = floorf(turned[k] * factor)
        part = most if part > most else part
        codes[k] = <u8>(<i32>(least if part < least else part) + half)


cdef inline void pack6(
    const u8 *each, Py_ssize_t at, Py_ssize_t n, Py_ssize_t dim, u8 *codes
) noexcept nogil:
    """Write n codes from `at` on: the low four bits of all, then the high two bits of all.

    Those behind the last whole four of the dimension follow as they are.
    """
    cdef:
        Py_ssize_t whole = dim // 4 * 4, last = min(n, whole - at), k
        u8 *low = codes + at // 2
        u8 *high = codes + whole // 2 + at // 4
    for k in range(last // 2):
        low[k] = each[2 * k] & 15 | each[2 * k + 1] << 4
    for k in range(last // 4):
        high[k] = (
            each[4 * k] >> 4 | each[4 * k + 1] >> 4 << 2 | each[4 * k + 2] >> 4 << 4
            | each[4 * k + 3] >> 4 << 6
        )
    for k in range(last, n):
        codes[whole // 4 * 3 + k - last] = each[k]


cdef inline void widen6(
    const u8 *codes, Py_ssize_t at, Py_ssize_t n, Py_ssize_t dim, u8 *row
) noexcept nogil:
    """Decode up to DIMS codes from `at` on, each twice its number."""
    cdef:
        u8[DIMS] high
        Py_ssize_t whole = dim // 4 * 4, last = whole - at, k
    widen(codes + at // 2, last // 2, 4, row)
    widen(codes + whole // 2 + at // 4, last // 4, 2, high)
    for k in range(DIMS):
        row[k] = <u8>(row[k] + 16 * high[k])
    for k in range(last, n):
        row[k] = <u8>(2 * codes[whole // 4 * 3 + k - last])


cdef inline void fine_codes(
    const f32 *turned, Py_ssize_t dim, f32 factor, int bits, u8 *codes
) noexcept nogil:
    """Write codes of 8 or 6 bits."""
    cdef:
        u8[DIMS] each
        Py_ssize_t at = 0, n
    if bits == 8:
        number_codes(turned, dim, factor, 128, codes)
        return
    while at < dim:
        n = min(<Py_ssize_t>DIMS, dim - at)
        number_codes(turned + at, n, factor, 32, each)
        pack6(each, at, n, dim, codes)
        at += DIMS


cdef inline bint encode_row(
    const f32 *values, Py_ssize_t dim, int bits, f32 *turned, i32 *numbers, u8 *codes,
    Scale *scale,
) noexcept nogil:
    """Write a row's codes and scale; return False where a value is not finite.

    `turned` has room for the row, `numbers` for PADDING more.
    """
    cdef:
        u32 size = peak_bits(values, dim)
        f32 peak, lift
        Py_ssize_t k
        int power, half = 1 << (bits - 1)
    if size > LARGEST:
        return False
    if dim == 0:
        scale[0] = scale_of(0, False)
        return True
    memcpy(&peak, &size, sizeof(peak))
    frexp(peak, &power)
    power = max(power, -126)
    lift = <f32>ldexp(1, -power)
    for k in range(dim):
        turned[k] = values[k] * lift
    turn_whole(turned, dim)
    peak = peak_of(turned, dim)
    if bits > 4:
        scale[0] = scale_of(ldexp(peak, power), True)
        lift = <f32>(half / ldexp(scale.number, scale.power - power)) if peak > 0 else <f32>0
        fine_codes(turned, dim, lift, bits, codes)
    else:
        whole_numbers(turned, dim, peak, FINE, numbers)
        lift = encode_levels(numbers, dim, peak, bits, codes)
        scale[0] = scale_of(ldexp(lift, power + bits), False)
    return True


cdef inline void levels_of(
    const u8 *codes, Py_ssize_t width, Py_ssize_t dim, int bits, Py_ssize_t at, Py_ssize_t n,
    i16 *levels,
) noexcept nogil:
    """Write the levels of up to DIMS codes from `at` on."""
    cdef:
        u8[DIMS] row
        Py_ssize_t k, skip = at * bits // 8
        int top = (1 << bits) - 1
    if bits == 8:
        for k in range(n):
            levels[k] = <i16>(2 * <int>codes[at + k] - top)
        return
    if bits == 6:
        widen6(codes, at, n, dim, row)
    else:
        widen(codes + skip, width - skip, bits, row)
    for k in range(n):
        levels[k] = <i16>(<int>row[k] - top)


cdef inline i64 level_squares(
    const u8 *codes, Py_ssize_t width, Py_ssize_t dim, int bits
) noexcept nogil:
    """The squared length of a row's levels."""
    cdef:
        i16[DIMS] levels
        i64 total = 0
        i32 part
        Py_ssize_t at = 0, n, k
    while at < dim:
        n, part = min(<Py_ssize_t>DIMS, dim - at), 0
        levels_of(codes, width, dim, bits, at, n, levels)
        for k in range(n):
            part += <i32>levels[k] * levels[k]
        total += part
        at += DIMS
    return total


cdef inline void decode_row(
    const u8 *codes, Py_ssize_t width, Scale scale, Py_ssize_t dim, int bits, f32 *values
) noexcept nogil:
    """Write the values of a row, at most the largest float."""
    cdef:
        i16[DIMS] levels
        f32 factor = <f32>ldexp(scale.number, -bits), up
        Py_ssize_t at = 0, n, k
    while at < dim:
        n = min(<Py_ssize_t>DIMS, dim - at)
        levels_of(codes, width, dim, bits, at, n, levels)
        for k in range(n):
            values[at + k] = <f32>levels[k] * factor
        at += DIMS
    turn_whole_back(values, dim)
    if scale.power:
        up = <f32>ldexp(1, scale.power)
        for k in range(dim):
            values[k] = max(min(values[k] * up, FLT_MAX), -FLT_MAX)
