from libc.stdint cimport uint8_t

cdef void pq_adc_scan(
    const float *table, const uint8_t *codes, float *out, Py_ssize_t n, Py_ssize_t parts
) noexcept nogil
