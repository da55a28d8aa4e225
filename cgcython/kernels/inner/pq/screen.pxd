"""Rules centroids out by whole-number scores, for how far off these can be is known."""
from libc.math cimport INFINITY, fabsf, lrintf, sqrtf
from cgcython.kernels.inner.pq.codebook_layout cimport BOUNDS, KSUB, pairs_of
from cgcython.kernels.inner.pq.codebook cimport PQCodebook
from cgcython.kernels.inner.pq.rotation cimport TILE, UNIT
from cgcython.kernels.inner.simd.compiler cimport first_one, ones
from cgcython.kernels.inner.simd.vector cimport (
    LANES, load, lowest, min_f, set16, set_all, sum16, v16, vf,
)
from cgcython.kernels.inner.types cimport f32, i8, i16, i32, u64

cdef extern from "inner/pq/screen.h" nogil:
    ctypedef struct Query "cg_pq_query":
        f32 inverse
        i32 guard
        f32 slack
    void store_steps "cg_pq_store_steps"(i16 *steps, vf away)
    void screen_rows "cg_pq_screen_rows"(
        const i16 *steps, Py_ssize_t stride, const Query *queries, const i8 *codes,
        const f32 *scales, const f32 *half_norms, Py_ssize_t pairs, f32 *lows, f32 *limits,
    )
    void screen_row "cg_pq_screen_row"(
        const i16 *steps, const Query *query, const i8 *codes, const f32 *scales,
        const f32 *half_norms, Py_ssize_t pairs, f32 *lows, f32 *limit,
    )
    u64 at_most64 "cg_pq_at_most64"(const f32 *scores, f32 limit)

cdef extern from *:
    """
    static const float cg_pq_tiny = 1e-30f, cg_pq_huge = 1e30f, cg_pq_finest = 1e14f;
    static const float cg_pq_most_guard = 1 << 25;
    """
    const f32 TINY "cg_pq_tiny"  # above all that scores and distances lose to underflow
    const f32 HUGE "cg_pq_huge"  # bounds from here on may have overflowed
    const f32 FINEST "cg_pq_finest"  # steps in 1, so few that where squares underflow none is left
    const f32 MOST_GUARD "cg_pq_most_guard"

cdef enum:
    WORDS = KSUB // 64


cdef inline f32 peak_away(
    const f32 *x, const f32 *centre, Py_ssize_t n, f32 *squares
) noexcept nogil:
    """Return max|x - centre| and set the sum of the squares."""
    cdef:
        Py_ssize_t i = 0
        v16 total = set16(0)
        vf away, least = set_all(0)
        f32 one, peak
    while i + LANES <= n:
        away = load(x + i) - load(centre + i)
        total.v0 += away * away
        least = min_f(min_f(away, -away), least)
        i += LANES
    peak, squares[0] = -lowest(least), sum16(total)
    while i < n:
        one = x[i] - centre[i]
        peak = max(peak, fabsf(one))
        squares[0] += one * one
        i += 1
    return peak


cdef inline void write_steps(
    const f32 *x, const f32 *centre, Py_ssize_t n, f32 inverse, i16 *steps
) noexcept nogil:
    """Write (x - centre) * inverse, rounded; a zero behind an odd number of them."""
    cdef Py_ssize_t i = 0
    while i + LANES <= n:
        store_steps(steps + i, (load(x + i) - load(centre + i)) * inverse)
        i += LANES
    while i < n:
        steps[i] = <i16>lrintf((x[i] - centre[i]) * inverse)
        i += 1
    if n % 2:
        steps[n] = 0


cdef inline void ask(
    const PQCodebook *book, Py_ssize_t m, const f32 *subvector, f32 error, Query *query, i16 *steps
) noexcept nogil:
    """Write a subvector in whole steps, and how far the scores of these can be from the true ones.

    With x the subvector from the centre, s the steps, c a centroid and c' its rounded form,
    x.c - s.c' is at most |x| |c - c'| + |x - s| |c'|; each value of s is within 0.51 steps of
    that of x.
    """
    cdef:
        const f32 *centre = book.centres + m * book.dsub
        const f32 *bounds = book.bounds + m * BOUNDS
        f32 squares, length, guard, rounding = book.rounding
        f32 peak = peak_away(subvector, centre, book.dsub, &squares)
    query.inverse = min(FINEST, book.most_steps / peak)
    length = <f32>1.0001 * sqrtf(squares) * query.inverse
    guard = length * bounds[0] + (rounding + error * query.inverse) * bounds[1]
    guard = <f32>1.0001 * guard + 2
    query.guard, query.slack = 0, INFINITY
    if squares < HUGE and guard < MOST_GUARD:
        query.guard = <i32>guard
        query.slack = 32 * UNIT * (
            bounds[2] * query.inverse + ((length + rounding) * bounds[1] + guard) * bounds[3]
        ) + TINY
    write_steps(subvector, centre, book.dsub, query.inverse if query.guard else 0, steps)


cdef inline void screen(
    const PQCodebook *book, Py_ssize_t m, Py_ssize_t n, const i16 *steps, const Query *queries,
    f32 *lows, f32 *limits
) noexcept nogil:
    """Write the least that scores |c|**2 / 2 - x . c of centroids can be, for up to TILE rows.

    `limits` are the most that the least score of a row can be.
    """
    cdef:
        Py_ssize_t v, pairs = pairs_of(book.dsub)
        const i8 *codes = book.codes + m * KSUB * 2 * pairs
        const f32 *scales = book.scales + m * KSUB
        const f32 *half_norms = book.half_norms + m * KSUB
    if n == TILE:
        screen_rows(steps, 2 * pairs, queries, codes, scales, half_norms, pairs, lows, limits)
    else:
        for v in range(n):
            screen_row(
                steps + v * 2 * pairs, queries + v, codes, scales, half_norms, pairs,
                lows + v * KSUB, limits + v,
            )
    for v in range(n):
        limits[v] += queries[v].slack


cdef inline int passing(const f32 *lows, f32 limit, u64 *masks) noexcept nogil:
    """Set a bit for each score of at most limit; return the only such centroid, or -1."""
    cdef int word, count = 0, found = 0
    for word in range(WORDS):
        masks[word] = at_most64(lows + 64 * word, limit)
        count += ones(masks[word])
        if masks[word]:
            found = 64 * word + first_one(masks[word])
    return found if count == 1 else -1
