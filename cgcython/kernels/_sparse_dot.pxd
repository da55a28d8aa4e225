"""Dot products of rows of sparse vectors with a dense query."""
from libc.string cimport memset
from cgcython.kernels._sparse cimport any_above16, f4, gather4, load4, prefetch, store4
from cgcython.kernels._types cimport f32, i64, u32

cdef enum:
    ROWS = 64    # rows that meet a part of a query together
    PART = 4096  # values in such a part: 16 KB
    AHEAD = 512  # non-zeros to fetch before their turn
    LONG = 512   # non-zeros of a row that is worth visiting once for each part


cdef inline Py_ssize_t add_until(
    const f32 *query, u32 last, const u32 *indices, const f32 *weights, Py_ssize_t start,
    Py_ssize_t nnz, u32 bound, f32 *sums
) noexcept nogil:
    """Add products to sixteen sums, in groups of sixteen whose first index is below the bound.

    Returns where it stopped, or -1 at an index above the last.
    """
    cdef Py_ssize_t i = start
    cdef f4 a = load4(sums), b = load4(sums + 4), c = load4(sums + 8), d = load4(sums + 12)
    while i + 16 <= nnz and indices[i] <= bound:
        prefetch(indices + i + AHEAD)
        prefetch(weights + i + AHEAD)
        if any_above16(indices + i, last):
            return -1
        a += gather4(query, indices + i) * load4(weights + i)
        b += gather4(query, indices + i + 4) * load4(weights + i + 4)
        c += gather4(query, indices + i + 8) * load4(weights + i + 8)
        d += gather4(query, indices + i + 12) * load4(weights + i + 12)
        i += 16
    store4(sums, a)
    store4(sums + 4, b)
    store4(sums + 8, c)
    store4(sums + 12, d)
    return i


cdef inline bint add_rest(
    const f32 *query, u32 last, const u32 *indices, const f32 *weights, Py_ssize_t nnz, f32 *sums
) noexcept nogil:
    """As add_until, for the last fewer than sixteen; whether all indices are within."""
    cdef Py_ssize_t lane
    for lane in range(nnz):
        if indices[lane] > last:
            return False
        sums[lane] += query[indices[lane]] * weights[lane]
    return True


cdef inline f32 total(f32 *sums) noexcept nogil:
    """The sum of sixteen, always in this order, so that every level rounds alike."""
    cdef int lane, width = 8
    while width:
        for lane in range(width):
            sums[lane] += sums[lane + width]
        width >>= 1
    return sums[0]


cdef inline bint dot_some(
    const f32 *query, Py_ssize_t dimension, const i64 *indptr, const u32 *indices,
    const f32 *weights, Py_ssize_t num_rows, f32 *out
) noexcept nogil:
    """At most ROWS rows, together through one part of the query after another.

    A part stays in the first cache while it meets all rows; the query as a whole does not fit.
    Short rows meet the whole query at once, one after the other as they lie in memory.
    """
    cdef:
        f32[ROWS][16] sums
        i64[ROWS] done
        Py_ssize_t row, start, bound = 0, nnz = indptr[num_rows] - indptr[0]
        Py_ssize_t part = PART if num_rows > 1 and nnz >= LONG * num_rows else dimension
        u32 last = <u32>(dimension - 1)
    if dimension == 0:
        memset(out, 0, num_rows * sizeof(f32))
        return indptr[0] == indptr[num_rows]
    memset(sums, 0, num_rows * sizeof(sums[0]))
    memset(done, 0, num_rows * sizeof(done[0]))
    while bound <= last:
        # The last part takes all that is left, and so the rows need not ascend.
        bound = bound + part if bound + 2 * part <= last else dimension
        for row in range(num_rows):
            start = indptr[row]
            done[row] = add_until(
                query, last, indices + start, weights + start, done[row],
                indptr[row + 1] - start, <u32>(bound - 1), sums[row],
            )
            if done[row] < 0:
                return False
    for row in range(num_rows):
        start = indptr[row] + done[row]
        if not add_rest(
            query, last, indices + start, weights + start, indptr[row + 1] - start, sums[row]
        ):
            return False
        out[row] = total(sums[row])
    return True
