from libc.stdint cimport uint8_t, uint16_t

cdef Py_ssize_t maxsim_bf16_encode(
    const float *values, Py_ssize_t n, uint16_t *halves
) noexcept nogil
cdef void maxsim_bf16_decode(const uint16_t *halves, Py_ssize_t n, float *values) noexcept nogil
cdef Py_ssize_t maxsim_bf16_pack_query(
    const float *tokens, Py_ssize_t count, Py_ssize_t dim, uint16_t *packed
) noexcept nogil
cdef void maxsim_bf16_inverse_norms(
    const uint16_t *tokens, Py_ssize_t count, Py_ssize_t dim, float *norms
) noexcept nogil
cdef float maxsim_bf16_score(
    const uint16_t *packed, Py_ssize_t num_query, const uint16_t *tokens, const float *norms,
    Py_ssize_t count, Py_ssize_t dim
) noexcept nogil
cdef float maxsim_bf16_score_codes(
    const uint16_t *packed, Py_ssize_t num_query, const uint8_t *codes, const float *norms,
    Py_ssize_t count, Py_ssize_t dim
) noexcept nogil
