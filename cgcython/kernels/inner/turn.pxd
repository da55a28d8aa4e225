"""Hadamard's transform, which spreads what single values hold over all of a block.

Sums, differences and powers of two in a fixed order: every level returns the same bits.
"""
from cgcython.kernels.inner.types cimport f32
from cgcython.kernels.inner.simd.vector cimport LANES

cdef extern from "inner/turn.h" nogil:
    void turn_block "cg_turn_block"(f32 *x, Py_ssize_t size)
    void turn_short "cg_turn_short"(f32 *x, Py_ssize_t n, Py_ssize_t size)


cdef inline void butterflies(f32 *x, Py_ssize_t size) noexcept nogil:
    """Transform one block in place; twice is `size` times the block."""
    cdef:
        Py_ssize_t half = 1, start, k
        f32 a, b
    while half < size:
        start = 0
        while start < size:
            for k in range(start, start + half):
                a, b = x[k], x[k + half]
                x[k], x[k + half] = a + b, a - b
            start += 2 * half
        half *= 2


cdef inline void turn(const f32 *values, Py_ssize_t dim, bint back, f32 *out) noexcept nogil:
    """Write a row in blocks of the largest power of two that divides it; `out` may be the row."""
    cdef:
        Py_ssize_t size = dim & -dim, k
        f32 factor = 1 if back else <f32>(1.0 / size)  # never larger than the row was
    for k in range(dim):
        out[k] = values[k] * factor
    k = 0
    if size < LANES:  # whole vectors of blocks, then those that fill none
        k = dim // LANES * LANES
        turn_short(out, dim // LANES, size)
    while k < dim:
        if size >= LANES:
            turn_block(out + k, size)
        else:
            butterflies(out + k, size)
        k += size
