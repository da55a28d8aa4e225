"""The sparse layouts byte by byte: what a vector must be, and how it is written and read."""
from libc.stdint cimport uint64_t as u64
from libc.string cimport memcpy
from cgcython.kernels.inner.sparse.elias_fano cimport (
    count_ones, high_bits_of, join, low_bits_of, low_bytes_of, padding_is_zero, read_high,
    write_high, write_low,
)
from cgcython.kernels.inner.sparse.halves cimport halves_are_finite, read_halves, write_halves
from cgcython.kernels.inner.sparse.steps cimport STEPS_HEAD, read_steps, write_steps
from cgcython.kernels.inner.sparse.fields cimport read32, write32
from cgcython.kernels.inner.types cimport f32, u8, u32

cdef enum:
    CANONICAL_LAYOUT = 0
    F16_LAYOUT = 1
    F32_LAYOUT = 2
    U8_LAYOUT = 3

cdef enum:
    OK = 0
    LENGTH = 1
    COUNT = 2
    PADDING = 3
    INDEX = 4
    WEIGHT = 5


cdef inline u32 bits_of(const f32 *weight) noexcept nogil:
    return read32(<const u8 *>weight)


cdef inline int check_indices(
    const u32 *indices, Py_ssize_t nnz, Py_ssize_t dimension
) noexcept nogil:
    cdef Py_ssize_t i
    cdef int wrong = 0
    for i in range(1, nnz):
        wrong |= indices[i] <= indices[i - 1]
    if wrong or (nnz and indices[nnz - 1] >= dimension):
        return INDEX
    return OK


cdef inline int check_weights(const f32 *weights, Py_ssize_t nnz) noexcept nogil:
    cdef Py_ssize_t i
    cdef int wrong = 0
    for i in range(nnz):
        wrong |= (bits_of(&weights[i]) & 0x7FFFFFFF) >= 0x7F800000
    return WEIGHT if wrong else OK


cdef inline Py_ssize_t weight_bytes(Py_ssize_t nnz, int layout) noexcept nogil:
    """The bytes of the weights of a compact vector that has any."""
    if layout == U8_LAYOUT:
        return STEPS_HEAD + nnz
    return nnz * (2 if layout == F16_LAYOUT else 4)


cdef inline void write_pairs(
    const u32 *indices, const f32 *weights, Py_ssize_t nnz, u8 *data
) noexcept nogil:
    cdef Py_ssize_t i
    write32(data, <u32>nnz)
    for i in range(nnz):
        write32(data + 4 + 8 * i, indices[i])
        write32(data + 8 + 8 * i, bits_of(&weights[i]))


cdef inline void write_compact(
    const u32 *indices, const f32 *weights, Py_ssize_t nnz, Py_ssize_t dimension, int layout,
    u8 *data
) noexcept nogil:
    cdef u32 low_bits = low_bits_of(nnz, dimension)
    cdef Py_ssize_t num_bytes = (high_bits_of(nnz, dimension, low_bits) + 7) >> 3
    write_low(indices, nnz, low_bits, data)
    data += low_bytes_of(nnz, low_bits)
    write_high(indices, nnz, low_bits, data, num_bytes)
    data += num_bytes
    if layout == F16_LAYOUT:
        write_halves(weights, nnz, data)
    elif layout == U8_LAYOUT:
        write_steps(weights, nnz, data)
    else:
        memcpy(data, weights, 4 * nnz)


cdef inline int read_pairs(
    const u8 *data, Py_ssize_t nnz, u32 *indices, f32 *weights
) noexcept nogil:
    cdef Py_ssize_t i
    if read32(data) != <u64>nnz:
        return COUNT
    for i in range(nnz):
        indices[i] = read32(data + 4 + 8 * i)
        memcpy(&weights[i], data + 8 + 8 * i, 4)
    return OK


cdef inline int read_compact(
    const u8 *data, Py_ssize_t nnz, Py_ssize_t dimension, int layout, u32 *indices, f32 *weights
) noexcept nogil:
    cdef:
        u32 low_bits = low_bits_of(nnz, dimension)
        Py_ssize_t high_bits = high_bits_of(nnz, dimension, low_bits)
        Py_ssize_t num_bytes = (high_bits + 7) >> 3
        const u8 *high = data + low_bytes_of(nnz, low_bits)
        const u8 *tail = high + num_bytes
    if not (padding_is_zero(data, nnz * low_bits) and padding_is_zero(high, high_bits)):
        return PADDING
    # The count bounds all that follows.
    if count_ones(high, num_bytes) != nnz:
        return COUNT
    if layout == F16_LAYOUT:
        if not halves_are_finite(tail, nnz):
            return WEIGHT
        read_halves(tail, nnz, weights)
    elif layout == U8_LAYOUT:
        if not read_steps(tail, nnz, weights):
            return WEIGHT
    else:
        memcpy(weights, tail, 4 * nnz)
    read_high(high, nnz, indices)
    join(data, nnz, low_bits, indices)
    return OK
