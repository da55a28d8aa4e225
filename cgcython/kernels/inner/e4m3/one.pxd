"""The best rows for one query, by estimates in bfloat16 where the level multiplies it."""
from libc.math cimport INFINITY, fabs, sqrt
from libc.stdint cimport uint16_t as u16
from libc.string cimport memcpy, memset
from cgcython.kernels.inner.e4m3.query cimport (
    TOGETHER, WIDEST, Query, Rows, add_all, bar_of, lay_query, length_of, rounding_of,
)
from cgcython.kernels.inner.found cimport Found, drop_worst
from cgcython.kernels.inner.simd.compiler cimport fetch_second
from cgcython.kernels.inner.types cimport f32, f64, u8, u64
from cgcython.kernels.inner.simd.vector cimport (
    SLACK, aligned, half, load_c, load_part_c, set_all, store4, sum_lanes, sums4, vc, vf, wide,
)

cdef extern from "inner/e4m3/best.h" nogil:
    enum:
        ESTIMATES_ROWS "CG_ESTIMATES_ROWS"
    const f64 ESTIMATE_UP "CG_ESTIMATE_UP"
    const f64 LOST_BY_HALVES "CG_LOST_BY_HALVES"
    const f32 HALVES_UP "CG_HALVES_UP"
    void estimate_codes "cg_estimate_codes"(const u16 *query, vc codes, vf *even, vf *odd)

cdef enum:
    ROOM = WIDEST + SLACK
    HALF_ROOM = WIDEST // 2 + SLACK
    CODES = 64
    BYTES_AHEAD = 8192    # bytes


cdef inline void lay_halves(
    const f32 *x, f64 factor, Py_ssize_t n, u16 *place, f64 *squares, f64 *lost
) noexcept nogil:
    """Write x times a factor as CODES codes meet it: even dimensions of each, then odd ones.

    Adds the squares of what is written, and of what is lost.
    """
    cdef:
        u16 bits
        f64 value, kept
        Py_ssize_t k
    for k in range((n + CODES - 1) // CODES * CODES):
        value = x[k] * factor if k < n else 0
        bits = half(<f32>value * HALVES_UP)
        if bits & 0x7F80 == 0:
            bits = 0
        place[k // CODES * CODES + k % 2 * (CODES // 2) + k % CODES // 2] = bits
        kept = wide(bits) / <f64>HALVES_UP
        squares[0] += kept * kept
        lost[0] += (value - kept) * (value - kept)


cdef inline vf estimate_row(const u16 *query, const u8 *codes, Py_ssize_t dim) noexcept nogil:
    """Return sums whose sum is the product of a laid-out query with a row, by ESTIMATE_UP.

    Row by row, and into the second cache: the processor itself foresees one stream best.
    """
    cdef:
        vf even = set_all(0), odd = set_all(0)
        Py_ssize_t k = 0
    while k + CODES <= dim:
        fetch_second(codes + k + BYTES_AHEAD)
        estimate_codes(query + k, load_c(codes + k), &even, &odd)
        k += CODES
    if k < dim:
        estimate_codes(query + k, load_part_c(codes + k, dim - k), &even, &odd)
    return even + odd


cdef inline void estimate_rows(
    const u16 *query, const u8 *codes, Py_ssize_t dim, Py_ssize_t count, f32 *out
) noexcept nogil:
    """Write the products of a laid-out query with each row, divided by ESTIMATE_UP."""
    cdef:
        vf a, b, c, d
        Py_ssize_t i = 0
    while i + 4 <= count:
        a = estimate_row(query, codes, dim)
        b = estimate_row(query, codes + dim, dim)
        c = estimate_row(query, codes + 2 * dim, dim)
        d = estimate_row(query, codes + 3 * dim, dim)
        store4(out + i, sums4(a, b, c, d))
        codes += 4 * dim
        i += 4
    while i < count:
        out[i] = sum_lanes(estimate_row(query, codes, dim))
        codes += dim
        i += 1


cdef inline void mark_possible(
    const Query *q, const Rows *rows, Py_ssize_t first, Py_ssize_t count, const f32 *estimates,
    f64 bar, u8 *possible,
) noexcept nogil:
    """Write whether the score of each of some rows may reach the bar; NaN may."""
    cdef:
        f64 up = q.up / 256, off = rounding_of(rows.dim) * q.length + q.lost, factor, most
        f64 blur = LOST_BY_HALVES * sqrt(<f64>rows.dim) * q.kept
        Py_ssize_t i
    if rows.cosine:
        for i in range(count):
            factor = rows.factors[first + i]
            most = up * (ESTIMATE_UP * estimates[i] * factor + (blur * factor + off))
            possible[i] = not most < bar
    else:
        for i in range(count):
            factor = rows.factors[first + i]
            most = up * (
                ESTIMATE_UP * estimates[i] * factor
                + (blur + off * length_of(rows.inverse_norms[first + i])) * fabs(factor)
            )
            possible[i] = not most < bar


cdef inline bint add_estimated(
    const Query *q, const u16 *halves, const Rows *rows, Py_ssize_t first, Py_ssize_t count,
    Found *found,
) noexcept nogil:
    """The same, but score no row that its estimate excludes."""
    cdef:
        f32[TOGETHER] estimates
        u8[TOGETHER] possible
        u64 eight
        Py_ssize_t i, j
    estimate_rows(halves, rows.codes + first * rows.dim, rows.dim, count, estimates)
    memset(possible, 0, TOGETHER)
    mark_possible(q, rows, first, count, estimates, bar_of(found), possible)
    for i in range(0, count, 8):
        memcpy(&eight, possible + i, 8)
        if eight:
            for j in range(i, i + 8):
                if possible[j] and not add_all(q, rows, first + j, 1, found):
                    return False
    return True


cdef inline bint is_possible(
    const Query *q, const u16 *halves, const Rows *rows, Py_ssize_t row, const Found *found
) noexcept nogil:
    """Return whether one row may be among the best, as far as its estimate tells."""
    cdef:
        f32 estimate
        u8 possible
    estimate_rows(halves, rows.codes + row * rows.dim, rows.dim, 1, &estimate)
    mark_possible(q, rows, row, 1, &estimate, bar_of(found), &possible)
    return possible


cdef inline void lay_estimate(
    const f32 *query, f64 down, Py_ssize_t dim, u16 *halves, Query *q
) noexcept nogil:
    """Lay a query out for estimates of rows, and set what these keep and lose of it."""
    cdef f64 kept = 0, lost = 0
    lay_halves(query, down, dim, halves, &kept, &lost)
    q.kept, q.lost = sqrt(kept), sqrt(lost)


cdef inline bint best_of(const f32 *query, const Rows *rows, Found *found) noexcept nogil:
    """Find the best rows of up to WIDEST dimensions; return False where there is no room."""
    cdef:
        f32[ROOM] room
        f32[HALF_ROOM] half_room
        u16 *halves = <u16 *>aligned(half_room)
        Query q
        f64 down = lay_query(query, rows.dim, rows.cosine, aligned(room), &q)
        Py_ssize_t first = 0, count
    if ESTIMATES_ROWS:
        lay_estimate(query, down, rows.dim, halves, &q)
    while first < rows.count:
        count = min(<Py_ssize_t>TOGETHER, rows.count - first)
        if ESTIMATES_ROWS and found.least > -INFINITY:
            if not add_estimated(&q, halves, rows, first, count, found):
                return False
        elif not add_all(&q, rows, first, count, found):
            return False
        first += count
    drop_worst(found)
    return True
