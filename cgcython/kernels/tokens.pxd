from libc.stdint cimport uint32_t

cdef float tokens_magnitude(const float *token, Py_ssize_t dim) noexcept nogil
cdef float tokens_max_abs(const float *token, Py_ssize_t dim) noexcept nogil
cdef float tokens_entropy(const float *token, Py_ssize_t dim) noexcept nogil
cdef void tokens_select_top(
    const float *scores, Py_ssize_t n, uint32_t *kept, Py_ssize_t k
) noexcept nogil
