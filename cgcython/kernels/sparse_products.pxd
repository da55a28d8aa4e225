from libc.stdint cimport uint32_t

cdef bint sparse_dot(
    const float *query, Py_ssize_t dimension, const uint32_t *indices, const float *weights,
    Py_ssize_t nnz, float *dot
) noexcept nogil
cdef float sparse_dot_pair(
    const uint32_t *indices_a, const float *weights_a, Py_ssize_t nnz_a,
    const uint32_t *indices_b, const float *weights_b, Py_ssize_t nnz_b
) noexcept nogil
