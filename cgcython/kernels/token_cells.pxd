from libc.stdint cimport int32_t, int64_t, uint32_t, uint8_t

# `packed` is what maxsim_integers packs, of one plane; writes `wanted` cells of each token, the
# nearest first. A cell that is not there is -1, with a cosine of 0.
cdef void token_cells_nearest(
    const signed char *packed, Py_ssize_t tokens, const uint8_t *codes, const float *norms,
    Py_ssize_t cells, Py_ssize_t dim, Py_ssize_t wanted, int32_t *nearest, float *cosines
) noexcept nogil
# Returns how many entries of lists were read, or -1 where one is no document.
cdef int64_t token_cells_accumulate(
    const int32_t *nearest, const float *gains, Py_ssize_t tokens, Py_ssize_t wanted,
    const int64_t *offsets, const uint32_t *documents, int32_t *marks, float *sums,
    Py_ssize_t count
) noexcept nogil
