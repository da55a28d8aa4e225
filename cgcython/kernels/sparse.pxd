from libc.stdint cimport int64_t, uint8_t, uint32_t

# Layouts are 0 canonical, and compact with weights in 1 f16, 2 f32, 3 steps of 8 bits.
cdef Py_ssize_t sparse_size(Py_ssize_t nnz, Py_ssize_t dimension, int layout) noexcept nogil
cdef int sparse_check(
    const uint32_t *indices, const float *weights, Py_ssize_t nnz, Py_ssize_t dimension, int layout
) noexcept nogil
cdef void sparse_write(
    const uint32_t *indices, const float *weights, Py_ssize_t nnz, Py_ssize_t dimension,
    int layout, uint8_t *data
) noexcept nogil
cdef int sparse_read(
    const uint8_t *data, Py_ssize_t length, Py_ssize_t nnz, Py_ssize_t dimension, int layout,
    uint32_t *indices, float *weights
) noexcept nogil
