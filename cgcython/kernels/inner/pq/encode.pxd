"""Finds the nearest centroid of each subvector in three steps that never lose it.

Whole-number scores from 8-bit centroids rule most out, for how far off they can be is known.
Float32 distances decide among the rest, and float64 where those are too close: it defines the
codes.
"""
from libc.math cimport INFINITY, isfinite, sqrt, sqrtf
from libc.string cimport memset
from cgcython.kernels.inner.simd.compiler cimport first_one
from cgcython.kernels.inner.pq.codebook_layout cimport BOUNDS, KSUB, MAX_DSUB, padded, pairs_of
from cgcython.kernels.inner.pq.codebook cimport PQCodebook
from cgcython.kernels.inner.pq.rotation cimport BLOCK, TILE, UNIT, project, square_sum
from cgcython.kernels.inner.types cimport f32, i8, i16, i32, u8, u64

cdef extern from "inner/pq/tile.h" nogil:
    f32 distance_of "cg_pq_distance"(const f32 *x, const f32 *y, Py_ssize_t n)
    double rounded "cg_rounded"(double product)
    void add_scaled "cg_add_scaled"(double factor, const f32 *row, double *sums, Py_ssize_t n)

cdef extern from "inner/pq/screen.h" nogil:
    ctypedef struct Query "cg_pq_query":
        f32 inverse
        i32 guard
        f32 slack
    f32 peak_of "cg_pq_peak"(const f32 *x, const f32 *centre, Py_ssize_t n, f32 *squares)
    void write_steps "cg_pq_steps"(
        const f32 *x, const f32 *centre, Py_ssize_t n, f32 inverse, i16 *steps
    )
    void screen "cg_pq_screen"(
        int vectors, const i16 *steps, Py_ssize_t stride, const Query *queries, const i8 *codes,
        const f32 *scales, const f32 *half_norms, Py_ssize_t pairs, f32 *lows, f32 *limits,
    )
    int passing "cg_pq_passing"(const f32 *scores, f32 limit, u64 *masks)

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
        f32 peak = peak_of(subvector, centre, book.dsub, &squares)
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


cdef inline void encode_subvector(
    const PQCodebook *book, Py_ssize_t m, Py_ssize_t n, const f32 *values, const f32 *subvectors,
    Py_ssize_t stride, const f32 *errors, u8 *codes
) noexcept nogil:
    """Write code m of up to TILE rows."""
    cdef:
        f32[TILE][KSUB] lows
        f32[TILE] limits
        Query[TILE] queries
        i16[TILE * MAX_DSUB] steps
        u64[WORDS] masks
        Py_ssize_t v, pairs = pairs_of(book.dsub)
        int code
        const f32 *subvector = subvectors + m * book.dsub
    for v in range(n):
        ask(book, m, subvector + v * stride, errors[v], &queries[v], steps + v * 2 * pairs)
    screen(
        <int>n, steps, 2 * pairs, queries, book.codes + m * KSUB * 2 * pairs,
        book.scales + m * KSUB, book.half_norms + m * KSUB, pairs, &lows[0][0], limits,
    )
    for v in range(n):
        code = -1
        if limits[v] < HUGE:
            code = passing(lows[v], limits[v], masks)
        else:
            memset(masks, 0xFF, sizeof(masks))
        if code < 0:
            code = nearest(book, m, values + v * book.dim, subvector + v * stride, errors[v], masks)
        codes[v * book.M + m] = <u8>code


cdef inline int nearest(
    const PQCodebook *book, Py_ssize_t m, const f32 *x, const f32 *subvector, f32 error, u64 *masks
) noexcept nogil:
    """Return the nearest of some centroids by float32 distances, or float64 where it is close."""
    cdef:
        f32[KSUB] distances
        f32 least = INFINITY, relative = (book.dsub // 16 + 12) * UNIT
        double reach, limit
        int word, i, count = 0, best = 0
        u64 left
    for word in range(WORDS):
        left = masks[word]
        while left:
            i = 64 * word + first_one(left)
            left &= left - 1
            distances[i] = distance_of(
                subvector, book.centroids + (m * KSUB + i) * book.dsub, book.dsub
            )
            if distances[i] < least:
                least = distances[i]
    reach = sqrt(<double>least) * (1 + relative) + 2 * error
    limit = reach * reach * (1 + 4 * relative) + TINY
    if not limit < HUGE:
        return decide(book, m, x, subvector, masks)
    for word in range(WORDS):
        left = masks[word]
        while left:
            i = 64 * word + first_one(left)
            left &= left - 1
            if distances[i] <= limit:
                best = i
                count += 1
            else:
                masks[word] ^= <u64>1 << (i - 64 * word)
    return best if count == 1 else decide(book, m, x, subvector, masks)


cdef inline int decide(
    const PQCodebook *book, Py_ssize_t m, const f32 *x, const f32 *subvector, const u64 *masks
) noexcept nogil:
    """Return the nearest of some centroids by the float64 distance, the lowest on ties."""
    cdef:
        double[MAX_DSUB] exact
        double distance, difference, least = -1
        Py_ssize_t i, k
        int best = 0
        const f32 *centroid
    exact_subvector(book, m, x, subvector, exact)
    for i in range(KSUB):
        if not masks[i // 64] >> (i % 64) & 1:
            continue
        centroid = book.centroids + (m * KSUB + i) * book.dsub
        distance = 0
        for k in range(book.dsub):
            difference = exact[k] - <double>centroid[k]
            distance += rounded(difference * difference)
        if least < 0 or distance < least:
            least, best = distance, <int>i
    return best


cdef inline void exact_subvector(
    const PQCodebook *book, Py_ssize_t m, const f32 *x, const f32 *subvector, double *exact
) noexcept nogil:
    """Write a subvector in float64, projected again where there is a rotation."""
    cdef Py_ssize_t i, k
    if book.mean == NULL:
        for k in range(book.dsub):
            exact[k] = subvector[k]
        return
    memset(exact, 0, book.dsub * sizeof(double))
    for i in range(book.dim):
        add_scaled(
            <double>x[i] - <double>book.mean[i],
            book.rotation + i * book.d_out + m * book.dsub, exact, book.dsub,
        )


cdef inline void encode_block(
    const PQCodebook *book, const f32 *values, Py_ssize_t n, u8 *codes, f32 *scratch
) noexcept nogil:
    """Write the codes of up to BLOCK finite rows."""
    cdef:
        f32[BLOCK] errors
        const f32 *subvectors = values
        Py_ssize_t stride = book.dim, m, v
    memset(errors, 0, sizeof(errors))
    if book.mean != NULL:
        project(book, values, n, scratch, errors)
        subvectors, stride = scratch, padded(book.d_out)
    for m in range(book.M):
        v = 0
        while v < n:
            encode_subvector(
                book, m, min(<Py_ssize_t>TILE, n - v), values + v * book.dim,
                subvectors + v * stride, stride, errors + v, codes + v * book.M,
            )
            v += TILE


cdef inline Py_ssize_t first_nonfinite(const f32 *values, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    # The squares of finite values may overflow, those of others never give a finite sum.
    if isfinite(square_sum(values, n)):
        return -1
    for i in range(n):
        if not isfinite(values[i]):
            return i
    return -1


cdef inline Py_ssize_t encode_all(
    const PQCodebook *book, const f32 *values, Py_ssize_t n, u8 *codes, f32 *scratch
) noexcept nogil:
    """Write the codes of rows; return where the first non-finite value is, or -1."""
    cdef Py_ssize_t start = 0, size, bad
    while start < n:
        size = min(<Py_ssize_t>BLOCK, n - start)
        bad = first_nonfinite(values + start * book.dim, size * book.dim)
        if bad >= 0:
            return start * book.dim + bad
        encode_block(
            book, values + start * book.dim, size, codes + start * book.M, scratch
        )
        start += BLOCK
    return -1
