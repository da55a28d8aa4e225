"""Decides among the centroids that the screen left.

Float32 distances do, and float64 ones, which define the codes, where those are too close.
"""
from libc.math cimport INFINITY, sqrt
from libc.string cimport memset
from cgcython.kernels.inner.pq.codebook_layout cimport KSUB, MAX_DSUB
from cgcython.kernels.inner.pq.codebook cimport PQCodebook
from cgcython.kernels.inner.pq.sums cimport distance_of
from cgcython.kernels.inner.pq.rotation cimport UNIT
from cgcython.kernels.inner.pq.screen cimport HUGE, TINY, WORDS
from cgcython.kernels.inner.simd.compiler cimport first_one
from cgcython.kernels.inner.types cimport f32, u64

cdef extern from "inner/pq/tile.h" nogil:
    int DOUBLES "CG_DOUBLES"
    double rounded "cg_rounded"(double product)
    void add_scaled_doubles "cg_add_scaled_doubles"(double factor, const f32 *row, double *sums)


cdef inline int nearest(
    const PQCodebook *book, Py_ssize_t m, const f32 *x, const f32 *subvector, f32 error, u64 *masks
) noexcept nogil:
    """Return the nearest of some centroids by float32 distances, or float64 where it is close."""
    cdef:
        f32[KSUB] distances
        f32 least = INFINITY, relative = (book.dsub // 16 + 12) * UNIT
        double reach, limit
        int word, i, count = 0, best = 0
        u64 left
    for word in range(WORDS):
        left = masks[word]
        while left:
            i = 64 * word + first_one(left)
            left &= left - 1
            distances[i] = distance_of(
                subvector, book.centroids + (m * KSUB + i) * book.dsub, book.dsub
            )
            if distances[i] < least:
                least = distances[i]
    reach = sqrt(<double>least) * (1 + relative) + 2 * error
    limit = reach * reach * (1 + 4 * relative) + TINY
    if not limit < HUGE:
        return decide(book, m, x, subvector, masks)
    for word in range(WORDS):
        left = masks[word]
        while left:
            i = 64 * word + first_one(left)
            left &= left - 1
            if distances[i] <= limit:
                best = i
                count += 1
            else:
                masks[word] ^= <u64>1 << (i - 64 * word)
    return best if count == 1 else decide(book, m, x, subvector, masks)


cdef inline int decide(
    const PQCodebook *book, Py_ssize_t m, const f32 *x, const f32 *subvector, const u64 *masks
) noexcept nogil:
    """Return the nearest of some centroids by the float64 distance, the lowest on ties."""
    cdef:
        double[MAX_DSUB] exact
        double distance, difference, least = -1
        Py_ssize_t i, k
        int best = 0
        const f32 *centroid
    exact_subvector(book, m, x, subvector, exact)
    for i in range(KSUB):
        if not masks[i // 64] >> (i % 64) & 1:
            continue
        centroid = book.centroids + (m * KSUB + i) * book.dsub
        distance = 0
        for k in range(book.dsub):
            difference = exact[k] - <double>centroid[k]
            distance += rounded(difference * difference)
        if least < 0 or distance < least:
            least, best = distance, <int>i
    return best


cdef inline void exact_subvector(
    const PQCodebook *book, Py_ssize_t m, const f32 *x, const f32 *subvector, double *exact
) noexcept nogil:
    """Write a subvector in float64, projected again where there is a rotation."""
    cdef Py_ssize_t i, k
    if book.mean == NULL:
        for k in range(book.dsub):
            exact[k] = subvector[k]
        return
    memset(exact, 0, book.dsub * sizeof(double))
    for i in range(book.dim):
        add_scaled(
            <double>x[i] - <double>book.mean[i],
            book.rotation + i * book.d_out + m * book.dsub, exact, book.dsub,
        )


cdef inline void add_scaled(
    double factor, const f32 *row, double *sums, Py_ssize_t n
) noexcept nogil:
    """Add factor * row in float64, each product rounded."""
    cdef Py_ssize_t i = 0
    while i + DOUBLES <= n:
        add_scaled_doubles(factor, row + i, sums + i)
        i += DOUBLES
    while i < n:
        sums[i] += rounded(factor * row[i])
        i += 1
