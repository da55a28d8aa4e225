from libc.stdint cimport uint8_t, uint32_t

# Up to 32767 tokens. The functions of sizes return bytes of scratch.
cdef Py_ssize_t coverage_cover_scratch(Py_ssize_t count, Py_ssize_t dim) noexcept nogil
cdef Py_ssize_t coverage_cluster_scratch(Py_ssize_t count, Py_ssize_t dim) noexcept nogil
cdef Py_ssize_t coverage_pool_scratch(Py_ssize_t count, Py_ssize_t dim) noexcept nogil
# Writes the k kept positions, ascending, and what each added to the sum of best cosines.
cdef void coverage_cover(
    const float *tokens, Py_ssize_t count, Py_ssize_t dim, uint32_t *kept, float *gains,
    Py_ssize_t k, uint8_t *scratch
) noexcept nogil
# Writes the cluster of each token, one of 1 to count clusters.
cdef void coverage_cluster(
    const float *tokens, Py_ssize_t count, Py_ssize_t dim, uint32_t *labels,
    Py_ssize_t num_clusters, uint8_t *scratch
) noexcept nogil
# Writes a token of dim values for each of 1 to count clusters, and where their representatives are.
cdef void coverage_pool(
    const float *tokens, Py_ssize_t count, Py_ssize_t dim, float *pooled, uint32_t *positions,
    Py_ssize_t num_clusters, uint8_t *scratch
) noexcept nogil
