"""Weights as f16: which fit, and the way there and back."""
from libc.string cimport memcpy, memset
from cgcython.kernels.inner.sparse.fields cimport read16, read32, round_halves, widen_halves
from cgcython.kernels.inner.types cimport f32, u8, u32
from cgcython.kernels.inner.simd.vector cimport LANES


cdef inline bint fit_half(const f32 *weights, Py_ssize_t nnz) noexcept nogil:
    """Whether the largest magnitude is a normal f16, or zero: see the reference."""
    cdef Py_ssize_t i
    cdef u32 size, peak = 0
    for i in range(nnz):
        size = read32(<const u8 *>&weights[i]) & 0x7FFFFFFF
        peak = max(peak, size)
    # From 2**-14 up to, not including, 65520, which would round to infinity.
    return peak == 0 or 0x38800000 <= peak < 0x477FF000


cdef inline void write_halves(const f32 *weights, Py_ssize_t nnz, u8 *data) noexcept nogil:
    cdef:
        Py_ssize_t i = 0
        f32[16] last
        u8[32] halves
    while i + LANES <= nnz:
        round_halves(weights + i, data + 2 * i)
        i += LANES
    if i < nnz:
        memset(last, 0, sizeof(last))
        memcpy(last, weights + i, 4 * (nnz - i))
        round_halves(last, halves)
        memcpy(data + 2 * i, halves, 2 * (nnz - i))


cdef inline bint halves_are_finite(const u8 *data, Py_ssize_t nnz) noexcept nogil:
    cdef Py_ssize_t i
    cdef int wrong = 0
    for i in range(nnz):
        wrong |= read16(data + 2 * i) & 0x7C00 == 0x7C00
    return not wrong


cdef inline void read_halves(const u8 *data, Py_ssize_t nnz, f32 *weights) noexcept nogil:
    cdef:
        Py_ssize_t i = 0
        f32[16] last
        u8[32] halves
    while i + LANES <= nnz:
        widen_halves(data + 2 * i, weights + i)
        i += LANES
    if i < nnz:
        memset(halves, 0, sizeof(halves))
        memcpy(halves, data + 2 * i, 2 * (nnz - i))
        widen_halves(halves, last)
        memcpy(weights + i, last, 4 * (nnz - i))
