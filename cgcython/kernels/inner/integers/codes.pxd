"""How tokens become small integers. Steps are compared as whole numbers, so all levels agree.

int8: round(x * 127 / peak). 4 and 2 bits: odd levels, 2c - 15 and 2c - 3, times a step. Of a few
steps the one whose levels point most nearly along the token is taken; its scale is then the one
that brings the levels closest to the token.
"""
from libc.math cimport ceil, ldexp, log2, rintf
from libc.string cimport memset
from cgcython.kernels.inner.integers.tiles cimport DIMS, offset_of, widen
from cgcython.kernels.inner.types cimport f32, f64, i32, i64, u8
from cgcython.kernels.inner.simd.vector cimport LANES

cdef extern from "inner/integers/widths.h" nogil:
    enum:
        TRIED "CG_TRIED"
    void level_sums "cg_level_sums"(
        const i32 *numbers, Py_ssize_t n, const f32 *inverses, int highest, i32 *dots,
        i32 *squares,
    )

cdef enum:
    FINE = 32767        # the peak of a token in whole numbers
    STEPS = 8
    PART = 128
    SUMMED = 4096       # numbers whose sums fit 32 bits


cdef inline f32 into_range(f32 peak) noexcept nogil:
    """A power of two that brings a tiny peak away from the denormals, else 1."""
    return <f32>ldexp(1, 64) if peak < <f32>ldexp(1, -64) else <f32>1


cdef inline void whole_numbers(
    const f32 *values, Py_ssize_t n, f32 peak, f32 limit, i32 *numbers
) noexcept nogil:
    """Write round(x * limit / peak)."""
    cdef:
        f32 lift = into_range(peak), factor = limit / (peak * lift) if peak > 0 else <f32>0
        Py_ssize_t k
    for k in range(n):
        numbers[k] = <i32>rintf(values[k] * lift * factor)


cdef inline f32 tiny_scale(f32 peak) noexcept nogil:
    """A power of two, where peak / 127 would lose its bits."""
    return <f32>ldexp(1, max(-149, <int>ceil(log2(peak / 127.0))))


cdef inline f32 encode8(const f32 *values, Py_ssize_t n, f32 peak, u8 *codes) noexcept nogil:
    """Write the codes of a token and return their scale."""
    cdef:
        f32 scale = peak / 127, lift = into_range(peak), factor
        Py_ssize_t k
    if peak == 0:
        scale, factor = 1, 0
    elif lift > 1:
        scale = tiny_scale(peak)
        factor = <f32>(1.0 / (<f64>scale * lift))
    else:
        factor = 127 / peak
    for k in range(n):
        codes[k] = <u8><i32>rintf(values[k] * lift * factor)
    return scale


cdef inline i32 widths_in(i32 number, f32 inverse, i32 highest) noexcept nogil:
    """The whole widths in a magnitude, no more than the highest, as level_sums counts them."""
    cdef i32 size = number if number >= 0 else -number
    return min(<i32>((<f32>size + <f32>0.5) * inverse), highest)


cdef inline i32 width_of(i64 sizes, Py_ssize_t n, int bits, int step) noexcept nogil:
    """The width tried at a step, in whole numbers: around the best one for a normal spread."""
    if bits == 2:  # so few bits that the quotient of doubles is cut where that of integers is
        return max(1, <i32>(<f64>(sizes * (40 + 6 * step)) / <f64>(<i64>n * 48)))
    return <i32>max(<i64>1, FINE * <i64>(256 - 14 * step) // (256 * 8))


cdef inline void pack_levels(
    const i32 *numbers, Py_ssize_t n, i32 width, int bits, u8 *codes
) noexcept nogil:
    """Write codes that count levels from the lowest, the first in the lowest bits of a byte."""
    cdef:
        u8[PART] each
        i32 half = 1 << (bits - 1), number
        f32 inverse = 1 / <f32>width
        Py_ssize_t k, start = 0, count
    while start < n:
        count = min(<Py_ssize_t>PART, n - start)
        if count < PART:
            memset(each, 0, PART)
        for k in range(count):
            number = numbers[start + k]
            # Its complement is how far a negative level lies below the middle.
            each[k] = <u8>(half + (widths_in(number, inverse, half - 1) ^ (number >> 31)))
        if bits == 4:
            for k in range((count + 1) // 2):
                codes[k] = each[2 * k] | each[2 * k + 1] << 4
        else:
            for k in range((count + 3) // 4):
                codes[k] = (
                    each[4 * k] | each[4 * k + 1] << 2 | each[4 * k + 2] << 4
                    | each[4 * k + 3] << 6
                )
        codes += PART * bits // 8
        start += PART


cdef inline i64 sizes_of(const i32 *numbers, Py_ssize_t n) noexcept nogil:
    """The sum of all magnitudes, parts of it in 32 bits."""
    cdef:
        i64 total = 0
        i32 part
        Py_ssize_t start = 0, k
    while start < n:
        part = 0
        for k in range(start, min(n, start + SUMMED)):
            part += numbers[k] if numbers[k] >= 0 else -numbers[k]
        total += part
        start += SUMMED
    return total


cdef inline void sums_of(
    const i32 *numbers, Py_ssize_t n, const f32 *inverses, int highest, i64 *dots, i64 *squares
) noexcept nogil:
    """The sums of level_sums for any number of numbers."""
    cdef:
        i32[TRIED] some_dots, some_squares
        Py_ssize_t start = 0
        int i
    for i in range(TRIED):
        dots[i] = squares[i] = 0
    while start < n:
        level_sums(
            numbers + start, min(<Py_ssize_t>SUMMED, n - start), inverses, highest, some_dots,
            some_squares,
        )
        for i in range(TRIED):
            dots[i] += some_dots[i]
            squares[i] += some_squares[i]
        start += SUMMED


cdef inline i32 best_width(
    const i32 *numbers, Py_ssize_t n, int bits, f64 *scale
) noexcept nogil:
    """The width whose levels have the largest squared cosine with a token, and their scale."""
    cdef:
        i64 sizes = sizes_of(numbers, n)
        i32 best = 1
        i32[TRIED] widths
        i64[TRIED] dots, squares
        f32[TRIED] inverses
        f64 highest = -1, dot, square
        int step = 0, i
    while step < STEPS:
        for i in range(TRIED):
            widths[i] = width_of(sizes, n, bits, step + i)
            inverses[i] = 1 / <f32>widths[i]
        sums_of(numbers, n, inverses, (1 << (bits - 1)) - 1, dots, squares)
        for i in range(TRIED):  # a level is 2q + 1
            dot, square = <f64>(2 * dots[i] + sizes), <f64>(4 * squares[i] + n)
            if dot * dot / square > highest:
                highest, best, scale[0] = dot * dot / square, widths[i], dot / square
        step += TRIED
    return best


cdef inline f32 encode_levels(
    i32 *numbers, Py_ssize_t n, f32 peak, int bits, u8 *codes
) noexcept nogil:
    """Write the codes of a token as whole numbers up to FINE, and return their scale.

    Behind the n numbers there is room up to a whole vector.
    """
    cdef:
        f64 scale = 0
        Py_ssize_t k
    for k in range(n, (n + LANES - 1) // LANES * LANES):
        numbers[k] = 0
    pack_levels(numbers, n, best_width(numbers, n, bits, &scale), bits, codes)
    return <f32>(scale * peak / FINE)


cdef inline i64 squares_of(
    const u8 *codes, Py_ssize_t width, Py_ssize_t dim, int bits
) noexcept nogil:
    """The squared length of a token's whole numbers."""
    cdef:
        u8[DIMS] row
        i64 total = 0
        i32 value, part
        int offset = offset_of(bits)
        Py_ssize_t start = 0, k, skip
    while start < dim:
        skip, part = start * bits // 8, 0
        widen(codes + skip, width - skip, bits, row)
        for k in range(min(<Py_ssize_t>DIMS, dim - start)):
            value = <i32>row[k] - offset
            part += value * value
        total += part
        start += DIMS
    return total


cdef inline void decode_token(
    const u8 *codes, Py_ssize_t width, Py_ssize_t dim, int bits, f32 scale, f32 *values
) noexcept nogil:
    """Write a token's whole numbers times its scale."""
    cdef:
        u8[DIMS] row
        int offset = offset_of(bits)
        Py_ssize_t start = 0, k, skip
    while start < dim:
        skip = start * bits // 8
        widen(codes + skip, width - skip, bits, row)
        for k in range(min(<Py_ssize_t>DIMS, dim - start)):
            values[start + k] = <f32>(<i32>row[k] - offset) * scale
        start += DIMS
