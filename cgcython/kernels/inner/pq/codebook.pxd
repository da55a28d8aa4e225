"""What the kernels of product quantization know of a codebook: pointers into its arrays."""
from libc.stdint cimport int8_t


cdef struct PQCodebook:
    Py_ssize_t M, dsub       # subspaces, and values of each; each has 256 centroids
    Py_ssize_t d_out         # M * dsub, the values of a vector after projection
    Py_ssize_t dim           # the values of a vector, and d_out without a rotation
    const float *centroids
    const float *centres
    const int8_t *codes
    const float *scales
    const float *half_norms
    const float *bounds
    float rounding           # the length of a subvector's rounding error, in steps
    float most_steps         # of a value: sums of their products with codes stay within 32 bits
    float column_norm
    const float *mean        # NULL without a rotation, as are the next three
    const float *rotation
    const float *forward
    const float *back
