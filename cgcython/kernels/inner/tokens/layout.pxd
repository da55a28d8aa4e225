"""The layouts of kept tokens: their numbers, their bits, and the lengths of what they hold."""
from cgcython.kernels.inner.simd.compiler cimport ones
from cgcython.kernels.inner.door cimport in_bytes
from cgcython.kernels.inner.integers.query cimport WIDEST
from cgcython.kernels.inner.tokens.codes cimport code_bytes
from cgcython.kernels.inner.types cimport u8

cdef enum:
    CANONICAL_LAYOUT = 0
    E4M3_LAYOUT = 1
    F32_LAYOUT = 2
    INT4_LAYOUT = 3
    INT2_LAYOUT = 4
    INT4_F16_LAYOUT = 5
    INT2_F16_LAYOUT = 6


cdef inline int bits_of(int layout) noexcept nogil:
    """The bits of a code of a turned token; 0 for layouts that have none."""
    if layout == INT4_LAYOUT or layout == INT4_F16_LAYOUT:
        return 4
    return 2 if layout == INT2_LAYOUT or layout == INT2_F16_LAYOUT else 0


cdef inline bint has_halves(int layout) noexcept nogil:
    return layout >= INT4_F16_LAYOUT


cdef inline Py_ssize_t scale_bytes(int layout) noexcept nogil:
    return 2 if has_halves(layout) else 4


cdef inline Py_ssize_t head_of(Py_ssize_t n, int layout) noexcept nogil:
    """The bytes before the tokens, of a text of n."""
    return 4 if layout == CANONICAL_LAYOUT else in_bytes(n)


cdef inline Py_ssize_t each_of(Py_ssize_t dim, int layout) noexcept nogil:
    """The bytes of one kept token."""
    if layout == E4M3_LAYOUT:
        return 4 + dim
    if bits_of(layout):
        return scale_bytes(layout) + code_bytes(dim, bits_of(layout))
    return 4 * dim if layout == F32_LAYOUT else 4 + 4 * dim


cdef inline bint is_length(
    Py_ssize_t length, Py_ssize_t n, Py_ssize_t count, Py_ssize_t dim, int layout
) noexcept nogil:
    """Whether so many bytes hold such a record; a product could overflow here."""
    cdef Py_ssize_t each = each_of(dim, layout)
    length -= head_of(n, layout)
    if count <= 0 or each == 0:
        return length == 0 and count >= 0
    return length > 0 and length % count == 0 and length // count == each


cdef inline int layout_filling(
    Py_ssize_t length, Py_ssize_t n, Py_ssize_t count, Py_ssize_t dim, int layout
) noexcept nogil:
    """The layout that such a record of a batch is in, which its length tells, or -1.

    It is that of the batch, or the one with f32 scales where f16 could not hold them.
    """
    if is_length(length, n, count, dim, layout) or not has_halves(layout):
        return layout if is_length(length, n, count, dim, layout) else -1
    layout = INT4_LAYOUT if layout == INT4_F16_LAYOUT else INT2_LAYOUT
    return layout if is_length(length, n, count, dim, layout) else -1


cdef inline bint is_narrow(Py_ssize_t dim, int layout) noexcept nogil:
    """Whether a layout has tokens of so many values."""
    return bits_of(layout) == 0 or dim <= WIDEST


cdef inline Py_ssize_t ones_in(const u8 *bitmap, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i, found = 0
    for i in range(in_bytes(n)):
        found += ones(bitmap[i])
    return found


cdef inline bint names(const u8 *bitmap, Py_ssize_t n, Py_ssize_t count) noexcept nogil:
    """Whether a bitmap of n positions names so many."""
    return ones_in(bitmap, n) == count and (
        n & 7 == 0 or bitmap[n >> 3] & (0xFF >> (n & 7)) == 0
    )
