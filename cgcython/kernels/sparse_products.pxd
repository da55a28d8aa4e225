from libc.stdint cimport uint32_t

cdef bint sparse_dot(
    const float *query, Py_ssize_t dimension, const uint32_t *indices, const float *weights,
    Py_ssize_t nnz, float *dot
) noexcept nogil
