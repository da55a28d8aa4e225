from libc.stdint cimport uint8_t, uint32_t

# Layouts: 0 canonical, 1 compact E4M3, 2 compact f32, 3 and 4 compact with 4 and 2 bits, 5 and 6
# likewise with f16 scales. Those of 4 and 2 bits take up to 4096 values a token; see
# token_records.pyx.
# Returns whether all kept tokens are finite, and their scales f16 where the layout has those; only
# canonical records have an importance.
cdef bint token_record_write(
    const float *values, Py_ssize_t n, Py_ssize_t dim, const uint32_t *kept,
    const float *importance, Py_ssize_t count, int layout, uint8_t *data
) noexcept nogil
# Returns whether a record of the right length names its tokens, and all are finite.
cdef bint token_record_read(
    const uint8_t *data, Py_ssize_t n, Py_ssize_t count, Py_ssize_t dim, int layout, float *values
) noexcept nogil
