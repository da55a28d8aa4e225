from libc.stdint cimport int8_t, int16_t, int64_t, uint8_t

# `bits` are 8, 6, 4 or 2, a row of codes has ceil(dim * bits / 8) bytes, dim >= 1; `scratch` holds
# 2 * dim + 16. Returns the flat index of the first non-finite value, or -1.
cdef Py_ssize_t scalars_encode_rows(
    const float *values, Py_ssize_t n, Py_ssize_t dim, int bits, float *scratch, uint8_t *codes,
    float *scales, int8_t *powers
) noexcept nogil
cdef void scalars_decode_rows(
    const uint8_t *codes, const float *scales, const int8_t *powers, Py_ssize_t n, Py_ssize_t dim,
    int bits, float *values
) noexcept nogil
cdef void scalars_inverse_norms(
    const uint8_t *codes, Py_ssize_t n, Py_ssize_t dim, int bits, float *out
) noexcept nogil
# `packed` and `total` are what pack_query wrote and returned.
cdef void scalars_score_rows(
    const int16_t *packed, int64_t total, double factor, const uint8_t *codes,
    const float *factors, Py_ssize_t n, Py_ssize_t dim, int bits, float *out
) noexcept nogil
