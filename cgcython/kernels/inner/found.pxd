"""The best rows of a scan as they are found: the k best, and those that score as high or nearly so.

Rows come in ascending order. NaN and -inf do not rank.
"""
from libc.math cimport INFINITY
from cgcython.kernels.inner.select cimport reached_by
from cgcython.kernels.inner.types cimport f32, f64, i64

cdef enum:
    SOME = 32  # rows that are added, at least, before the worst are dropped again


cdef struct Found:
    i64 *rows
    f32 *scores
    Py_ssize_t k
    Py_ssize_t room
    f64 within      # of the k-th best score
    f64 least       # a score that ranks is above it; lower rows cannot be among the best
    Py_ssize_t held
    Py_ssize_t due  # as many are held when the worst are dropped next


cdef inline void begin_found(
    Found *found, i64 *rows, f32 *scores, Py_ssize_t room, Py_ssize_t k, f64 within, f64 least
) noexcept nogil:
    """Begin without rows; `least` is what the best must reach, as far as that is known already."""
    found.rows, found.scores, found.room, found.k, found.within = rows, scores, room, k, within
    found.least, found.held, found.due = least, 0, k


cdef inline void drop_worst(Found *found) noexcept nogil:
    """Keep the k best and what is within reach of the last of them, and set `least` below that."""
    cdef:
        f32 reached, last = INFINITY
        f64 least
        Py_ssize_t i, kept = 0
    if found.held >= found.k:
        reached = reached_by(found.scores, found.held, found.k)
        for i in range(found.held):
            if found.scores[i] >= reached:
                last = min(last, found.scores[i])
        least = max(found.least, last - found.within)
        for i in range(found.held):
            if found.scores[i] >= least:
                found.rows[kept], found.scores[kept] = found.rows[i], found.scores[i]
                kept += 1
        found.held, found.least = kept, least
    found.due = found.held + max(found.k // 2, <Py_ssize_t>SOME)


cdef inline bint add_found(Found *found, i64 row, f32 score) noexcept nogil:
    """Add a row where it may be among the best; return False where there is no room for it."""
    if not (score >= found.least and score > -INFINITY):
        return True
    if found.held == found.room:
        drop_worst(found)
        if found.held == found.room:
            return score < found.least
    found.rows[found.held], found.scores[found.held] = row, score
    found.held += 1
    if found.held >= found.due:
        drop_worst(found)
    return True
