cdef void kmeans_shrink_distances(
    const float *values, const float *centre, float *distances, Py_ssize_t n, Py_ssize_t dim
) noexcept nogil
