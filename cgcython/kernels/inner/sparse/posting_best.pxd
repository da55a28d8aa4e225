"""The k best rows of inverted lists, without reading the lists that cannot matter.

Of each list it is known what its largest product can be. Lists are added to the scores of a block
until all others together cannot bring a row from nothing to the k best; rows that come near are
looked up in the others, list after list, and dropped as soon as they fall behind. What is left is
summed anew in the order of the query, so that its scores are those of `score_block` bit by bit
(MaxScore, Turtle & Flood 1995, over blocks of rows).
"""
from libc.math cimport INFINITY
from libc.string cimport memset
from cgcython.kernels.inner.sparse.best_scores cimport push
from cgcython.kernels.inner.sparse.posting_candidates cimport (
    LEAST, Best, Term, candidate_threshold, collect, look_up, partial_threshold, reaches,
)
from cgcython.kernels.inner.sparse.posting_lists cimport (
    add_list, fetch_list, find_list, find_row, weight_at,
)
from cgcython.kernels.inner.types cimport f32, f64, i64, u32

cdef enum:
    POSTINGS = 512    # that are added in the time that a candidate takes
    LISTS_AHEAD = 3   # of the one that is added, their first postings are fetched
cdef extern from *:
    """
    #define CG_UNIT 5.9604644775390625e-08 /* a float rounds by at most this part of itself */
    #define CG_MOST 1e37                   /* sums of more may overflow */
    """
    const f64 UNIT "CG_UNIT"
    const f64 MOST "CG_MOST"


cdef inline void sort_by_worth(Best *s, Py_ssize_t first) noexcept nogil:
    """Sort terms from the first on, by insertion: the order of the last block is nearly theirs."""
    cdef Py_ssize_t i, at
    cdef u32 one
    for i in range(first + 1, s.num_terms):
        one, at = s.order[i], i
        while at > first and s.terms[s.order[at - 1]].worth < s.terms[one].worth:
            s.order[at] = s.order[at - 1]
            at -= 1
        s.order[at] = one


cdef inline void sort_by_most(Best *s, Py_ssize_t first) noexcept nogil:
    """Let the lists come first that drop most candidates: looking up takes as long in any."""
    cdef Py_ssize_t i
    for i in range(first, s.num_terms):
        s.terms[s.order[i]].worth = s.terms[s.order[i]].most
    sort_by_worth(s, first)


cdef inline bint find_terms(
    Best *s, i64 block, const u32 *terms, const f32 *query
) noexcept nogil:
    """Find the lists of a block, and what they can bring; whether all lie within."""
    cdef:
        Py_ssize_t i
        Term *term
        i64 place
        f64 size
    s.total = 0
    for i in range(s.num_terms):
        term = s.terms + i
        if not find_list(s.lists, block, terms[i], &term.span, &place):
            return False
        term.query, term.most, term.worth = query[i], 0, INFINITY
        if place >= 0:
            size = <f64>query[i] * s.highest[place]
            term.most = size if size >= 0 else -size
            if query[i] >= 0 and s.highest[place] >= 0:
                term.worth = term.most / <f64>(term.span.stop - term.span.start)
        s.total += term.most
    # Two sums of all terms in two orders, the norm, the threshold.
    s.slack = (2 * s.num_terms + 16) * UNIT * s.total
    return True


cdef inline f32 exact(const Best *s, u32 place, i64 num_rows) noexcept nogil:
    """The sum of a row in the order of the query."""
    cdef:
        Py_ssize_t i
        i64 at
        f32 score = 0
    for i in range(s.num_terms):
        at = find_row(s.lists.rows, s.terms[i].span, place, num_rows)
        if at >= 0:
            score += s.terms[i].query * weight_at(s.lists, at)
    return score


cdef inline void keep(
    Best *s, const f32 *norms, u32 place, i64 first, i64 num_rows
) noexcept nogil:
    """Take a row whose score is above 0 and among the k best so far."""
    cdef f32 score = exact(s, place, num_rows)
    if norms is not NULL and norms[place] > 0:
        score = score / norms[place]
    if not score > 0 or (s.held == s.k and score < s.heap[0]):
        return
    s.rows[s.count], s.found[s.count] = first + place, score
    s.count += 1
    if s.held < s.k or score > s.heap[0]:
        push(s.heap, s.k, &s.held, score)


cdef inline f64 threshold(const Best *s) noexcept nogil:
    """What a row must reach; 0 where any above 0 will do."""
    return s.heap[0] if s.held == s.k and s.heap[0] > LEAST else 0


cdef inline void keep_best(
    Best *s, const f32 *norms, i64 first, i64 num_rows, Py_ssize_t done, Py_ssize_t count,
    f64 rest, f64 least
) noexcept nogil:
    """Keep the best of the candidates, once they were looked up in the lists that are not done."""
    cdef Term *term
    cdef Py_ssize_t i
    sort_by_most(s, done)
    while done < s.num_terms and count:
        term = s.terms + s.order[done]
        rest, done = rest - term.most, done + 1
        count = look_up(s, norms, term, count, num_rows, least - rest - s.slack)
    least = max(least, candidate_threshold(s, norms, count))
    for i in range(count):
        if reaches(s, norms, s.places[i], <f32>max(least - s.slack, 0.0)):
            keep(s, norms, s.places[i], first, num_rows)


cdef inline void search_block(Best *s, const f32 *norms, i64 first, i64 num_rows) noexcept nogil:
    """Add the best of a block, whose terms were found and sorted."""
    cdef:
        Py_ssize_t done = 0, count = 0
        Term *term
        i64 left = 0, size, wait
        f64 rest = 0, least = threshold(s), goal = least / 2
        bint sure
    if least and s.total + s.slack < least:
        return
    for done in range(s.num_terms):
        left += s.terms[done].span.stop - s.terms[done].span.start
        rest += s.terms[done].most
    memset(s.scores, 0, num_rows * sizeof(f32))
    done, wait = 0, left - (left >> 4)
    while done < s.num_terms:
        term = s.terms + s.order[done]
        # Adding what is left may take less than looking at all rows.
        sure = term.worth < INFINITY and left * 4 >= num_rows
        if sure and s.held < s.k and left <= wait:
            least, wait = partial_threshold(s, norms, num_rows), left - (left >> 1)
            goal = least / 2
        if sure and least > LEAST and rest <= goal:
            count = collect(s, norms, num_rows, least - rest - s.slack)
            if count * POSTINGS <= left:
                break
            goal = rest / 2
        if done + LISTS_AHEAD < s.num_terms:
            fetch_list(s.lists, s.terms[s.order[done + LISTS_AHEAD]].span)
        add_list(s.lists, term.span, term.query, s.scores)
        size = term.span.stop - term.span.start
        left, rest, done = left - size, rest - term.most, done + 1
    if done == s.num_terms:
        count = collect(s, norms, num_rows, least - s.slack)
    keep_best(s, norms, first, num_rows, done, count, rest, least)


cdef inline void leave_best(Best *s) noexcept nogil:
    """Drop what fell behind after it was found."""
    cdef Py_ssize_t i, count = 0
    for i in range(s.count):
        s.rows[count], s.found[count] = s.rows[i], s.found[i]
        count += s.held < s.k or s.found[i] >= s.heap[0]
    s.count = count
