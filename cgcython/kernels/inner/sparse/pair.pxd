"""The dot product of two sparse vectors: blocks of eight indices compared all with all."""
from libc.string cimport memset
from cgcython.kernels.inner.sparse.postings cimport first_at_least
from cgcython.kernels.inner.sparse.fields cimport add_matches, f8, load_f8, step8, store_f8
from cgcython.kernels.inner.types cimport f32, u32

cdef enum:
    INDICES_AT_ONCE = 8


cdef inline f32 dot_rest(
    const u32 *a, const f32 *a_weights, Py_ssize_t a_nnz,
    const u32 *b, const f32 *b_weights, Py_ssize_t b_nnz
) noexcept nogil:
    """As dot_pair, for an `a` of so few that each is searched for in `b`."""
    cdef Py_ssize_t i, place = 0
    cdef f32 dot = 0
    for i in range(a_nnz):
        place = first_at_least(a[i], b, place, b_nnz)
        if place < b_nnz and b[place] == a[i]:
            dot += a_weights[i] * b_weights[place]
    return dot


cdef inline f32 sum_of(f8 lanes) noexcept nogil:
    """The sum of eight, always in this order, so that every level rounds alike."""
    cdef f32[INDICES_AT_ONCE] sums
    store_f8(sums, lanes)
    return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]))


cdef inline f32 dot_pair_of(
    const u32 *a, const f32 *a_weights, Py_ssize_t a_nnz,
    const u32 *b, const f32 *b_weights, Py_ssize_t b_nnz
) noexcept nogil:
    """The block that ends first gives way, both when they end alike."""
    cdef:
        f32[INDICES_AT_ONCE] zeros
        f8 sums
        Py_ssize_t i = 0, j = 0
        u32 a_last, b_last
    memset(zeros, 0, sizeof(zeros))
    sums = load_f8(zeros)
    while i + INDICES_AT_ONCE <= a_nnz and j + INDICES_AT_ONCE <= b_nnz:
        sums = add_matches(a + i, a_weights + i, b + j, b_weights + j, sums)
        a_last, b_last = a[i + INDICES_AT_ONCE - 1], b[j + INDICES_AT_ONCE - 1]
        i += step8(a_last, b_last)
        j += step8(b_last, a_last)
    if a_nnz - i < b_nnz - j:
        return sum_of(sums) + dot_rest(
            a + i, a_weights + i, a_nnz - i, b + j, b_weights + j, b_nnz - j
        )
    return sum_of(sums) + dot_rest(b + j, b_weights + j, b_nnz - j, a + i, a_weights + i, a_nnz - i)
