"""The best rows of E4M3 codes for one query or many, with the scores that a scan of all gives.

An estimate with a proven bound of its error says which rows cannot be among the best; the others
are scored (see inner/e4m3/query.pxd). One query is estimated where the level multiplies bfloat16,
and then reads codes as fast as memory gives them; many queries meet tiles of codes, decoded once.
"""
from libc.stdint cimport uint16_t as u16
from libc.string cimport memset
from cgcython.kernels.inner.door cimport agree, check_buffers
from cgcython.kernels.inner.e4m3.many cimport MEASURES, MOST, Many, begin_many, screen_all
from cgcython.kernels.inner.e4m3.one cimport ESTIMATES_ROWS, best_of, lay_estimate
from cgcython.kernels.inner.e4m3.query cimport (
    PLACES, WIDEST, Query, Rows, lay_query, pack_whole, set_rows,
)
from cgcython.kernels.inner.found cimport Found, begin_found, drop_worst
from cgcython.kernels.inner.integers.tiles cimport TOKEN_LANES, LINE, i8
from cgcython.kernels.inner.types cimport f32, f64, i64, u8


cdef Py_ssize_t e4m3_best_best(
    const f32 *query, const u8 *codes, const f32 *inverse_norms, const f32 *scales,
    Py_ssize_t n, Py_ssize_t dim, Py_ssize_t k, f64 within, f64 least, i64 *best_rows, f32 *scores,
    Py_ssize_t room,
) noexcept nogil:
    cdef:
        Rows rows
        Found found
    set_rows(codes, inverse_norms, scales, n, dim, &rows)
    begin_found(&found, best_rows, scores, room, k, within, least)
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
    double least,
    i64[::1] rows,                  # OUT
    f32[::1] scores,                # OUT
):
    """Write the k best rows and all within some distance of the k-th score, and their scores.

    Of these only the rows that score `least` or more, where that much is known. Scores are what
    dot_rows writes, or cosine_rows where scales are None; rows ascend. Rows that score NaN or -inf
    are left out. Returns how many were written, or -1 where `rows` is too short.
    """
    cdef Py_ssize_t held
    check_buffers(2, rows, scores, query, codes, inverse_norms)
    if scales is not None:
        check_buffers(2, rows, scores, scales)
    check_rows(query.shape[0], codes, inverse_norms, scales)
    agree("scores", scores.shape[0], "rows", rows.shape[0])
    if k < 1:
        raise ValueError(f"k is {k}, expected 1 or more")
    with nogil:
        held = e4m3_best_best(
            &query[0], &codes[0, 0], &inverse_norms[0], NULL if scales is None else &scales[0],
            codes.shape[0], codes.shape[1], k, within, least, &rows[0], &scores[0], rows.shape[0],
        )
    return held


def pack(
    const f32[:, ::1] queries,  # IN
    bint cosine,
    f32[:, ::1] laid,           # OUT
    u16[:, ::1] halves,         # OUT
    i8[:, :, ::1] numbers,      # OUT
    f64[:, ::1] measures,       # OUT
):
    """Prepare queries [n, dim] for `best_many`, to be scored by cosines or by dot products.

    `laid` and `halves` are [n, dim in multiples of 64], `numbers` are
    [ceil(n / 32), ceil(dim / 4), 128] and `measures` [n, 8].
    """
    cdef:
        Query q
        Py_ssize_t i, n = queries.shape[0], dim = queries.shape[1]
        f64 down
    check_buffers(4, laid, halves, numbers, measures, queries)
    check_packed(n, dim, laid, halves, numbers, measures)
    if n == 0:
        return
    with nogil:
        memset(&numbers[0, 0, 0], 0, numbers.shape[0] * numbers.shape[1] * LINE)
        for i in range(n):
            down = lay_query(&queries[i, 0], dim, cosine, &laid[i, 0], &q)
            pack_whole(
                &queries[i, 0], down, dim, &numbers[i // TOKEN_LANES, 0, 4 * (i % TOKEN_LANES)], &q,
                &measures[i, 4], &measures[i, 5],
            )
            measures[i, 0], measures[i, 1] = q.up, q.length
            measures[i, 2], measures[i, 3] = q.kept, q.lost
            if ESTIMATES_ROWS:
                lay_estimate(&queries[i, 0], down, dim, &halves[i, 0], &q)
            measures[i, 6], measures[i, 7] = q.kept, q.lost


cdef int check_packed(
    Py_ssize_t n, Py_ssize_t dim, const f32[:, ::1] laid, const u16[:, ::1] halves,
    const i8[:, :, ::1] numbers, const f64[:, ::1] measures,
) except -1:
    agree("laid", laid.shape[0], "queries", n)
    agree("a row of laid", laid.shape[1], "a query", (dim + PLACES - 1) // PLACES * PLACES)
    agree("halves", halves.shape[0], "queries", n)
    agree("a row of halves", halves.shape[1], "a row of laid", laid.shape[1])
    agree("numbers", numbers.shape[0], "queries in blocks", (n + TOKEN_LANES - 1) // TOKEN_LANES)
    agree("a block of numbers", numbers.shape[1], "a query in fours", (dim + 3) // 4)
    agree("a line of numbers", numbers.shape[2], "the lanes", LINE)
    agree("measures", measures.shape[0], "queries", n)
    agree("a row of measures", measures.shape[1], "what is measured", MEASURES)
    return 0


def best_many(
    const f32[:, ::1] laid,         # IN
    const u16[:, ::1] halves,       # IN
    const i8[:, :, ::1] numbers,    # IN
    const f64[:, ::1] measures,     # IN
    const u8[:, ::1] codes,         # IN
    const f32[::1] inverse_norms,   # IN: of the codes
    const f32[::1] scales,          # IN, or None
    Py_ssize_t k,
    double within,
    f64[::1] least,                 # INOUT
    i64[:, ::1] rows,               # OUT
    f32[:, ::1] scores,             # OUT
    i64[::1] held,                  # OUT
):
    """Write what `best` writes for each of up to 256 queries that `pack` prepared.

    `held` says how many each has, or -1 where a row of `rows` is too short; `least` is raised to
    what the best of more rows must reach.
    """
    cdef:
        Rows every
        Many many
        Py_ssize_t i, n = laid.shape[0], dim = codes.shape[1]
    check_buffers(
        4, rows, scores, held, least, laid, halves, numbers, measures, codes, inverse_norms
    )
    if scales is not None:
        check_buffers(4, rows, scores, held, least, scales)
    check_rows(dim, codes, inverse_norms, scales)
    check_packed(n, dim, laid, halves, numbers, measures)
    agree("rows", rows.shape[0], "queries", n)
    agree("scores", scores.shape[0], "queries", n)
    agree("a row of scores", scores.shape[1], "a row of rows", rows.shape[1])
    agree("held", held.shape[0], "queries", n)
    agree("least", least.shape[0], "queries", n)
    if k < 1:
        raise ValueError(f"k is {k}, expected 1 or more")
    if n > MOST:
        raise ValueError(f"laid holds {n} queries, expected up to {MOST}")
    if n == 0:
        return
    with nogil:
        set_rows(&codes[0, 0], &inverse_norms[0], NULL if scales is None else &scales[0],
                 codes.shape[0], dim, &every)
        begin_many(
            &laid[0, 0], &halves[0, 0], laid.shape[1], &numbers[0, 0, 0], &measures[0, 0], n,
            &every, &many,
        )
        for i in range(n):
            begin_found(
                &many.found[i], &rows[i, 0], &scores[i, 0], rows.shape[1], k, within, least[i]
            )
        screen_all(&many, &every)
        for i in range(n):
            drop_worst(&many.found[i])
            held[i] = -1 if many.full[i] else many.found[i].held
            least[i] = many.found[i].least
