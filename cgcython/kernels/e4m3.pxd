from libc.stdint cimport int64_t, uint8_t

cdef void e4m3_encode(const float *values, uint8_t *codes, Py_ssize_t n) noexcept nogil
cdef void e4m3_decode(
    const uint8_t *codes, float scale, float bias, float *values, Py_ssize_t n
) noexcept nogil
# Returns the scale, or NaN where a value is not finite.
cdef float e4m3_encode_scaled(const float *values, uint8_t *codes, Py_ssize_t n) noexcept nogil
# Returns the flat index of the first value that is not finite, or -1.
cdef Py_ssize_t e4m3_encode_rows(
    const float *values, Py_ssize_t n, Py_ssize_t dim, uint8_t *codes, float *scales
) noexcept nogil
cdef void e4m3_decode_rows(
    const uint8_t *codes, const float *scales, Py_ssize_t n, Py_ssize_t dim, float *values
) noexcept nogil
cdef void e4m3_dot_rows(
    const float *query, const uint8_t *codes, const float *scales, Py_ssize_t n, Py_ssize_t dim,
    float *out,
) noexcept nogil
cdef void e4m3_cosine_rows(
    const float *query, const uint8_t *codes, const float *inverse_norms, Py_ssize_t n,
    Py_ssize_t dim, float *out,
) noexcept nogil
# Of n rows in any order, of up to 4096 dimensions.
cdef void e4m3_cosine_rows_at(
    const float *query, const uint8_t *codes, const float *inverse_norms, Py_ssize_t dim,
    const int64_t *rows, Py_ssize_t n, float *out,
) noexcept nogil
cdef void e4m3_inverse_norms(
    const uint8_t *codes, Py_ssize_t n, Py_ssize_t dim, float *out
) noexcept nogil
