from libc.stdint cimport uint8_t
from cgcython.kernels.inner.pq.codebook cimport PQCodebook

# Points book into the arrays of a pq_layout.PreparedCodebook, which must outlive it.
cdef int pq_read(object prepared, PQCodebook *book) except -1
# Returns how many floats of scratch pq_encode and pq_decode write to; 0 without a rotation.
cdef Py_ssize_t pq_scratch(const PQCodebook *book) noexcept nogil
# Returns the flat index of the first value that is not finite, or -1; then codes are written.
cdef Py_ssize_t pq_encode(
    const PQCodebook *book, const float *values, Py_ssize_t n, uint8_t *codes, float *scratch
) noexcept nogil
cdef void pq_decode(
    const PQCodebook *book, const uint8_t *codes, Py_ssize_t n, float *values, float *scratch
) noexcept nogil
# Write what the centroids add to a projected query's dot product or squared distance.
cdef void pq_dot_table(const PQCodebook *book, const float *query, float *table) noexcept nogil
cdef void pq_distance_table(
    const PQCodebook *book, const float *query, float *table
) noexcept nogil
