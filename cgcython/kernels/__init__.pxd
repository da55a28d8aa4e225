"""The pointer-and-length functions of every family, for `from cgcython.kernels cimport ...`.

They follow the level that is bound when the importing module loads.
"""
from libc.stdint cimport uint8_t, uint64_t

cdef void e4m3_encode(const float *values, uint8_t *codes, Py_ssize_t n) noexcept nogil
cdef void e4m3_decode(
    const uint8_t *codes, float scale, float bias, float *values, Py_ssize_t n
) noexcept nogil
cdef float e4m3_encode_scaled(const float *values, uint8_t *codes, Py_ssize_t n) noexcept nogil
cdef float e4m3_dot(const float *query, const uint8_t *codes, Py_ssize_t n) noexcept nogil
cdef float e4m3_cosine(const float *query, const uint8_t *codes, Py_ssize_t n) noexcept nogil

cdef bint bits_pack(
    const float *values, Py_ssize_t n, float threshold, uint8_t *packed
) noexcept nogil
cdef void bits_unpack(const uint8_t *packed, Py_ssize_t n, float *values) noexcept nogil
cdef uint64_t bits_hamming(const uint8_t *a, const uint8_t *b, Py_ssize_t n) noexcept nogil

cdef float dense_dot(const float *a, const float *b, Py_ssize_t n) noexcept nogil
cdef float dense_cosine(const float *a, const float *b, Py_ssize_t n) noexcept nogil
