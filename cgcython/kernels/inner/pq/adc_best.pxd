"""The best of the rows that a scan over codes has met, and the sum of a row in a block."""
from cgcython.kernels.inner.pq.adc_screen cimport SCREEN_ROWS, KSUB
from cgcython.kernels.inner.types cimport f32, i64, u8


cdef struct Best:
    i64 *ids
    f32 *sums
    Py_ssize_t k, held


cdef inline void offer(Best *found, Py_ssize_t row, f32 total) noexcept nogil:
    """Keep a row if it is among the best so far; equal sums of earlier rows stay ahead of it."""
    cdef Py_ssize_t at = found.held
    if at < found.k:
        found.held += 1
    elif total < found.sums[at - 1]:
        at -= 1
    else:
        return
    while at > 0 and total < found.sums[at - 1]:
        found.ids[at], found.sums[at] = found.ids[at - 1], found.sums[at - 1]
        at -= 1
    found.ids[at], found.sums[at] = row, total


cdef inline f32 lane_sum(const f32 *table, const u8 *lane, Py_ssize_t M) noexcept nogil:
    """Return the sum of a row of a block, in the order of sum_of."""
    cdef:
        f32 total = 0
        Py_ssize_t m
    for m in range(M):
        total += table[m * KSUB + lane[m * SCREEN_ROWS]]
    return total
