"""Sums over the values of a row, in one order on every level, and of rows.

Sixteen lanes sum side by side; then halves are added to halves.
"""
from cgcython.kernels.inner.simd.vector cimport (
    LANES, load, load16, load16_part, mul_add16, set16, set_all, store, sub16, sum16, v16, vf,
)
from cgcython.kernels.inner.types cimport f32


cdef inline f32 dot_of(const f32 *x, const f32 *y, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i = 0
    cdef v16 sums = set16(0)
    while i + 16 <= n:
        sums = mul_add16(load16(x + i), load16(y + i), sums)
        i += 16
    if i < n:
        sums = mul_add16(load16_part(x + i, n - i), load16_part(y + i, n - i), sums)
    return sum16(sums)


cdef inline f32 distance_of(const f32 *x, const f32 *y, Py_ssize_t n) noexcept nogil:
    """Return |x - y|**2."""
    cdef:
        Py_ssize_t i = 0
        v16 away, sums = set16(0)
    while i + 16 <= n:
        away = sub16(load16(x + i), load16(y + i))
        sums = mul_add16(away, away, sums)
        i += 16
    if i < n:
        away = sub16(load16_part(x + i, n - i), load16_part(y + i, n - i))
        sums = mul_add16(away, away, sums)
    return sum16(sums)


cdef inline f32 square_sum(const f32 *x, Py_ssize_t n) noexcept nogil:
    """Return |x|**2, which bounds, and finds NaN and infinity: its bits differ between levels."""
    cdef:
        Py_ssize_t i = 0, lane
        vf v, sums = set_all(0)
        f32 total = 0
        f32[16] lanes
    while i + LANES <= n:
        v = load(x + i)
        sums += v * v
        i += LANES
    while i < n:
        total += x[i] * x[i]
        i += 1
    store(lanes, sums)
    for lane in range(LANES):
        total += lanes[lane]
    return total


cdef inline void add_row(const f32 *part, Py_ssize_t n, f32 *row) noexcept nogil:
    cdef Py_ssize_t j = 0
    while j + LANES <= n:
        store(row + j, load(row + j) + load(part + j))
        j += LANES
    while j < n:
        row[j] += part[j]
        j += 1
