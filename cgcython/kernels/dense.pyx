"""Dense float32 rows: norms, products, cosines, the best scores, projections.

Products along a row are sixteen sums and a fixed tree, so that every level with FMA returns the
same bits.
"""
from libc.math cimport ldexp, sqrt
from libc.string cimport memcpy, memset
from cgcython.kernels.inner.simd.compiler cimport first_one
from cgcython.kernels.inner.door cimport agree, check_buffers
from cgcython.kernels.inner.finite cimport first_nonfinite as find_nonfinite, power_of
from cgcython.kernels.inner.heap cimport best_first, rise, sink
from cgcython.kernels.inner.product cimport product_rows
from cgcython.kernels.inner.turn cimport turn
from cgcython.kernels.inner.types cimport f32, f64, i32, i64, u32
from cgcython.kernels.inner.simd.vector cimport (
    LANES, above, load, load16, load16_part, mul16, mul_add16, set16, set_all, sum16, v16, vf,
)

cdef enum:
    NAN_RANK = -2147483648
    COUNTED = 4096  # scores that stay in the first cache for all limits

# Sums of squares between these have lost nothing to under- or overflow.
cdef f64 SAFE_LOW = 2.0 ** -60, SAFE_HIGH = 2.0 ** 60


cdef f32 dense_dot(const f32 *a, const f32 *b, Py_ssize_t n) noexcept nogil:
    cdef:
        v16 total = set16(0)
        Py_ssize_t k = 0
    while k + 16 <= n:
        total = mul_add16(load16(a + k), load16(b + k), total)
        k += 16
    if k < n:
        total = mul_add16(load16_part(a + k, n - k), load16_part(b + k, n - k), total)
    return sum16(total)


cdef void dense_dot_rows(
    const f32 *query, const f32 *rows, Py_ssize_t n, Py_ssize_t dim, f32 *out
) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        out[i] = dense_dot(query, rows + i * dim, dim)


cdef inline f64 squares(const f32 *x, Py_ssize_t n, f32 factor) noexcept nogil:
    """Return the sum of the squares of x * factor."""
    cdef:
        v16 total = set16(0), factors = set16(factor), v
        Py_ssize_t k = 0
    while k + 16 <= n:
        v = mul16(load16(x + k), factors)
        total = mul_add16(v, v, total)
        k += 16
    if k < n:
        v = mul16(load16_part(x + k, n - k), factors)
        total = mul_add16(v, v, total)
    return sum16(total)


cdef inline bint is_safe(f64 squares) noexcept nogil:
    return SAFE_LOW < squares < SAFE_HIGH


cdef f64 scaled_norm(const f32 *x, Py_ssize_t n) noexcept nogil:
    cdef int power = power_of(x, n)
    return ldexp(sqrt(squares(x, n, <f32>ldexp(1, -power))), power)


cdef f32 dense_norm(const f32 *x, Py_ssize_t n) noexcept nogil:
    cdef f64 total = squares(x, n, 1)
    return <f32>(sqrt(total) if is_safe(total) else scaled_norm(x, n))


cdef f32 scaled_cosine(const f32 *a, const f32 *b, Py_ssize_t n) noexcept nogil:
    """Return the cosine of rows of any magnitude."""
    cdef:
        f32 up_a = <f32>ldexp(1, -power_of(a, n)), up_b = <f32>ldexp(1, -power_of(b, n))
        f64 norms = sqrt(squares(a, n, up_a)) * sqrt(squares(b, n, up_b))
        v16 total = set16(0), factors_a = set16(up_a), factors_b = set16(up_b), x
        Py_ssize_t k = 0
    while k < n:
        x = mul16(load16_part(b + k, min(16, n - k)), factors_b)
        total = mul_add16(mul16(load16_part(a + k, min(16, n - k)), factors_a), x, total)
        k += 16
    return <f32>(sum16(total) / norms) if norms > 0 else <f32>0


cdef inline f32 cosine_with(
    const f32 *query, f64 query_squares, const f32 *row, Py_ssize_t n
) noexcept nogil:
    cdef:
        v16 dot = set16(0), total = dot, x
        Py_ssize_t k = 0
        f64 row_squares
    while k + 16 <= n:
        x = load16(row + k)
        dot = mul_add16(load16(query + k), x, dot)
        total = mul_add16(x, x, total)
        k += 16
    if k < n:
        x = load16_part(row + k, n - k)
        dot = mul_add16(load16_part(query + k, n - k), x, dot)
        total = mul_add16(x, x, total)
    row_squares = sum16(total)
    if is_safe(query_squares) and is_safe(row_squares):
        return <f32>(sum16(dot) / sqrt(query_squares * row_squares))
    return scaled_cosine(query, row, n)


cdef f32 dense_cosine(const f32 *a, const f32 *b, Py_ssize_t n) noexcept nogil:
    return cosine_with(a, squares(a, n, 1), b, n)


cdef void dense_cosine_rows(
    const f32 *query, const f32 *rows, Py_ssize_t n, Py_ssize_t dim, f32 *out
) noexcept nogil:
    cdef:
        f64 query_squares = squares(query, dim, 1)
        Py_ssize_t i
    for i in range(n):
        out[i] = cosine_with(query, query_squares, rows + i * dim, dim)


cdef inline i32 rank_of(f32 score) noexcept nogil:
    """Return an integer that rises with the score; NaN is lowest, zeros of either sign tie."""
    cdef:
        i32 rank
        f32 same = score + 0
    memcpy(&rank, &same, sizeof(rank))
    if score != score:
        return NAN_RANK
    return rank ^ (rank >> 31 & 0x7FFFFFFF)


cdef inline bint any_above(const f32 *scores, vf least) noexcept nogil:
    """Return whether one of the next four vectors exceeds `least`."""
    return (
        above(load(scores), least)
        | above(load(scores + LANES), least)
        | above(load(scores + 2 * LANES), least)
        | above(load(scores + 3 * LANES), least)
    ) != 0


cdef void dense_top_k(
    const f32 *scores, Py_ssize_t n, Py_ssize_t k, i64 *ids, i32 *ranks
) noexcept nogil:
    """Find the best k; leaves their ranks where the scores will be."""
    cdef:
        Py_ssize_t i = min(n, k), j, stop
        f32 least
        i32 rank
    for j in range(i):
        rise(ranks, ids, j, rank_of(scores[j]), j)
    while i < n and k:
        least = scores[ids[0]]
        # Later ids lose ties, so only what is above can enter; anything may follow a NaN.
        if least == least and i + 4 * LANES <= n and not any_above(scores + i, set_all(least)):
            i += 4 * LANES
            continue
        stop = min(n, i + 4 * LANES)
        while i < stop:
            rank = rank_of(scores[i])
            if rank > ranks[0]:
                sink(ranks, ids, k, rank, i)
            i += 1
    best_first(ranks, ids, k)


def first_nonfinite(const f32[::1] values):
    """Return the index of the first NaN or infinity, or -1."""
    cdef Py_ssize_t at
    check_buffers(0, values)
    with nogil:
        at = find_nonfinite(&values[0], values.shape[0])
    return at


def norms(
    const f32[:, ::1] values,   # IN
    f32[::1] out,               # OUT
):
    """Write the Euclidean norm of each row; any finite magnitude."""
    cdef Py_ssize_t i, n = values.shape[0], dim = values.shape[1]
    check_buffers(1, out, values)
    agree("out", out.shape[0], "values", n)
    with nogil:
        for i in range(n):
            out[i] = dense_norm(&values[i, 0], dim)


def dot_rows(
    const f32[::1] query,       # IN
    const f32[:, ::1] rows,     # IN
    f32[::1] out,               # OUT
):
    """Write the dot product of the query with each row."""
    cdef Py_ssize_t n = rows.shape[0], dim = rows.shape[1]
    check_buffers(1, out, query, rows)
    agree("query", query.shape[0], "a row of rows", dim)
    agree("out", out.shape[0], "rows", n)
    with nogil:
        dense_dot_rows(&query[0], &rows[0, 0], n, dim, &out[0])


def cosine_rows(
    const f32[::1] query,       # IN
    const f32[:, ::1] rows,     # IN
    f32[::1] out,               # OUT
):
    """Write the cosine of the query with each row; 0 where either is zero."""
    cdef Py_ssize_t n = rows.shape[0], dim = rows.shape[1]
    check_buffers(1, out, query, rows)
    agree("query", query.shape[0], "a row of rows", dim)
    agree("out", out.shape[0], "rows", n)
    with nogil:
        dense_cosine_rows(&query[0], &rows[0, 0], n, dim, &out[0])


cdef inline void count_above_four(
    const f32 *scores, Py_ssize_t n, const f32 *limits, i64 *counts
) noexcept nogil:
    """Add how many scores are above each of four limits, all of which meet a score at once."""
    cdef:
        f32 a = limits[0], b = limits[1], c = limits[2], d = limits[3]
        i32 above_a = 0, above_b = 0, above_c = 0, above_d = 0
        Py_ssize_t i
    for i in range(n):
        above_a += scores[i] > a
        above_b += scores[i] > b
        above_c += scores[i] > c
        above_d += scores[i] > d
    counts[0] += above_a
    counts[1] += above_b
    counts[2] += above_c
    counts[3] += above_d


cdef void dense_count_above(
    const f32 *scores, Py_ssize_t n, const f32 *limits, Py_ssize_t m, i64 *counts
) noexcept nogil:
    cdef:
        Py_ssize_t start = 0, i, j, size
        f32[4] last
        i64[4] last_counts
    memset(counts, 0, m * sizeof(i64))
    for i in range(4):
        last[i] = limits[min(m // 4 * 4 + i, m - 1)]
    memset(last_counts, 0, sizeof(last_counts))
    while start < n:
        size = min(<Py_ssize_t>COUNTED, n - start)
        j = 0
        while j + 4 <= m:
            count_above_four(scores + start, size, limits + j, counts + j)
            j += 4
        if j < m:
            count_above_four(scores + start, size, last, last_counts)
        start += size
    for i in range(m % 4):
        counts[m - m % 4 + i] = last_counts[i]


cdef Py_ssize_t dense_rows_above(
    const f32 *scores, Py_ssize_t n, f32 least, i64 *rows, Py_ssize_t room
) noexcept nogil:
    """Write the first rows that there is room for; return how many there are."""
    cdef:
        Py_ssize_t i = 0, count = 0
        vf limit = set_all(least)
        u32 found
    while i < n:
        if i + 4 * LANES <= n and not any_above(scores + i, limit):
            i += 4 * LANES
            continue
        if i + LANES <= n:
            found = above(load(scores + i), limit)
        else:
            found = scores[i] > least
        while found:
            if count < room:
                rows[count] = i + first_one(found)
            count += 1
            found &= found - 1
        i += LANES if i + LANES <= n else 1
    return count


def count_above(
    const f32[::1] scores,  # IN
    const f32[::1] limits,  # IN
    i64[::1] counts,        # OUT
):
    """Write how many scores are above each limit; none is above NaN, and NaN is above none."""
    cdef Py_ssize_t n = scores.shape[0], m = limits.shape[0]
    check_buffers(1, counts, scores, limits)
    agree("counts", counts.shape[0], "limits", m)
    if m:
        with nogil:
            dense_count_above(&scores[0], n, &limits[0], m, &counts[0])


def rows_above(
    const f32[::1] scores,      # IN
    f32 least,
    i64[::1] rows,              # OUT
):
    """Write which scores are above `least`, ascending, and return how many.

    Only as many as `rows` holds are written; none is above NaN, and NaN is above none.
    """
    cdef Py_ssize_t count
    check_buffers(1, rows, scores)
    with nogil:
        count = dense_rows_above(
            &scores[0], scores.shape[0], least, &rows[0], rows.shape[0]
        )
    return count


def top_k(
    const f32[::1] scores,      # IN
    i64[::1] ids,               # OUT
    f32[::1] best,              # OUT
):
    """Write the highest scores, descending, and where they are; ties keep the lower index."""
    cdef Py_ssize_t i, n = scores.shape[0], k = ids.shape[0]
    check_buffers(2, ids, best, scores)
    agree("best", best.shape[0], "ids", k)
    if k > n:
        raise ValueError(f"ids holds {k}, scores holds {n}")
    with nogil:
        dense_top_k(&scores[0], n, k, &ids[0], <i32 *>&best[0])
        for i in range(k):
            best[i] = scores[ids[i]]


cdef int check_product(
    const f32[:, ::1] values, const f32[:, ::1] matrix, f32[:, ::1] out
) except -1:
    agree("a row of values", values.shape[1], "rotation", matrix.shape[0])
    agree("out", out.shape[0], "values", values.shape[0])
    return agree("a row of out", out.shape[1], "a row of rotation", matrix.shape[1])


def project(
    const f32[:, ::1] values,   # IN
    const f32[::1] mean,        # IN
    const f32[:, ::1] rotation,     # IN
    f32[:, ::1] out,            # OUT
):
    """Write (values - mean) @ rotation for each row."""
    cdef Py_ssize_t n = values.shape[0], dim = values.shape[1], columns = rotation.shape[1]
    check_buffers(1, out, values, mean, rotation)
    check_product(values, rotation, out)
    agree("mean", mean.shape[0], "a row of values", dim)
    with nogil:
        product_rows(
            &values[0, 0], &mean[0], n, dim, &rotation[0, 0], columns, NULL, &out[0, 0]
        )


def back_project(
    const f32[:, ::1] values,   # IN
    const f32[:, ::1] rotation_t,   # IN
    const f32[::1] mean,        # IN
    f32[:, ::1] out,            # OUT
):
    """Write values @ rotation_t + mean for each row."""
    cdef Py_ssize_t n = values.shape[0], width = values.shape[1], columns = rotation_t.shape[1]
    check_buffers(1, out, values, rotation_t, mean)
    check_product(values, rotation_t, out)
    agree("mean", mean.shape[0], "a row of out", columns)
    with nogil:
        product_rows(
            &values[0, 0], NULL, n, width, &rotation_t[0, 0], columns, &mean[0], &out[0, 0]
        )


def turn_rows(
    const f32[:, ::1] values,   # IN
    f32[:, ::1] out,            # OUT, may be values
    bint back=False,
):
    """Write Hadamard's transform of each row, over its size; `back` undoes it.

    A row is cut into blocks of the largest power of two that divides its length.
    """
    cdef Py_ssize_t i, n = values.shape[0], dim = values.shape[1]
    check_buffers(0 if &out[0, 0] == &values[0, 0] else 1, out, values)
    agree("out", out.shape[0], "values", n)
    agree("a row of out", out.shape[1], "a row of values", dim)
    if dim:
        with nogil:
            for i in range(n):
                turn(&values[i, 0], dim, back, &out[i, 0])
