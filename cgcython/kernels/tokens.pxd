from libc.stdint cimport uint32_t

cdef float tokens_magnitude(const float *token, Py_ssize_t dim) noexcept nogil
cdef float tokens_max_abs(const float *token, Py_ssize_t dim) noexcept nogil
cdef float tokens_entropy(const float *token, Py_ssize_t dim) noexcept nogil
cdef void tokens_select_top(
    const float *scores, Py_ssize_t n, uint32_t *kept, Py_ssize_t k
) noexcept nogil
# The method is 0 for the length, 1 for the largest magnitude, 2 for the entropy.
cdef void tokens_score(
    int method, const float *values, Py_ssize_t n, Py_ssize_t dim, float *scores
) noexcept nogil
cdef void tokens_prune(
    int method, const float *values, Py_ssize_t n, Py_ssize_t dim, float *scores, uint32_t *kept,
    Py_ssize_t k, float *out
) noexcept nogil
