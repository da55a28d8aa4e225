"""Kept tokens of 4 and 2 bits a value: codes of the turned token, as TokenArray makes them.

Scales are kept where neither they nor what they decode to vanish or overflow. Only a token beyond
that range, near the ends of float32, decodes to another length; its direction stays.
"""
from libc.math cimport NAN, ldexp
from libc.string cimport memcpy
from cgcython.kernels.inner.finite cimport LARGEST, peak_bits
from cgcython.kernels.inner.integers.codes cimport (
    FINE, decode_token, encode_levels, into_range, whole_numbers,
)
from cgcython.kernels.inner.integers.query cimport WIDEST, peak_of
from cgcython.kernels.inner.turn cimport turn
from cgcython.kernels.inner.types cimport f32, i32, u8, u32

cdef extern from "float.h":
    const f32 FLT_MAX


cdef inline Py_ssize_t code_bytes(Py_ssize_t dim, int bits) noexcept nogil:
    return (dim * bits + 7) >> 3


cdef inline f32 bounded_scale(f32 scale, Py_ssize_t dim, int bits) noexcept nogil:
    """The scale of a token that is not zero; decoding adds up to `dim` of the highest levels."""
    cdef f32 most = FLT_MAX / <f32>(2 * dim << bits)
    return max(min(scale, most), <f32>ldexp(1, -149))


cdef inline f32 encode_turned(
    const f32 *token, Py_ssize_t dim, int bits, u8 *codes
) noexcept nogil:
    """Write the codes of a token and return their scale, or NaN where a value is not finite."""
    cdef:
        f32[WIDEST] turned
        i32[WIDEST] numbers
        u32 size = peak_bits(token, dim)
        f32 peak, lift, scale
        Py_ssize_t k
    if size > LARGEST:
        return NAN
    if dim == 0:
        return 0
    memcpy(&peak, &size, sizeof(peak))
    lift = into_range(peak)
    for k in range(dim):
        turned[k] = token[k] * lift
    turn(turned, dim, False, turned)
    lift, scale = 1 / lift, peak_of(turned, dim)
    whole_numbers(turned, dim, scale, FINE, numbers)
    scale = encode_levels(numbers, dim, scale, bits, codes) * lift
    return bounded_scale(scale, dim, bits) if size else scale


cdef inline bint decode_turned(
    const u8 *codes, f32 scale, Py_ssize_t dim, int bits, f32 *values
) noexcept nogil:
    """Whether scale and padding are ones that an encoder writes; then `values` is the token."""
    cdef:
        Py_ssize_t width = code_bytes(dim, bits)
        int used = dim * bits & 7
    if not 0 <= scale <= FLT_MAX or (used and codes[width - 1] >> used):
        return False
    decode_token(codes, width, dim, bits, scale, values)
    turn(values, dim, True, values)
    return True
