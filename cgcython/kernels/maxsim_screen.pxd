from libc.stdint cimport int64_t, uint8_t
from cgcython.kernels.inner.maxsim.screen_arrays cimport ScreenQuery, ScreenTokens

# Up to 4096 dimensions. Returns the lines of a block of numbers, 128 bytes each.
cdef Py_ssize_t maxsim_screen_lines(Py_ssize_t dim) noexcept nogil
# Writes codes and bounds of tokens whose norms maxsim_inverse_norms wrote.
cdef void maxsim_screen_encode(
    const float *values, const float *norms, Py_ssize_t count, Py_ssize_t dim, uint8_t *codes,
    float *bounds
) noexcept nogil
# Writes rows and numbers of a query that maxsim_pack_query packed.
cdef void maxsim_screen_pack_query(
    const float *packed, Py_ssize_t blocks, Py_ssize_t dim, float *rows, signed char *numbers
) noexcept nogil
# Document i is counts[i] tokens from starts[i] on. Returns how many dots were exact.
cdef Py_ssize_t maxsim_screen_score(
    const ScreenQuery *query, const ScreenTokens *tokens, const int64_t *starts,
    const int64_t *counts, Py_ssize_t documents, float *sums
) noexcept nogil
cdef void maxsim_screen_bound(
    const ScreenQuery *query, const ScreenTokens *tokens, const int64_t *starts,
    const int64_t *counts, Py_ssize_t documents, float *lower, float *upper
) noexcept nogil
# Writes the best of count tokens for each query token and its cosine, or -1 and 0.
cdef void maxsim_screen_align(
    const ScreenQuery *query, const ScreenTokens *tokens, Py_ssize_t count, int64_t *best,
    float *cosines
) noexcept nogil
