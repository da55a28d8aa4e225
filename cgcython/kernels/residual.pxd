from libc.stdint cimport int16_t, int32_t, uint8_t

# Writes values [n, d] @ matrix [d, columns], whose columns lie in strips of 64.
cdef void residual_product(
    const float *values, Py_ssize_t n, Py_ssize_t d, const float *strips, Py_ssize_t columns,
    float *out
) noexcept nogil
# Extends beams of codes [n, beam, M] by some stages, best first; at most 32 stages, beam 256.
cdef void residual_search(
    const float *products, const float *norms, const int16_t *cross, const uint8_t *shifts,
    float unit, Py_ssize_t n, Py_ssize_t first, Py_ssize_t stages, Py_ssize_t beam, Py_ssize_t M,
    uint8_t *codes, int32_t *scores
) noexcept nogil
# Writes the sum [n, width] of the centroids [M, 256, width] that each row of codes names.
cdef void residual_sums(
    const uint8_t *codes, Py_ssize_t n, Py_ssize_t M, const float *centroids, Py_ssize_t width,
    float *out
) noexcept nogil
