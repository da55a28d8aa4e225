"""Scores of documents from inverted lists: the postings of a term are its documents in order."""
from libc.string cimport memset
from cgcython.kernels._types cimport f32, i64, u32

cdef enum:
    TERMS = 256   # lists of a query that advance together
    DOCS = 32768  # scores they meet at a time: 128 KB, which the second cache holds


cdef inline i64 first_at_least(
    u32 doc, const u32 *docs, i64 start, i64 stop
) noexcept nogil:
    """Where the postings from `doc` on begin among ascending ones."""
    cdef i64 middle
    while start < stop:
        middle = start + (stop - start >> 1)
        if docs[middle] < doc:
            start = middle + 1
        else:
            stop = middle
    return start


cdef inline i64 add_postings(
    f32 query, const u32 *docs, const f32 *weights, i64 start, i64 stop, u32 first, u32 num_docs,
    f32 *scores
) noexcept nogil:
    """Add one term to documents that begin with `first`; returns the posting behind them."""
    cdef u32 place
    cdef i64 i = start
    while i < stop:
        # Wraps around below the first, so that no list leads out of the scores.
        place = docs[i] - first
        if place >= num_docs:
            break
        scores[place] += query * weights[i]
        i += 1
    return i


cdef inline void add_terms(
    const u32 *terms, const f32 *query, Py_ssize_t num_terms, const i64 *starts, const u32 *docs,
    const f32 *weights, u32 first, Py_ssize_t num_docs, f32 *scores
) noexcept nogil:
    """At most TERMS terms, together through one part of the documents after another."""
    cdef:
        i64[TERMS] next
        Py_ssize_t i, done = 0, count
    for i in range(num_terms):
        next[i] = starts[terms[i]]
        if first:
            next[i] = first_at_least(first, docs, next[i], starts[terms[i] + 1])
    while done < num_docs:
        count = min(<Py_ssize_t>DOCS, num_docs - done)
        for i in range(num_terms):
            next[i] = add_postings(
                query[i], docs, weights, next[i], starts[terms[i] + 1], first + <u32>done,
                <u32>count, scores + done,
            )
        done += count


cdef inline void add_query(
    const u32 *terms, const f32 *query, Py_ssize_t num_terms, const i64 *starts, const u32 *docs,
    const f32 *weights, u32 first, Py_ssize_t num_docs, f32 *scores
) noexcept nogil:
    """Every document sums its products in the order of the query, however the work is cut."""
    cdef Py_ssize_t i = 0
    memset(scores, 0, num_docs * sizeof(f32))
    while i < num_terms:
        add_terms(
            terms + i, query + i, min(<Py_ssize_t>TERMS, num_terms - i), starts, docs, weights,
            first, num_docs, scores,
        )
        i += TERMS


cdef inline bint count_postings(
    const u32 *indices, Py_ssize_t nnz, Py_ssize_t dimension, i64 *starts
) noexcept nogil:
    """Write where each term's postings begin, and where the last end; whether all are within."""
    cdef Py_ssize_t i
    memset(starts, 0, (dimension + 1) * sizeof(i64))
    for i in range(nnz):
        if indices[i] >= dimension:
            return False
        starts[indices[i] + 1] += 1
    for i in range(dimension):
        starts[i + 1] += starts[i]
    return True


cdef inline void place_postings(
    const i64 *indptr, Py_ssize_t num_rows, const u32 *indices, const f32 *weights,
    Py_ssize_t dimension, i64 *starts, u32 *docs, f32 *placed
) noexcept nogil:
    """Place row after row, so that the documents of each term ascend."""
    cdef Py_ssize_t row, i
    cdef i64 place
    for row in range(num_rows):
        for i in range(indptr[row], indptr[row + 1]):
            place = starts[indices[i]]
            docs[place], placed[place] = <u32>row, weights[i]
            starts[indices[i]] = place + 1
    # Each start has advanced to the next one.
    for i in range(dimension, 0, -1):
        starts[i] = starts[i - 1]
    starts[0] = 0
