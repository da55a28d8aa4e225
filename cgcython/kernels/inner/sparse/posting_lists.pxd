"""Inverted lists in blocks of at most 65,536 rows: where a term's is, and how it adds to scores.

A posting is a row within its block, u16, and a weight, f16 or f32; those of a term ascend by row.
"""
from libc.stdint cimport uint16_t as u16
from libc.string cimport memset
from cgcython.kernels.inner.simd.compiler cimport fetch
from cgcython.kernels.inner.sparse.halves cimport read_halves
from cgcython.kernels.inner.tokens.scores cimport float_of
from cgcython.kernels.inner.types cimport f32, i64, u8, u32

cdef enum:
    BLOCK_OF_ROWS = 65536  # all that 16 bits can tell apart: no row leads out of the scores
    GROUP = 64     # postings whose weights are widened together
    WINDOW = 64    # rows of a list that are compared together
    POSTINGS_AHEAD = 128    # postings of a list to fetch before its turn


cdef struct Lists:
    const i64 *edges    # [blocks + 1] the first row of each block
    const i64 *spans    # [blocks + 1] the first list of each block
    const u32 *terms    # [lists] ascending within a block
    const i64 *starts   # [lists + 1] the first posting of each list
    const u16 *rows
    const u16 *halves   # NULL where weights are f32
    const f32 *weights
    i64 num_postings


cdef struct Span:
    i64 start
    i64 stop


cdef inline bint find_list(
    const Lists *lists, i64 block, u32 term, Span *found, i64 *number
) noexcept nogil:
    """Find the list of a term in a block, -1 if there is none; whether it lies among all."""
    cdef:
        const u32 *terms = lists.terms + lists.spans[block]
        i64 place = 0, half, count = lists.spans[block + 1] - lists.spans[block]
    found.start = found.stop = 0
    number[0] = -1
    while count > 1:  # without a branch on what is compared
        half = count >> 1
        place += half if terms[place + half] <= term else 0
        count -= half
    if count == 0 or terms[place] != term:
        return True
    place += lists.spans[block]
    number[0] = place
    found.start, found.stop = lists.starts[place], lists.starts[place + 1]
    return 0 <= found.start <= found.stop <= lists.num_postings


cdef inline f32 weight_at(const Lists *lists, i64 place) noexcept nogil:
    cdef u32 half
    cdef f32 weight
    if lists.halves is NULL:
        return lists.weights[place]
    half = lists.halves[place]
    # A half's bits in their place are the weight over 2**112, whether it is normal or not.
    weight = float_of((half & 0x7FFF) << 13) * <f32>5192296858534827628530496329220096.0
    return -weight if half >> 15 else weight


cdef inline void add_list(
    const Lists *lists, Span span, f32 query, f32 *scores
) noexcept nogil:
    """Add a query's weight times those of a list to the scores of a block."""
    cdef:
        f32[GROUP] widened
        const f32 *weights
        const u16 *rows
        i64 i, count, start = span.start
    while start < span.stop:
        count = min(<i64>GROUP, span.stop - start)
        rows = lists.rows + start
        if lists.halves is NULL:
            weights = lists.weights + start
        else:
            read_halves(<const u8 *>(lists.halves + start), count, widened)
            weights = widened
        for i in range(count):
            scores[rows[i]] += query * weights[i]
        start += count


cdef inline i64 count_below(const u16 *rows, u32 row) noexcept nogil:
    """How many of WINDOW rows are below one, without a branch on any."""
    cdef u16 below = 0
    cdef Py_ssize_t i
    for i in range(WINDOW):
        below += rows[i] < <u16>row
    return below


cdef inline i64 guess(Span span, u32 row, i64 num_rows) noexcept nogil:
    """Where WINDOW postings begin that have a row among them, if rows are spread evenly."""
    cdef i64 count = span.stop - span.start
    cdef i64 at = <i64>(<f32>row * <f32>count / <f32>num_rows) - WINDOW // 2
    return span.start + max(min(at, count - WINDOW), 0)


cdef inline void fetch_row(
    const Lists *lists, Span span, u32 row, i64 num_rows
) noexcept nogil:
    """Ask for where a list is looked at first for a row, and for the weight there."""
    cdef i64 at = guess(span, row, num_rows) + WINDOW // 2
    fetch(lists.rows + at)
    if lists.halves is NULL:
        fetch(lists.weights + at)
    else:
        fetch(lists.halves + at)


cdef inline void fetch_list(const Lists *lists, Span span) noexcept nogil:
    """Ask for the first postings of a list, by which the processor learns to ask for the others."""
    cdef i64 at = span.start, stop = min(span.stop, span.start + POSTINGS_AHEAD)
    while at < stop:
        fetch(lists.rows + at)
        if lists.halves is not NULL:
            fetch(lists.halves + at)
        at += WINDOW // 2


cdef inline i64 find_row(
    const u16 *rows, Span span, u32 row, i64 num_rows
) noexcept nogil:
    """Where a list has a row, or -1."""
    cdef i64 at = span.start, last = span.stop - WINDOW
    if at <= last:
        at = guess(span, row, num_rows)
        while at > span.start and rows[at] > row:
            at = max(at - WINDOW, span.start)
        while at < last and rows[at + WINDOW - 1] < row:
            at = min(at + WINDOW, last)
        at += count_below(rows + at, row)
    else:
        while at < span.stop and rows[at] < row:
            at += 1
    return at if at < span.stop and rows[at] == row else -1


cdef inline bint score_block(
    const Lists *lists, i64 block, const u32 *terms, const f32 *query, Py_ssize_t num_terms,
    f32 *scores
) noexcept nogil:
    """Write the products of a block's rows, each summed in the order of the query."""
    cdef:
        Span span
        i64 number
        Py_ssize_t i
    memset(scores, 0, (lists.edges[block + 1] - lists.edges[block]) * sizeof(f32))
    for i in range(num_terms):
        if not find_list(lists, block, terms[i], &span, &number):
            return False
        add_list(lists, span, query[i], scores)
    return True
