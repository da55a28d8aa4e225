"""Dot products of rows of sparse vectors with a dense query."""
from libc.string cimport memset
from cgcython.kernels.inner.simd.compiler cimport fetch, fetch_second
from cgcython.kernels.inner.sparse.fields cimport (
    any_above16, any_marked16, f4, gather4, load4, store4,
)
from cgcython.kernels.inner.types cimport f32, i64, u8, u32

cdef enum:
    ROWS_TOGETHER = 32  # meet a part of a query; the second cache holds twice as many
    PART = 4096  # values in such a part: 16 KB
    AHEAD = 512  # non-zeros to fetch before their turn
    LONG = 512   # non-zeros of a row that is worth visiting once for each part
    FEW = 128    # values of a query that are worth marking
    SLOTS = 8192    # marks: a quarter of the first cache
    MOST_MET = 256  # groups whose weights are fetched at a time


cdef inline Py_ssize_t add_until(
    const f32 *query, u32 last, const u32 *indices, const f32 *weights, Py_ssize_t start,
    Py_ssize_t nnz, u32 bound, Py_ssize_t ahead, f32 *sums
) noexcept nogil:
    """Add products to sixteen sums, in groups of sixteen whose first index is below the bound.

    Returns where it stopped, or -1 at an index above the last. Fetches what lies `ahead`.
    """
    cdef Py_ssize_t i = start
    cdef f4 a = load4(sums), b = load4(sums + 4), c = load4(sums + 8), d = load4(sums + 12)
    while i + 16 <= nnz and indices[i] <= bound:
        fetch_second(indices + i + ahead)
        fetch_second(weights + i + ahead)
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


cdef inline f32 total(const f32 *sums) noexcept nogil:
    """The sum of sixteen, always in this order, so that every level rounds alike."""
    cdef f32[4] four
    store4(four, (load4(sums) + load4(sums + 8)) + (load4(sums + 4) + load4(sums + 12)))
    return (four[0] + four[2]) + (four[1] + four[3])


cdef inline bint dot_some(
    const f32 *query, Py_ssize_t dimension, const i64 *indptr, const u32 *indices,
    const f32 *weights, Py_ssize_t num_rows, f32 *out
) noexcept nogil:
    """At most ROWS_TOGETHER rows, together through one part of the query after another.

    A part stays in the first cache while it meets all rows; the query as a whole does not fit.
    Short rows meet the whole query at once, one after the other as they lie in memory.
    """
    cdef:
        f32[ROWS_TOGETHER][16] sums
        i64[ROWS_TOGETHER] done
        Py_ssize_t row, start, bound = 0, nnz = indptr[num_rows] - indptr[0]
        Py_ssize_t part = PART if num_rows > 1 and nnz >= LONG * num_rows else dimension
        # Groups of rows in parts leave no stream to follow: the next ones are fetched meanwhile.
        Py_ssize_t ahead = AHEAD if part == dimension else nnz
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
                indptr[row + 1] - start, <u32>(bound - 1), ahead, sums[row],
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


cdef inline bint mark(const f32 *query, Py_ssize_t dimension, u8 *marks) noexcept nogil:
    """Mark the slots of the non-zeros of a query; whether they are few."""
    cdef Py_ssize_t start = 0, i, stop, count = 0
    cdef int met
    memset(marks, 0, SLOTS)
    while start < dimension:
        stop, met = min(start + 64, dimension), 0
        for i in range(start, stop):
            met |= query[i] != 0
        if met:
            for i in range(start, stop):
                marks[i & (SLOTS - 1)] |= query[i] != 0
                count += query[i] != 0
            if count > FEW:
                return False
        start += 64
    return True


cdef struct Met:
    i64 start         # of sixteen non-zeros among which one meets the query
    Py_ssize_t row


cdef inline void add_met(
    const f32 *query, const u32 *indices, const f32 *weights, const Met *met, Py_ssize_t count,
    f32[16] *sums
) noexcept nogil:
    cdef Py_ssize_t i, lane
    cdef i64 start
    for i in range(count):
        start = met[i].start
        for lane in range(16):
            sums[met[i].row][lane] += query[indices[start + lane]] * weights[start + lane]


cdef inline bint dot_marked(
    const f32 *query, Py_ssize_t dimension, const u8 *marks, const i64 *indptr,
    const u32 *indices, const f32 *weights, Py_ssize_t num_rows, f32 *out
) noexcept nogil:
    """As dot_some, for a query of few: most groups of sixteen meet none of them.

    The marks stay in the first cache. Weights are read only of groups that meet one, and fetched
    while others are looked at.
    """
    cdef:
        f32[ROWS_TOGETHER][16] sums
        Met[MOST_MET] met
        Py_ssize_t row, count = 0
        i64 i
        bint meets
        u32 last = <u32>(dimension - 1)
    memset(sums, 0, num_rows * sizeof(sums[0]))
    for row in range(num_rows):
        i = indptr[row]
        while i + 16 <= indptr[row + 1]:
            if any_above16(indices + i, last):
                return False
            meets = any_marked16(marks, SLOTS - 1, indices + i)
            fetch(indices + i + AHEAD)
            # A branch would be mispredicted at nearly every group that meets one.
            fetch(<const void *>(weights + i) if meets else <const void *>(indices + i))
            met[count].start, met[count].row = i, row
            count += meets
            if count == MOST_MET:
                add_met(query, indices, weights, met, count, sums)
                count = 0
            i += 16
        fetch(weights + i)
    add_met(query, indices, weights, met, count, sums)
    for row in range(num_rows):
        i = indptr[row + 1] - (indptr[row + 1] - indptr[row]) % 16
        if not add_rest(
            query, last, indices + i, weights + i, indptr[row + 1] - i, sums[row]
        ):
            return False
        out[row] = total(sums[row])
    return True
