from libc.stdint cimport uint8_t

cdef void maxsim_pq_tables(
    const float *packed, Py_ssize_t blocks, const float *codebook, Py_ssize_t M,
    Py_ssize_t dsub, float *tables
) noexcept nogil
cdef void maxsim_pq_squares(
    const float *codebook, Py_ssize_t M, Py_ssize_t dsub, double *squares
) noexcept nogil
cdef void maxsim_pq_inverse_norms(
    const double *squares, Py_ssize_t M, const uint8_t *codes, Py_ssize_t count,
    float *norms
) noexcept nogil
cdef float maxsim_pq_score(
    const float *tables, Py_ssize_t num_query, Py_ssize_t M, const uint8_t *codes,
    const float *norms, Py_ssize_t count
) noexcept nogil
