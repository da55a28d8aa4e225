from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

# Returns whether every value is finite.
cdef bint bits_pack(
    const float *values, Py_ssize_t n, float threshold, uint8_t *packed
) noexcept nogil
cdef void bits_unpack(const uint8_t *packed, Py_ssize_t n, float *values) noexcept nogil
cdef uint64_t bits_hamming(const uint8_t *a, const uint8_t *b, Py_ssize_t n) noexcept nogil
cdef void bits_hamming_rows(
    const uint8_t *query, const uint8_t *codes, Py_ssize_t n, Py_ssize_t width, uint32_t *distances
) noexcept nogil
# Writes the fraction of num_bits that agree.
cdef void bits_agreement_rows(
    const uint8_t *query, const uint8_t *codes, Py_ssize_t n, Py_ssize_t width,
    Py_ssize_t num_bits, float *out
) noexcept nogil
# Writes the ids of the k nearest, and for each the rank -1 - distance.
cdef void bits_hamming_topk(
    const uint8_t *query, const uint8_t *codes, Py_ssize_t n, Py_ssize_t width, Py_ssize_t k,
    int64_t *ids, int32_t *ranks
) noexcept nogil
