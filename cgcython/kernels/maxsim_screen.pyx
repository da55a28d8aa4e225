"""Late interaction with the results of `maxsim`, bit for bit, from a few of its dots.

A side copy holds each token d, times its inverse norm, as d~ = step * int8 codes and the radius
r = |d - d~|, rounded up: dim + 8 bytes a token. The query's unit tokens q are rounded likewise to
q~. By Cauchy-Schwarz

    |q.d - q~.d~| = |(q - q~).d~ + q.(d - d~)| <= |q - q~| (|d| + r) + |q| r,

and MaxSim's own float32 value is within (dim + 2) 2**-24 |q| |d| of q.d. So every cosine is known
up to alpha + beta * r (alpha and beta of the query token) from an exact dot of whole numbers. A
token that cannot reach the highest certain cosine is not the best. The others get a dot in float32
in any order, and those within rounding of the highest of these get MaxSim's own: sums in the order
of the dimensions. The best of them is MaxSim's, ties at the lowest index included.

When too many tokens remain, MaxSim takes the document, and soon the next ones without a screen; on
the levels v3 and v4, where whole numbers are no faster, it takes all that are scored.
"""
from libc.math cimport fabs
from libc.string cimport memset
cimport numpy as np
from cgcython.kernels._document_door cimport check_documents
from cgcython.kernels._door cimport agree
from cgcython.kernels._integer_query cimport WIDEST
from cgcython.kernels._integer_tiles cimport LANES, LINE, groups_of, i8
from cgcython.kernels._screen_query cimport EXTRA, ScreenQuery, block_of, quantise, screen_pack
from cgcython.kernels._screen_tiles cimport (
    CHUNK, FEWEST, PAYS, Estimates, QueryBlock, Screen, Screened, begin_block, bound_block,
    finish_pairs, is_plain, most_pairs, screen_block, screen_chunk, sum_found,
)
from cgcython.kernels._tiles cimport align_block, score_document
from cgcython.kernels._types cimport f32, f64, i64, u8

np.import_array()

cdef enum:
    LONGEST_WAIT = 15

cdef struct Work:
    Py_ssize_t finished     # dots computed in float32
    f32 *waiting            # where the score of the document begun will be, or NULL
    int turn
    int wait                # documents to score plainly before the next attempt
    int last


cdef bint screen_document(
    const ScreenQuery *query, const Screened *doc, f32 *total, Py_ssize_t *finished
) noexcept nogil:
    """Score a document; return False where MaxSim is as fast."""
    cdef:
        Screen s
        Estimates e
        f64 sums = 0
        Py_ssize_t done = 0
    while done < query.count:
        block_of(query, done, &s.query)
        if not screen_block(doc, &s, &e, finished):
            return False
        sums += sum_found(&s)
        done += LANES
    total[0] = <f32>sums
    return True


cdef void keep_pace(Work *work, bint screened) noexcept nogil:
    """After each failure in a row, wait about twice as long."""
    work.last = 0 if screened else min(2 * work.last + 1, LONGEST_WAIT)
    work.wait = work.last


cdef bint screen_begin(const Screened *doc, Screen *s) noexcept nogil:
    """Screen a document of one chunk; return False where MaxSim is as fast."""
    cdef Estimates e
    begin_block(doc, s, &e)
    return screen_chunk(&e, most_pairs(s), s)


cdef void screen_end(Screen *s, Work *work) noexcept nogil:
    """Finish the document that was begun, whose rows have arrived from memory meanwhile."""
    if work.waiting != NULL:
        finish_pairs(s)
        work.waiting[0] = <f32>sum_found(s)
        work.finished += s.pairs
        work.waiting = NULL


cdef void screen_score(
    const ScreenQuery *query, const Screened *doc, Screen *pair, Work *work, f32 *total
) noexcept nogil:
    """Score a document one way or the other, now or, waiting, when the next one is screened.

    `pair` are the document begun before, and room for this one.
    """
    cdef:
        bint single = query.count <= LANES and doc.plain.count <= CHUNK, screened = False
        Screen *mine = &pair[work.turn]
    if PAYS and work.wait == 0 and doc.plain.count >= FEWEST and is_plain(doc):
        if single:
            screened = screen_begin(doc, mine)
        else:
            screened = screen_document(query, doc, total, &work.finished)
        keep_pace(work, screened)
    elif work.wait:
        work.wait -= 1
    screen_end(&pair[1 - work.turn], work)
    if screened and single:
        work.waiting = total
        work.turn = 1 - work.turn
    elif not screened:
        total[0] = score_document(&doc.plain, query.packed, query.count)
        work.finished += doc.plain.count * query.count


cdef void bounds_of(
    const ScreenQuery *query, const Screened *doc, f32 *lower, f32 *upper
) noexcept nogil:
    cdef:
        QueryBlock q
        f64 low = 0, high = 0
        Py_ssize_t done = 0
    while done < query.count:
        block_of(query, done, &q)
        bound_block(doc, &q, &low, &high)
        done += LANES
    # Sums of float32 cosines are rounded once more.
    lower[0] = <f32>(low - 1e-6 * (1 + fabs(low)))
    upper[0] = <f32>(high + 1e-6 * (1 + fabs(high)))


cdef int aim_query(
    const f32[:, :, ::1] packed, const f32[:, ::1] rows, const i8[:, :, ::1] numbers,
    Py_ssize_t num_query, ScreenQuery *query,
) except -1:
    cdef Py_ssize_t dim = packed.shape[1]
    if dim > WIDEST:
        raise ValueError(f"a token holds {dim}, expected up to {WIDEST}")
    agree("a line of packed", packed.shape[2], "the lanes", LANES)
    agree("rows", rows.shape[0], "packed", packed.shape[0] * LANES)
    agree("a row", rows.shape[1], "a block of packed", dim)
    agree("numbers", numbers.shape[0], "packed", packed.shape[0])
    agree("a block of numbers", numbers.shape[1], "its lines", lines(dim))
    agree("a line of numbers", numbers.shape[2], "four dimensions of all lanes", LINE)
    if not 0 <= num_query <= packed.shape[0] * LANES:
        raise ValueError(f"query has {num_query} tokens, packed holds {packed.shape[0] * LANES}")
    query.packed, query.rows, query.numbers = &packed[0, 0, 0], &rows[0, 0], &numbers[0, 0, 0]
    query.count, query.dim = num_query, dim
    return 0


cdef int check_side(
    const f32[:, ::1] values, const f32[::1] norms, const u8[:, ::1] codes,
    const f32[:, ::1] bounds, Py_ssize_t dim,
) except -1:
    agree("a row of values", values.shape[1], "a query token", dim)
    agree("norms", norms.shape[0], "values", values.shape[0])
    agree("codes", codes.shape[0], "values", values.shape[0])
    agree("a row of codes", codes.shape[1], "a row of values", values.shape[1])
    agree("bounds", bounds.shape[0], "values", values.shape[0])
    agree("a row of bounds", bounds.shape[1], "step and radius", 2)
    return 0


def pays():
    """Return whether whole numbers are faster than float32 at this level."""
    return bool(PAYS)


def lines(Py_ssize_t dim):
    """Return the lines of a block of `numbers`."""
    return groups_of(dim) + EXTRA


def encode_rows(
    const f32[:, ::1] values,       # IN
    const f32[::1] norms,           # IN
    u8[:, ::1] codes,               # OUT
    f32[:, ::1] bounds,             # OUT
):
    """Write the side copy of tokens: int8 codes, and each one's step and radius.

    `norms` is what maxsim.inverse_norms wrote.
    """
    cdef Py_ssize_t i, dim = values.shape[1]
    check_side(values, norms, codes, bounds, dim)
    with nogil:
        for i in range(values.shape[0]):
            quantise(&values[i, 0], dim, norms[i], &codes[i, 0], &bounds[i, 0])


def pack_query(
    const f32[:, :, ::1] packed,    # IN
    f32[:, ::1] rows,               # OUT
    i8[:, :, ::1] numbers,          # OUT
):
    """Write what maxsim.pack_query packed as rows, and as whole numbers with their bounds."""
    cdef ScreenQuery query
    aim_query(packed, rows, numbers, 0, &query)
    if packed.shape[0]:
        with nogil:
            screen_pack(query.packed, packed.shape[0], query.dim, &rows[0, 0], &numbers[0, 0, 0])


def score(
    const f32[:, :, ::1] packed,    # IN
    const f32[:, ::1] rows,         # IN
    const i8[:, :, ::1] numbers,    # IN
    Py_ssize_t num_query,
    const f32[:, ::1] values,       # IN
    const f32[::1] norms,           # IN
    const u8[:, ::1] codes,         # IN
    const f32[:, ::1] bounds,       # IN
    const i64[::1] starts,          # IN
    const i64[::1] counts,          # IN
    f32[::1] sums,                  # OUT
):
    """Write what maxsim.score writes, and return how many dots were computed in float32."""
    cdef:
        ScreenQuery query
        Screened doc
        Screen[2] pair
        Work work
        Py_ssize_t i
    aim_query(packed, rows, numbers, num_query, &query)
    check_side(values, norms, codes, bounds, query.dim)
    check_documents(starts, counts, sums, values.shape[0], 1)
    with nogil:
        memset(&work, 0, sizeof(work))
        block_of(&query, 0, &pair[0].query)
        block_of(&query, 0, &pair[1].query)
        for i in range(starts.shape[0]):
            aim(&doc, values, norms, codes, bounds, starts[i], counts[i])
            screen_score(&query, &doc, pair, &work, &sums[i])
        screen_end(&pair[1 - work.turn], &work)
    return work.finished


cdef void aim(
    Screened *doc, const f32[:, ::1] values, const f32[::1] norms, const u8[:, ::1] codes,
    const f32[:, ::1] bounds, Py_ssize_t start, Py_ssize_t count,
) noexcept nogil:
    memset(&doc.plain, 0, sizeof(doc.plain))
    doc.plain.tokens, doc.plain.norms = &values[start, 0], &norms[start]
    doc.plain.count, doc.plain.dim = count, values.shape[1]
    doc.codes, doc.bounds = &codes[start, 0], &bounds[start, 0]


def bound(
    const f32[:, :, ::1] packed,    # IN
    const f32[:, ::1] rows,         # IN
    const i8[:, :, ::1] numbers,    # IN
    Py_ssize_t num_query,
    const f32[:, ::1] values,       # IN
    const f32[::1] norms,           # IN
    const u8[:, ::1] codes,         # IN
    const f32[:, ::1] bounds,       # IN
    const i64[::1] starts,          # IN
    const i64[::1] counts,          # IN
    f32[::1] lower,                 # OUT
    f32[::1] upper,                 # OUT
):
    """Write between which two numbers each document's score lies; only codes are read for that.

    A document whose upper one is below the k-th highest lower one is not among the k best.
    """
    cdef:
        ScreenQuery query
        Screened doc
        Py_ssize_t i
    aim_query(packed, rows, numbers, num_query, &query)
    check_side(values, norms, codes, bounds, query.dim)
    check_documents(starts, counts, lower, values.shape[0], 1)
    agree("upper", upper.shape[0], "lower", lower.shape[0])
    with nogil:
        for i in range(starts.shape[0]):
            aim(&doc, values, norms, codes, bounds, starts[i], counts[i])
            bounds_of(&query, &doc, &lower[i], &upper[i])


def align(
    const f32[:, :, ::1] packed,    # IN
    const f32[:, ::1] rows,         # IN
    const i8[:, :, ::1] numbers,    # IN
    Py_ssize_t num_query,
    const f32[:, ::1] values,       # IN
    const f32[::1] norms,           # IN
    const u8[:, ::1] codes,         # IN
    const f32[:, ::1] bounds,       # IN
    i64[::1] best,                  # OUT
    f32[::1] cosines,               # OUT
):
    """Write what maxsim.align writes."""
    cdef:
        ScreenQuery query
        Screened doc
        Py_ssize_t i = 0
    aim_query(packed, rows, numbers, num_query, &query)
    check_side(values, norms, codes, bounds, query.dim)
    agree("best", best.shape[0], "query", num_query)
    agree("cosines", cosines.shape[0], "query", num_query)
    with nogil:
        aim(&doc, values, norms, codes, bounds, 0, values.shape[0])
        while i < num_query:
            screen_align(&query, &doc, i, &best[i], &cosines[i])
            i += LANES


cdef void screen_align(
    const ScreenQuery *query, const Screened *doc, Py_ssize_t first, i64 *best, f32 *cosines
) noexcept nogil:
    """Write the best tokens of one block of lanes."""
    cdef:
        Screen s
        Estimates e
        Py_ssize_t lane, finished = 0
    block_of(query, first, &s.query)
    if not is_plain(doc) or not screen_block(doc, &s, &e, &finished):
        align_block(&doc.plain, query.packed + first * query.dim, s.query.lanes, best, cosines)
        return
    for lane in range(s.query.lanes):
        best[lane] = s.where[lane]
        cosines[lane] = s.best[lane] if s.where[lane] >= 0 else <f32>0
