from libc.stdint cimport int64_t, uint8_t

cdef void adc_scan(
    const float *table, const uint8_t *codes, float *out, Py_ssize_t n, Py_ssize_t M
) noexcept nogil
cdef void adc_topk(
    const float *table, const uint8_t *codes, Py_ssize_t n, Py_ssize_t M,
    int64_t *ids, float *best, Py_ssize_t k
) noexcept nogil
cdef void adc_topk_blocks(
    const float *table, const uint8_t *blocks, Py_ssize_t n, Py_ssize_t M,
    int64_t *ids, float *best, Py_ssize_t k
) noexcept nogil
