"""A rotation of rows of any dimension that spreads what single values hold over all of them.

Fixed signs, then Hadamard's transform of the first values, as many as the largest power of two that
fits; where some are left, other signs, then the same transform of as many last values, so that
both overlap. Sums come in a fixed order and each product is rounded by itself, before it is added
to another: every level returns the same bits.
"""
from libc.math cimport sqrt
from cgcython.kernels.inner.turn cimport butterflies, turn_block
from cgcython.kernels.inner.types cimport f32, f64, i32, u32
from cgcython.kernels.inner.simd.vector cimport LANES

cdef enum:
    SECOND = 0x80000000  # where the signs of the second transform begin


cdef inline Py_ssize_t turned_together(Py_ssize_t dim) noexcept nogil:
    """The largest power of two up to a dimension of at least 1."""
    cdef Py_ssize_t size = 1
    while size <= dim >> 1:
        size *= 2
    return size


cdef inline f32 sign_of(u32 n) noexcept nogil:
    """1 or -1 by the highest bit of a hash: the last steps of xxHash32."""
    n = (n + 1) * <u32>0x9E3779B1
    n = (n ^ n >> 15) * <u32>0x85EBCA77
    n = (n ^ n >> 13) * <u32>0xC2B2AE3D
    return <f32>(1 - 2 * <i32>((n ^ n >> 16) >> 31))


cdef inline void sign_all(f32 *x, Py_ssize_t size, u32 first, f32 factor) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(size):
        x[k] = x[k] * factor * sign_of(first + <u32>k)


cdef inline void transform(f32 *x, Py_ssize_t size) noexcept nogil:
    if size >= LANES:
        turn_block(x, size)
    else:
        butterflies(x, size)


cdef inline void turn_whole(f32 *x, Py_ssize_t dim) noexcept nogil:
    """Rotate a row in place; its length stays."""
    cdef:
        Py_ssize_t size = turned_together(dim), rest = dim - size
        f32 factor = <f32>(1 / sqrt(<f64>size))
    sign_all(x, size, 0, factor)
    transform(x, size)
    if rest:
        sign_all(x + rest, size, SECOND, factor)
        transform(x + rest, size)


cdef inline void turn_whole_back(f32 *x, Py_ssize_t dim) noexcept nogil:
    """Undo turn_whole, but for roundings."""
    cdef:
        Py_ssize_t size = turned_together(dim), rest = dim - size
        f32 factor = <f32>(1 / sqrt(<f64>size))
    if rest:
        transform(x + rest, size)
        sign_all(x + rest, size, SECOND, factor)
    transform(x, size)
    sign_all(x, size, 0, factor)
