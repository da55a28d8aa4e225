from libc.stdint cimport int64_t, uint8_t

# Writes, of E4M3 tokens, the inverse lengths of their bytes and how far these directions lie apart.
cdef void maxsim_codes_measure(
    const uint8_t *codes, Py_ssize_t count, Py_ssize_t dim, float *norms, float *distances
) noexcept nogil
# `packed` is of maxsim_integers_pack_query, one plane; document i is counts[i] tokens from
# starts[i] on.
cdef void maxsim_codes_score(
    const signed char *packed, Py_ssize_t num_query, Py_ssize_t dim, const uint8_t *codes,
    const float *norms, const int64_t *starts, const int64_t *counts, Py_ssize_t documents,
    float *sums
) noexcept nogil
