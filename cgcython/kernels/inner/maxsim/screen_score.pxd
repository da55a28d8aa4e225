"""Scores documents with or without a screen, by how much it saved on the documents before."""
from libc.math cimport fabs
from libc.string cimport memset
from cgcython.kernels.inner.integers.tiles cimport TOKEN_LANES
from cgcython.kernels.inner.maxsim.screen_arrays cimport ScreenQuery, ScreenTokens
from cgcython.kernels.inner.maxsim.screen_query cimport block_of
from cgcython.kernels.inner.maxsim.screen_tiles cimport (
    SCREENED, FEWEST, PAYS, Estimates, QueryBlock, Screen, Screened, begin_block, bound_block,
    finish_pairs, is_plain, most_pairs, screen_block, screen_chunk, sum_found,
)
from cgcython.kernels.inner.maxsim.alignments cimport align_block
from cgcython.kernels.inner.maxsim.tiles cimport score_document
from cgcython.kernels.inner.types cimport f32, f64, i64

cdef enum:
    LONGEST_WAIT = 15

cdef struct Work:
    Py_ssize_t finished     # dots computed in float32
    f32 *waiting            # where the score of the document begun will be, or NULL
    int turn
    int wait                # documents to score plainly before the next attempt
    int last


cdef inline bint screen_document(
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
        done += TOKEN_LANES
    total[0] = <f32>sums
    return True


cdef inline void keep_pace(Work *work, bint screened) noexcept nogil:
    """After each failure in a row, wait about twice as long."""
    work.last = 0 if screened else min(2 * work.last + 1, LONGEST_WAIT)
    work.wait = work.last


cdef inline bint screen_begin(const Screened *doc, Screen *s) noexcept nogil:
    """Screen a document of one chunk; return False where MaxSim is as fast."""
    cdef Estimates e
    begin_block(doc, s, &e)
    return screen_chunk(&e, most_pairs(s), s)


cdef inline void screen_end(Screen *s, Work *work) noexcept nogil:
    """Finish the document that was begun, whose rows have arrived from memory meanwhile."""
    if work.waiting != NULL:
        finish_pairs(s)
        work.waiting[0] = <f32>sum_found(s)
        work.finished += s.pairs
        work.waiting = NULL


cdef inline void screen_score(
    const ScreenQuery *query, const Screened *doc, Screen *pair, Work *work, f32 *total
) noexcept nogil:
    """Score a document one way or the other, now or, waiting, when the next one is screened.

    `pair` are the document begun before, and room for this one.
    """
    cdef:
        bint single = query.count <= TOKEN_LANES and doc.plain.count <= SCREENED, screened = False
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


cdef inline void bounds_of(
    const ScreenQuery *query, const Screened *doc, f32 *lower, f32 *upper
) noexcept nogil:
    cdef:
        QueryBlock q
        f64 low = 0, high = 0
        Py_ssize_t done = 0
    while done < query.count:
        block_of(query, done, &q)
        bound_block(doc, &q, &low, &high)
        done += TOKEN_LANES
    # Sums of float32 cosines are rounded once more.
    lower[0] = <f32>(low - 1e-6 * (1 + fabs(low)))
    upper[0] = <f32>(high + 1e-6 * (1 + fabs(high)))


cdef inline void aim(
    Screened *doc, const ScreenTokens *tokens, Py_ssize_t start, Py_ssize_t count, Py_ssize_t dim
) noexcept nogil:
    memset(&doc.plain, 0, sizeof(doc.plain))
    doc.plain.tokens, doc.plain.norms = tokens.values + start * dim, tokens.norms + start
    doc.plain.count, doc.plain.dim = count, dim
    doc.codes, doc.bounds = tokens.codes + start * dim, tokens.bounds + 2 * start


cdef inline void screen_align(
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
