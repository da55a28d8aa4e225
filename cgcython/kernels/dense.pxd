from libc.stdint cimport int32_t, int64_t

cdef float dense_dot(const float *a, const float *b, Py_ssize_t n) noexcept nogil
cdef float dense_norm(const float *values, Py_ssize_t n) noexcept nogil
cdef float dense_cosine(const float *a, const float *b, Py_ssize_t n) noexcept nogil
cdef void dense_dot_rows(
    const float *query, const float *rows, Py_ssize_t n, Py_ssize_t dim, float *out
) noexcept nogil
cdef void dense_cosine_rows(
    const float *query, const float *rows, Py_ssize_t n, Py_ssize_t dim, float *out
) noexcept nogil
# Writes the ids of the k best, and int32 ranks that order as their scores do.
cdef void dense_top_k(
    const float *scores, Py_ssize_t n, Py_ssize_t k, int64_t *ids, int32_t *ranks
) noexcept nogil
