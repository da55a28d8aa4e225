from libc.stdint cimport int64_t, uint8_t

# Scores are cosines where `scales` is NULL. Takes up to 4096 dimensions. Returns how many of the
# `room` rows were written, or -1 where there are more.
cdef Py_ssize_t e4m3_best_best(
    const float *query, const uint8_t *codes, const float *inverse_norms, const float *scales,
    Py_ssize_t n, Py_ssize_t dim, Py_ssize_t k, double within, double least, int64_t *best_rows,
    float *scores, Py_ssize_t room,
) noexcept nogil
