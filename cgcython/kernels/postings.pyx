"""Scores of rows from inverted lists in blocks, and the best rows without all lists."""
from libc.string cimport memcpy
from cgcython.kernels.inner.door cimport agree, check_buffers, check_offsets
from cgcython.kernels.inner.sparse.posting_best cimport (
    MOST, find_terms, leave_best, search_block, sort_by_worth,
)
from cgcython.kernels.inner.sparse.posting_candidates cimport Best, lay_out
from cgcython.kernels.inner.sparse.posting_lists cimport (
    BLOCK_OF_ROWS, Lists, Span, find_list, find_row, score_block, u16, weight_at,
)
from cgcython.kernels.inner.types cimport f32, i64, u8, u32

ROWS_OF_BLOCK = BLOCK_OF_ROWS


cdef int fill_lists(
    Lists *lists, const i64[::1] edges, const i64[::1] spans, const u32[::1] terms,
    const i64[::1] starts, const u16[::1] rows, const u16[::1] halves, const f32[::1] weights,
) except -1:
    """Check what the loops rely on, but for the lists: each is checked when it is met."""
    cdef Py_ssize_t block, blocks = edges.shape[0] - 1
    check_offsets("spans", spans, terms.shape[0])
    agree("spans", spans.shape[0], "edges", edges.shape[0])
    agree("starts", starts.shape[0], "terms and one more", terms.shape[0] + 1)
    for block in range(blocks):
        if not 0 < edges[block + 1] - edges[block] <= BLOCK_OF_ROWS or edges[0] != 0:
            raise ValueError(f"block {block} has {edges[block + 1] - edges[block]} rows")
    if weights.shape[0] and halves.shape[0]:
        raise ValueError("weights are halves or floats, not both")
    agree("weights", max(weights.shape[0], halves.shape[0]), "rows", rows.shape[0])
    lists.edges, lists.spans, lists.terms = &edges[0], &spans[0], &terms[0]
    lists.starts, lists.rows, lists.weights = &starts[0], &rows[0], &weights[0]
    lists.halves = &halves[0] if halves.shape[0] else NULL
    lists.num_postings = rows.shape[0]
    return 0


cdef int require_blocks(const i64[::1] edges, i64 first, i64 last) except -1:
    if not 0 <= first <= last < edges.shape[0]:
        raise ValueError(f"no blocks {first} to {last} among {edges.shape[0] - 1}")
    return 0


def score(
    const u32[::1] query_indices,  # IN
    const f32[::1] query_weights,  # IN
    const i64[::1] edges,          # IN
    const i64[::1] spans,          # IN
    const u32[::1] terms,          # IN
    const i64[::1] starts,         # IN
    const u16[::1] rows,           # IN
    const u16[::1] halves,         # IN
    const f32[::1] weights,        # IN
    i64 first,
    i64 last,
    f32[::1] out,                  # OUT
    f32[::1] scratch,
):
    """Write the dot products of a sparse query with the rows of some blocks."""
    cdef:
        Lists lists
        i64 block
        bint sound = True
    check_buffers(
        2, out, scratch, query_indices, query_weights, edges, spans, terms, starts, rows, halves,
        weights,
    )
    agree("query_weights", query_weights.shape[0], "query_indices", query_indices.shape[0])
    fill_lists(&lists, edges, spans, terms, starts, rows, halves, weights)
    require_blocks(edges, first, last)
    agree("out", out.shape[0], "the blocks", edges[last] - edges[first])
    agree("scratch", scratch.shape[0], "a block", BLOCK_OF_ROWS)
    with nogil:
        for block in range(first, last):
            sound = sound and score_block(
                &lists, block, &query_indices[0], &query_weights[0], query_indices.shape[0],
                &scratch[0],
            )
            memcpy(
                &out[0] + edges[block] - edges[first], &scratch[0],
                (edges[block + 1] - edges[block]) * sizeof(f32),
            )
    if not sound:
        raise ValueError("a list lies beyond the postings")


def score_rows(
    const u32[::1] query_indices,  # IN
    const f32[::1] query_weights,  # IN
    const i64[::1] edges,          # IN
    const i64[::1] spans,          # IN
    const u32[::1] terms,          # IN
    const i64[::1] starts,         # IN
    const u16[::1] rows,           # IN
    const u16[::1] halves,         # IN
    const f32[::1] weights,        # IN
    const i64[::1] wanted,         # IN
    f32[::1] out,                  # OUT
):
    """Write the dot products of a sparse query with some rows, which ascend."""
    cdef:
        Lists lists
        Span span
        i64 block = 0, number, at
        Py_ssize_t i, begin = 0, end, term, count = wanted.shape[0]
        bint sound = True
    check_buffers(
        1, out, query_indices, query_weights, edges, spans, terms, starts, rows, halves, weights,
        wanted,
    )
    agree("query_weights", query_weights.shape[0], "query_indices", query_indices.shape[0])
    agree("out", out.shape[0], "wanted", count)
    fill_lists(&lists, edges, spans, terms, starts, rows, halves, weights)
    if count:
        check_offsets("wanted rows", wanted, edges[edges.shape[0] - 1] - 1)
    with nogil:
        while begin < count:
            while edges[block + 1] <= wanted[begin]:
                block += 1
            end = begin
            while end < count and wanted[end] < edges[block + 1]:
                out[end] = 0
                end += 1
            for term in range(query_indices.shape[0]):
                sound = sound and find_list(&lists, block, query_indices[term], &span, &number)
                if not sound:
                    break
                for i in range(begin, end):
                    at = find_row(
                        lists.rows, span, <u32>(wanted[i] - edges[block]),
                        edges[block + 1] - edges[block],
                    )
                    if at >= 0:
                        out[i] += query_weights[term] * weight_at(&lists, at)
            begin = end
    if not sound:
        raise ValueError("a list lies beyond the postings")


def best_scratch(Py_ssize_t num_terms, Py_ssize_t k):
    """Return how many bytes `best` needs as scratch."""
    cdef Best search
    if not (0 <= num_terms < 1 << 32 and 0 < k < <Py_ssize_t>1 << 40):
        raise ValueError(f"no scratch for the {k} best by {num_terms} terms")
    return lay_out(&search, num_terms, k, NULL)


def best(
    const u32[::1] query_indices,  # IN
    const f32[::1] query_weights,  # IN
    const i64[::1] edges,          # IN
    const i64[::1] spans,          # IN
    const u32[::1] terms,          # IN
    const i64[::1] starts,         # IN
    const u16[::1] rows,           # IN
    const u16[::1] halves,         # IN
    const f32[::1] weights,        # IN
    const f32[::1] highest,        # IN
    const f32[::1] norms,          # IN
    i64 first,
    i64 last,
    Py_ssize_t k,
    i64[::1] best_rows,            # OUT
    f32[::1] best_scores,          # OUT
    u8[::1] scratch,
):
    """Write the k best rows of some blocks among those above 0, ascending, and their scores.

    Scores are divided by the `norms`, if any; `highest` are those of lists, divided alike. Rows
    that equal the last are written too. Returns how many, or -1 where sums may overflow.
    """
    cdef:
        Lists lists
        Best search
        i64 block
        Py_ssize_t i
        bint sound = True, bounded = True
    check_buffers(
        3, best_rows, best_scores, scratch, query_indices, query_weights, edges, spans, terms,
        starts, rows, halves,
    )
    check_buffers(3, best_rows, best_scores, scratch, weights, highest, norms)
    agree("query_weights", query_weights.shape[0], "query_indices", query_indices.shape[0])
    fill_lists(&lists, edges, spans, terms, starts, rows, halves, weights)
    require_blocks(edges, first, last)
    agree("highest", highest.shape[0], "terms", terms.shape[0])
    if norms.shape[0]:
        agree("norms", norms.shape[0], "the blocks", edges[edges.shape[0] - 1])
    agree("best_rows", best_rows.shape[0], "the blocks", edges[last] - edges[first])
    agree("best_scores", best_scores.shape[0], "best_rows", best_rows.shape[0])
    if scratch.shape[0] < best_scratch(query_indices.shape[0], k):
        raise ValueError(f"scratch holds {scratch.shape[0]} bytes, see best_scratch")
    lay_out(&search, query_indices.shape[0], k, &scratch[0])
    search.lists, search.highest = &lists, &highest[0]
    search.rows, search.found = &best_rows[0], &best_scores[0]
    with nogil:
        for i in range(search.num_terms):
            search.order[i] = <u32>i
        for block in range(first, last):
            sound = find_terms(&search, block, &query_indices[0], &query_weights[0])
            bounded = sound and search.total < MOST  # false of NaN
            if not bounded:
                break
            sort_by_worth(&search, 0)
            search_block(
                &search, &norms[0] + edges[block] if norms.shape[0] else NULL, edges[block],
                edges[block + 1] - edges[block],
            )
        leave_best(&search)
    if not sound:
        raise ValueError("a list lies beyond the postings")
    return search.count if bounded else -1
