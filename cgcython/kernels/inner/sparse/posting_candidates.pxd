"""Rows of a block that may be among the k best of inverted lists, and what they must reach."""
from cgcython.kernels.inner.sparse.best_scores cimport push
from cgcython.kernels.inner.sparse.posting_lists cimport (
    BLOCK_OF_ROWS, GROUP, Lists, Span, fetch_row, find_row, weight_at,
)
from cgcython.kernels.inner.types cimport f32, f64, i64, u8, u32

cdef enum:
    ALIGN = 64
    ROWS_AHEAD = 6    # of the candidate that is looked up, where it will be is fetched
cdef extern from *:
    """
    #define CG_LEAST 1e-30f /* below it products may round by more */
    """
    const f32 LEAST "CG_LEAST"


cdef struct Term:
    Span span
    f64 most    # of its products, each by its row's norm
    f64 worth   # most for each posting; infinite where products may be below 0
    f32 query


cdef struct Best:
    const Lists *lists
    const f32 *highest     # [lists] the largest weight; its negative where some are below 0
    const f32 *norms       # [rows], or NULL
    Term *terms            # in the order of the query
    u32 *order             # of terms by worth
    f32 *scores            # [BLOCK_OF_ROWS]
    u32 *places            # [BLOCK_OF_ROWS] rows of a block that may be among the best
    f32 *heap              # [k] the best scores, the least in front
    f32 *partial           # [k] as heap, of sums that lack terms
    i64 *rows              # what was found
    f32 *found
    Py_ssize_t num_terms, k, held, count
    f64 total, slack       # what a row of this block can have at most, and its rounding


cdef inline Py_ssize_t lay_out(
    Best *s, Py_ssize_t num_terms, Py_ssize_t k, u8 *memory
) noexcept nogil:
    """Place the arrays one behind the other and return the bytes they take."""
    memory += -<Py_ssize_t>memory & (ALIGN - 1)
    s.num_terms, s.k, s.held, s.count = num_terms, k, 0, 0
    s.terms = <Term *>memory
    s.scores = <f32 *>(s.terms + num_terms)
    s.places = <u32 *>(s.scores + BLOCK_OF_ROWS)
    s.order = s.places + BLOCK_OF_ROWS
    s.heap = <f32 *>(s.order + num_terms)
    s.partial = s.heap + k
    return <u8 *>(s.partial + k) - memory + ALIGN


cdef inline f32 norm_at(const f32 *norms, i64 row) noexcept nogil:
    """What a sum is divided by; 0 where it is too small for bounds to hold."""
    return norms[row] if norms[row] >= LEAST else 0


cdef inline bint any_above(
    const f32 *scores, const f32 *norms, i64 start, i64 stop, f32 least
) noexcept nogil:
    cdef i64 i
    cdef int met = 0
    if norms is NULL:
        for i in range(start, stop):
            met |= scores[i] > least
    else:
        for i in range(start, stop):
            met |= scores[i] > least * norm_at(norms, i)
    return met


cdef inline bint reaches(
    const Best *s, const f32 *norms, u32 place, f32 least
) noexcept nogil:
    return s.scores[place] > least * (norm_at(norms, place) if norms is not NULL else 1)


cdef inline Py_ssize_t collect(
    Best *s, const f32 *norms, i64 num_rows, f64 least
) noexcept nogil:
    """Write the rows whose sums are above the least, and above 0; returns how many."""
    cdef:
        i64 row, start = 0, stop
        Py_ssize_t count = 0
        f32 limit = <f32>max(least, 0.0)
    while start < num_rows:
        stop = min(start + GROUP, num_rows)
        if any_above(s.scores, norms, start, stop, limit):
            for row in range(start, stop):
                s.places[count] = <u32>row
                count += reaches(s, norms, <u32>row, limit)
        start = stop
    return count


cdef inline f32 quotient(const Best *s, const f32 *norms, u32 place) noexcept nogil:
    """What a sum scores; 0 where bounds do not hold."""
    if norms is NULL:
        return s.scores[place]
    return s.scores[place] / norms[place] if norms[place] >= LEAST else 0


cdef inline f64 partial_threshold(Best *s, const f32 *norms, i64 num_rows) noexcept nogil:
    """What k rows reach already; 0 where there are fewer."""
    cdef:
        i64 row, start = 0, stop
        Py_ssize_t held = 0
        f32 least = 0, score
    while start < num_rows:
        stop = min(start + GROUP, num_rows)
        if any_above(s.scores, norms, start, stop, least):
            for row in range(start, stop):
                score = quotient(s, norms, <u32>row)
                if score > least:
                    push(s.partial, s.k, &held, score)
                    least = s.partial[0] if held == s.k else 0
        start = stop
    return max(least - s.slack, 0.0)


cdef inline Py_ssize_t look_up(
    Best *s, const f32 *norms, const Term *term, Py_ssize_t count, i64 num_rows, f64 least
) noexcept nogil:
    """Add a list to candidates alone; returns how many are still above the least."""
    cdef Py_ssize_t i, left = 0
    cdef u32 place
    cdef i64 at
    cdef f32 limit = <f32>max(least, 0.0)
    for i in range(count):
        place = s.places[i]
        fetch_row(s.lists, term.span, s.places[min(i + ROWS_AHEAD, count - 1)], num_rows)
        at = find_row(s.lists.rows, term.span, place, num_rows)
        if at >= 0:
            s.scores[place] += term.query * weight_at(s.lists, at)
        s.places[left] = place
        left += reaches(s, norms, place, limit)
    return left


cdef inline f64 candidate_threshold(
    Best *s, const f32 *norms, Py_ssize_t count
) noexcept nogil:
    """As partial_threshold, of the candidates alone."""
    cdef Py_ssize_t i, held = 0
    cdef f32 score
    for i in range(count):
        score = quotient(s, norms, s.places[i])
        if held < s.k or score > s.partial[0]:
            push(s.partial, s.k, &held, score)
    return max(s.partial[0] - s.slack, 0.0) if held == s.k else 0
