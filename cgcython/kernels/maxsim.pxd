from libc.stdint cimport uint8_t

cdef Py_ssize_t maxsim_pack_query(
    const float *tokens, Py_ssize_t count, Py_ssize_t dim, float *packed
) noexcept nogil
cdef bint maxsim_inverse_norms(
    const float *tokens, Py_ssize_t count, Py_ssize_t dim, float *norms
) noexcept nogil
cdef void maxsim_inverse_norms_codes(
    const uint8_t *codes, Py_ssize_t count, Py_ssize_t dim, float *norms
) noexcept nogil
cdef float maxsim_score(
    const float *packed, Py_ssize_t num_query, const float *tokens, const float *norms,
    Py_ssize_t count, Py_ssize_t dim
) noexcept nogil
cdef float maxsim_score_codes(
    const float *packed, Py_ssize_t num_query, const uint8_t *codes, Py_ssize_t count,
    Py_ssize_t dim
) noexcept nogil
