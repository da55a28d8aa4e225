from libc.stdint cimport uint8_t, uint64_t

# Returns whether every value is finite.
cdef bint bits_pack(
    const float *values, Py_ssize_t n, float threshold, uint8_t *packed
) noexcept nogil
cdef void bits_unpack(const uint8_t *packed, Py_ssize_t n, float *values) noexcept nogil
cdef uint64_t bits_hamming(const uint8_t *a, const uint8_t *b, Py_ssize_t n) noexcept nogil
