from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

# Writes a bit for each value >= 0 of rows that are scaled, centred and turned; `scratch` holds two.
cdef void sign_blocks_pack(
    const float *values, Py_ssize_t n, Py_ssize_t dim, const float *factors, const float *centre,
    const uint8_t *flips, Py_ssize_t turns, Py_ssize_t words, float *scratch, uint64_t *packed
) noexcept nogil
# A query has each of its words eight times; blocks of eight rows have a word of all side by side.
cdef void sign_blocks_distances(
    const uint64_t *query, const uint64_t *blocks, Py_ssize_t rows, Py_ssize_t words,
    uint32_t *distances
) noexcept nogil
# Writes the k nearest, ascending; `room` in both outputs is k + 64 or more.
cdef void sign_blocks_nearest(
    const uint64_t *query, const uint64_t *blocks, Py_ssize_t rows, Py_ssize_t words,
    Py_ssize_t k, int64_t *ids, uint32_t *distances, Py_ssize_t room
) noexcept nogil
