"""The best rows of E4M3 codes for one query or many, with the scores that a scan of all gives.

An estimate with a proven bound of its error says which rows cannot be among the best; the others
are scored (see _e4m3_query.pxd). One query is estimated where the level multiplies bfloat16, and
then reads codes as fast as memory gives them; many queries meet tiles of codes, decoded once.
"""
from libc.float cimport FLT_MAX
from libc.math cimport INFINITY, NAN, fabs, sqrt
from libc.stdint cimport int32_t as i32, uint16_t as u16
from libc.string cimport memcpy, memset
from cgcython.kernels._door cimport agree, check_buffers
from cgcython.kernels._e4m3_query cimport (
    PLACES, WIDEST, Query, Rows, lay_query, length_of, pack_whole, rounding_of, score_rows,
)
from cgcython.kernels._found cimport Found, add_found, begin_found, drop_worst
from cgcython.kernels._integer_tiles cimport CODES_TILE, DIMS, LANES, LINE, i8
from cgcython.kernels._types cimport f32, f64, i64, u8, u32, u64
from cgcython.kernels._vector cimport SLACK, aligned

cdef extern from "_e4m3_best.h" nogil:
    enum:
        ESTIMATES_ROWS "CG_ESTIMATES_ROWS"
        CHUNK "CG_CODES_CHUNK"
    const f64 ESTIMATE_UP "CG_ESTIMATE_UP"
    const f64 LOST_BY_HALVES "CG_LOST_BY_HALVES"
    const f64 WHOLE_STEP "CG_WHOLE_STEP"
    void lay_halves "cg_lay_halves"(
        const f32 *x, f64 factor, Py_ssize_t n, u16 *place, f64 *squares, f64 *lost
    )
    void estimate_rows "cg_estimate_rows"(
        const u16 *query, const u8 *codes, Py_ssize_t dim, Py_ssize_t count, f32 *out
    )
    void whole_numbers "cg_whole_numbers"(const u8 *codes, u8 *row)
    ctypedef struct Block "cg_block":
        const i8 *numbers
        Py_ssize_t groups
        int lanes
        const i32 *bias
        const f32 *slopes
        const f32 *blurs
        const f32 *reach
        const f32 *least
    void screen_tile "cg_screen_tile"(
        Py_ssize_t n, const Block *block, const u8 *rows, const f32 *factors, const f32 *lengths,
        u32 *passed,
    )
    int lowest_one "__builtin_ctz"(u32 bits)
    void prefetch "__builtin_prefetch"(const void *p)

cdef enum:
    TOGETHER = 256      # rows that are estimated, or scored, before any is looked at
    MOST_BLOCKS = 8     # of 32 queries each
    ROOM = WIDEST + SLACK
    HALF_ROOM = WIDEST // 2 + SLACK


# One query.

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


cdef inline bint add_all(
    const Query *q, const Rows *rows, Py_ssize_t first, Py_ssize_t count, Found *found
) noexcept nogil:
    """Score some rows and add those that may be among the best; return False without room."""
    cdef:
        f64[TOGETHER] products
        f32[TOGETHER] scores
        Py_ssize_t i
    score_rows(q, rows, first, count, products, scores)
    for i in range(count):
        if scores[i] >= found.least and not add_found(found, first + i, scores[i]):
            return False
    return True


cdef inline f64 bar_of(const Found *found) noexcept nogil:
    """Return what a row must possibly reach: scores beyond float32 are infinite, and equal."""
    return min(found.least, <f64>FLT_MAX) - 2.0**-140


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


cdef bint best_of(const f32 *query, const Rows *rows, Found *found) noexcept nogil:
    """Find the best rows of up to WIDEST dimensions; return False where there is no room."""
    cdef:
        f32[ROOM] room
        f32[HALF_ROOM] half_room
        u16 *halves = <u16 *>aligned(half_room)
        Query q
        f64 kept = 0, lost = 0, down = lay_query(query, rows.dim, rows.cosine, aligned(room), &q)
        Py_ssize_t first = 0, count
    if ESTIMATES_ROWS:
        lay_halves(query, down, rows.dim, halves, &kept, &lost)
        q.kept, q.lost = sqrt(kept), sqrt(lost)
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


cdef Py_ssize_t e4m3_best_best(
    const f32 *query, const u8 *codes, const f32 *inverse_norms, const f32 *scales,
    Py_ssize_t n, Py_ssize_t dim, Py_ssize_t k, f64 within, i64 *best_rows, f32 *scores,
    Py_ssize_t room,
) noexcept nogil:
    cdef:
        Rows rows
        Found found
    rows.codes, rows.inverse_norms, rows.count, rows.dim = codes, inverse_norms, n, dim
    rows.cosine = scales is NULL
    rows.factors = inverse_norms if rows.cosine else scales
    begin_found(&found, best_rows, scores, room, k, within)
    return found.held if best_of(query, &rows, &found) else -1


cdef int check_rows(
    Py_ssize_t dim, const u8[:, ::1] codes, const f32[::1] inverse_norms, const f32[::1] scales
) except -1:
    agree("a row of codes", codes.shape[1], "query", dim)
    agree("inverse_norms", inverse_norms.shape[0], "codes", codes.shape[0])
    if scales is not None:
        agree("scales", scales.shape[0], "codes", codes.shape[0])
    if dim > WIDEST:
        raise ValueError(f"query holds {dim}, expected up to {WIDEST}")
    return 0


def best(
    const f32[::1] query,           # IN
    const u8[:, ::1] codes,         # IN
    const f32[::1] inverse_norms,   # IN: of the codes
    const f32[::1] scales,          # IN, or None
    Py_ssize_t k,
    double within,
    i64[::1] rows,                  # OUT
    f32[::1] scores,                # OUT
):
    """Write the k best rows and all within some distance of the k-th score, and their scores.

    Scores are what dot_rows writes, or cosine_rows where scales are None; rows ascend. Rows that
    score NaN or -inf are left out. Returns how many were written, or -1 where `rows` is too short.
    """
    cdef Py_ssize_t held
    check_buffers(2, rows, scores, query, codes, inverse_norms)
    if scales is not None:
        check_buffers(0, scales)
        check_buffers(1, rows, scales)
        check_buffers(1, scores, scales)
    check_rows(query.shape[0], codes, inverse_norms, scales)
    agree("scores", scores.shape[0], "rows", rows.shape[0])
    if k < 1:
        raise ValueError(f"k is {k}, expected 1 or more")
    with nogil:
        held = e4m3_best_best(
            &query[0], &codes[0, 0], &inverse_norms[0], NULL if scales is None else &scales[0],
            codes.shape[0], codes.shape[1], k, within, &rows[0], &scores[0], rows.shape[0],
        )
    return held
