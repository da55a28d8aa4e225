"""The k best of some scores, by bisection between their bits; NaN comes last."""
from libc.math cimport INFINITY, NAN
from libc.stdint cimport int32_t
from libc.string cimport memcpy
from cgcython.kernels.inner.types cimport f32, i64, u32

cdef enum:
    OF_NAN = -0x80000000  # below the key of any number


cdef inline int32_t key_of(f32 score) noexcept nogil:
    """Return a whole number in the order of the scores; adding 0 makes -0.0 equal to 0.0."""
    cdef int32_t key
    if score != score:
        return OF_NAN
    score = score + 0
    memcpy(&key, &score, sizeof(key))
    return key ^ ((key >> 31) & 0x7FFFFFFF)


cdef inline f32 score_of(int32_t key) noexcept nogil:
    cdef f32 score
    key ^= (key >> 31) & 0x7FFFFFFF
    memcpy(&score, &key, sizeof(score))
    return score


cdef inline Py_ssize_t count_from(const f32 *scores, Py_ssize_t n, f32 least) noexcept nogil:
    """Return how many scores reach the least."""
    cdef:
        Py_ssize_t i
        int32_t count = 0
    for i in range(n):
        count += scores[i] >= least
    return count


cdef inline f32 reached_by(const f32 *scores, Py_ssize_t n, Py_ssize_t k) noexcept nogil:
    """Return what exactly k scores reach, or the k-th best where ties allow no such number."""
    cdef:
        Py_ssize_t count
        i64 low = key_of(-INFINITY), high = <i64>key_of(INFINITY) + 1, middle
    if count_from(scores, n, -INFINITY) < k:
        return NAN
    while high - low > 1:
        middle = (low + high) >> 1
        count = count_from(scores, n, score_of(<int32_t>middle))
        if count == k:
            return score_of(<int32_t>middle)
        if count > k:
            low = middle
        else:
            high = middle
    return score_of(<int32_t>low)


cdef inline void keep_from(
    const f32 *scores, Py_ssize_t n, f32 least, u32 *kept, Py_ssize_t k
) noexcept nogil:
    """Write the positions of the k scores that reach the least, without a branch on any."""
    cdef Py_ssize_t i, place = 0
    for i in range(n):
        if place == k:
            return
        kept[place] = <u32>i
        place += scores[i] >= least


cdef inline void keep_ties(
    const f32 *scores, Py_ssize_t n, f32 last, u32 *kept, Py_ssize_t k
) noexcept nogil:
    """Write what lies above the k-th best, and equals of it, the lowest positions first."""
    cdef:
        Py_ssize_t i, place = 0, ties = k
        int32_t key, key_of_last = key_of(last)
    for i in range(n):
        ties -= key_of(scores[i]) > key_of_last
    for i in range(n):
        key = key_of(scores[i])
        if place < k and (key > key_of_last or (key == key_of_last and ties > 0)):
            ties -= key == key_of_last
            kept[place] = <u32>i
            place += 1


cdef inline void keep_best(
    const f32 *scores, Py_ssize_t n, u32 *kept, Py_ssize_t k
) noexcept nogil:
    """Write the ascending positions of the k best scores; ties keep the lower position."""
    cdef f32 last = reached_by(scores, n, k)
    if count_from(scores, n, last) == k:
        keep_from(scores, n, last, kept, k)
    else:
        keep_ties(scores, n, last, kept, k)
