"""The k best of a scan: a heap of (rank, id) whose root is the worst, and the order it sorts to.

Higher ranks are better; of equal ranks the lower id is better, whatever order they come in.
"""
from cgcython.kernels.inner.types cimport i32, i64


cdef inline bint worse(i32 rank, i64 id, i32 other_rank, i64 other_id) noexcept nogil:
    return rank < other_rank or (rank == other_rank and id > other_id)


cdef inline void sink(i32 *ranks, i64 *ids, Py_ssize_t k, i32 rank, i64 id) noexcept nogil:
    """Put an entry in the place of the root, and restore the heap below it."""
    cdef Py_ssize_t at = 0, child = 1
    while child < k:
        if child + 1 < k and worse(
            ranks[child + 1], ids[child + 1], ranks[child], ids[child]
        ):
            child += 1
        if not worse(ranks[child], ids[child], rank, id):
            break
        ranks[at], ids[at] = ranks[child], ids[child]
        at, child = child, 2 * child + 1
    ranks[at], ids[at] = rank, id


cdef inline void rise(i32 *ranks, i64 *ids, Py_ssize_t held, i32 rank, i64 id) noexcept nogil:
    """Add an entry to a heap of `held`."""
    cdef Py_ssize_t at = held, parent
    while at:
        parent = (at - 1) // 2
        if not worse(rank, id, ranks[parent], ids[parent]):
            break
        ranks[at], ids[at] = ranks[parent], ids[parent]
        at = parent
    ranks[at], ids[at] = rank, id


cdef inline void best_first(i32 *ranks, i64 *ids, Py_ssize_t k) noexcept nogil:
    """Turn the heap into a list, the best in front."""
    cdef:
        i32 rank
        i64 id
    while k > 1:
        k -= 1
        rank, id = ranks[k], ids[k]
        ranks[k], ids[k] = ranks[0], ids[0]
        sink(ranks, ids, k, rank, id)
