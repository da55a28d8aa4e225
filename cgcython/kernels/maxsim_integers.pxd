from libc.stdint cimport uint8_t

cdef Py_ssize_t integers_pack_query(
    const float *tokens, Py_ssize_t count, Py_ssize_t dim, Py_ssize_t lines, signed char *packed
) noexcept nogil
cdef Py_ssize_t integers_encode(
    const float *values, Py_ssize_t count, Py_ssize_t dim, int bits, uint8_t *codes, float *scales
) noexcept nogil
cdef float integers_score(
    const signed char *packed, Py_ssize_t lines, Py_ssize_t groups, Py_ssize_t num_query,
    const uint8_t *codes, int bits, const float *norms, Py_ssize_t count, Py_ssize_t width
) noexcept nogil
