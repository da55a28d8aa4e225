"""Someone else's extension: it calls cgcython's kernels from C, without Python in between."""
from cgcython.kernels cimport bits_hamming, dense_dot, e4m3_encode, sparse_dot, sparse_size
from libc.stdint cimport uint8_t, uint32_t


def encode(const float[::1] values, uint8_t[::1] codes):
    with nogil:
        e4m3_encode(&values[0], &codes[0], values.shape[0])


def distance(const uint8_t[::1] a, const uint8_t[::1] b):
    with nogil:
        distance = bits_hamming(&a[0], &b[0], a.shape[0])
    return distance


def dot(const float[::1] a, const float[::1] b):
    with nogil:
        product = dense_dot(&a[0], &b[0], a.shape[0])
    return product


def sparse_product(
    const float[::1] query, const uint32_t[::1] indices, const float[::1] weights
):
    cdef float product = 0
    with nogil:
        inside = sparse_dot(
            &query[0], query.shape[0], &indices[0], &weights[0], indices.shape[0], &product
        )
    return product if inside else None


def compact_size(Py_ssize_t nnz, Py_ssize_t dimension):
    return sparse_size(nnz, dimension, 1)


def addresses():
    """Where the functions lie that this module calls."""
    return {"e4m3_encode": <size_t>e4m3_encode, "sparse_size": <size_t>sparse_size}
