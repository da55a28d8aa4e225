"""Sparse vectors as bytes, in four layouts.

The layouts are defined bit by bit in `reference/sparse.py`: canonical pairs, and the compact
Elias-Fano strings whose length follows from nnz and dimension.
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
cimport numpy as np
from cgcython.kernels.inner.door cimport agree, check_buffers, require_apart
from cgcython.kernels.inner.sparse.elias_fano cimport high_bits_of, low_bits_of, low_bytes_of
from cgcython.kernels.inner.sparse.halves cimport fit_half
from cgcython.kernels.inner.sparse.layout cimport (
    CANONICAL_LAYOUT, COUNT, F16_LAYOUT, F32_LAYOUT, INDEX, LENGTH, OK, PADDING, U8_LAYOUT, WEIGHT,
    check_indices, check_weights, read_compact, read_pairs, weight_bytes, write_compact,
    write_pairs,
)
from cgcython.kernels.inner.sparse.rows cimport is_plain, require_rows
from cgcython.kernels.inner.types cimport f32, i64, u8, u32

np.import_array()

cdef extern from "Python.h":
    const Py_ssize_t PY_SSIZE_T_MAX

cdef enum:
    VECTORS_TOGETHER = 128  # vectors that are read without the GIL

CANONICAL, COMPACT_F16, COMPACT_F32 = CANONICAL_LAYOUT, F16_LAYOUT, F32_LAYOUT
COMPACT_U8 = U8_LAYOUT
SOUND, BAD_LENGTH, BAD_COUNT = OK, LENGTH, COUNT
BAD_PADDING, BAD_INDEX, BAD_WEIGHT = PADDING, INDEX, WEIGHT


cdef Py_ssize_t sparse_size(Py_ssize_t nnz, Py_ssize_t dimension, int layout) noexcept nogil:
    cdef u32 low_bits
    if layout == CANONICAL_LAYOUT:
        return 4 + 8 * nnz
    if nnz == 0:
        return 0
    low_bits = low_bits_of(nnz, dimension)
    return (
        low_bytes_of(nnz, low_bits) + ((high_bits_of(nnz, dimension, low_bits) + 7) >> 3)
        + weight_bytes(nnz, layout)
    )


cdef int sparse_check(
    const u32 *indices, const f32 *weights, Py_ssize_t nnz, Py_ssize_t dimension, int layout
) noexcept nogil:
    cdef int status = check_indices(indices, nnz, dimension)
    if status == OK:
        status = check_weights(weights, nnz)
    if status == OK and layout == F16_LAYOUT and not fit_half(weights, nnz):
        status = WEIGHT
    return status


cdef void sparse_write(
    const u32 *indices, const f32 *weights, Py_ssize_t nnz, Py_ssize_t dimension, int layout,
    u8 *data
) noexcept nogil:
    if layout == CANONICAL_LAYOUT:
        write_pairs(indices, weights, nnz, data)
    elif nnz:
        write_compact(indices, weights, nnz, dimension, layout, data)


cdef int sparse_read(
    const u8 *data, Py_ssize_t length, Py_ssize_t nnz, Py_ssize_t dimension, int layout,
    u32 *indices, f32 *weights
) noexcept nogil:
    cdef int status = OK
    if nnz > dimension or length != sparse_size(nnz, dimension, layout):
        return LENGTH
    if layout == CANONICAL_LAYOUT:
        status = read_pairs(data, nnz, indices, weights)
    elif nnz:
        status = read_compact(data, nnz, dimension, layout, indices, weights)
    if status == OK:
        status = check_indices(indices, nnz, dimension)
    # Halves were checked before they were widened.
    if status == OK and layout != F16_LAYOUT:
        status = check_weights(weights, nnz)
    return status


cdef bint is_size(Py_ssize_t nnz, Py_ssize_t dimension, int layout) noexcept nogil:
    return 0 <= nnz <= dimension < <Py_ssize_t>1 << 32 and 0 <= layout <= U8_LAYOUT


cdef int require_size(Py_ssize_t nnz, Py_ssize_t dimension, int layout) except -1:
    if not is_size(nnz, dimension, layout):
        raise ValueError(f"no layout {layout} of {nnz} non-zeros among {dimension}")
    return 0


cdef int require_layouts(
    const i64[::1] indptr, Py_ssize_t dimension, const u8[::1] layouts
) except -1:
    cdef Py_ssize_t row
    for row in range(layouts.shape[0]):
        require_size(indptr[row + 1] - indptr[row], dimension, layouts[row])
    return 0


def size(Py_ssize_t nnz, Py_ssize_t dimension, int layout):
    """Return the bytes that nnz of `dimension` values take."""
    require_size(nnz, dimension, layout)
    return sparse_size(nnz, dimension, layout)


def encode(
    const u32[::1] indices,  # IN
    const f32[::1] weights,  # IN
    Py_ssize_t dimension,
    int layout,
    u8[::1] data,            # OUT
):
    """Write the bytes of one vector; return whether its indices, weights and layout are sound."""
    cdef Py_ssize_t nnz = indices.shape[0]
    check_buffers(1, data, indices, weights)
    require_size(nnz, dimension, layout)
    if weights.shape[0] != nnz or data.shape[0] != sparse_size(nnz, dimension, layout):
        raise ValueError(f"{nnz} indices, {weights.shape[0]} weights, {data.shape[0]} bytes")
    if sparse_check(&indices[0], &weights[0], nnz, dimension, layout) != OK:
        return False
    sparse_write(&indices[0], &weights[0], nnz, dimension, layout, &data[0])
    return True


def decode(
    const u8[::1] data,      # IN
    Py_ssize_t dimension,
    int layout,
    u32[::1] indices,        # OUT
    f32[::1] weights,        # OUT
):
    """Read the bytes of one vector and return SOUND, or what is wrong; then both are undefined."""
    cdef Py_ssize_t nnz = indices.shape[0]
    check_buffers(2, indices, weights, data)
    if weights.shape[0] != nnz:
        raise ValueError(f"indices holds {nnz}, weights holds {weights.shape[0]}")
    require_size(min(nnz, dimension), dimension, layout)
    return sparse_read(
        &data[0], data.shape[0], nnz, dimension, layout, &indices[0], &weights[0]
    )


def encode_vector(object indices, object weights, Py_ssize_t dimension, int layout):
    """Return the bytes of one vector, or None when it takes a closer look to say why not."""
    cdef:
        Py_ssize_t nnz
        u32 *places
        f32 *values
        object data
    if not (is_plain(indices, np.NPY_UINT32) and is_plain(weights, np.NPY_FLOAT32)):
        return None
    nnz = np.PyArray_DIM(<np.ndarray>indices, 0)
    if np.PyArray_DIM(<np.ndarray>weights, 0) != nnz or nnz > dimension:
        return None
    require_size(nnz, dimension, layout)
    places = <u32 *>np.PyArray_DATA(<np.ndarray>indices)
    values = <f32 *>np.PyArray_DATA(<np.ndarray>weights)
    if sparse_check(places, values, nnz, dimension, layout) != OK:
        return None
    data = PyBytes_FromStringAndSize(NULL, sparse_size(nnz, dimension, layout))
    sparse_write(places, values, nnz, dimension, layout, <u8 *>PyBytes_AS_STRING(data))
    return data


def decode_vector(bytes data not None, Py_ssize_t nnz, Py_ssize_t dimension, int layout):
    """Return new (indices, weights), or None when the bytes are not those of such a vector."""
    cdef:
        np.npy_intp length = nnz
        object indices, weights
    if not is_size(nnz, dimension, layout) or len(data) != sparse_size(nnz, dimension, layout):
        return None
    indices = np.PyArray_EMPTY(1, &length, np.NPY_UINT32, 0)
    weights = np.PyArray_EMPTY(1, &length, np.NPY_FLOAT32, 0)
    if sparse_read(
        <const u8 *>PyBytes_AS_STRING(data), len(data), nnz, dimension, layout,
        <u32 *>np.PyArray_DATA(<np.ndarray>indices), <f32 *>np.PyArray_DATA(<np.ndarray>weights),
    ) != OK:
        return None
    return indices, weights


def fits_half(
    const i64[::1] indptr,   # IN
    const f32[::1] weights,  # IN
    u8[::1] fits,            # OUT
):
    """Write 1 for each row whose weights fit in f16, else 0."""
    cdef Py_ssize_t row
    check_buffers(1, fits, indptr, weights)
    require_rows(indptr, weights.shape[0], fits.shape[0])
    with nogil:
        for row in range(fits.shape[0]):
            fits[row] = fit_half(&weights[0] + indptr[row], indptr[row + 1] - indptr[row])


def measure_rows(
    const i64[::1] indptr,   # IN
    Py_ssize_t dimension,
    const u8[::1] layouts,   # IN
    i64[::1] offsets,        # OUT
):
    """Write where the bytes of each row begin, and where the last one ends."""
    cdef Py_ssize_t row, num_rows = layouts.shape[0]
    check_buffers(1, offsets, indptr, layouts)
    require_rows(indptr, PY_SSIZE_T_MAX, num_rows)
    require_layouts(indptr, dimension, layouts)
    if offsets.shape[0] != num_rows + 1:
        raise ValueError(f"{offsets.shape[0]} row edges, {num_rows} rows")
    offsets[0] = 0
    for row in range(num_rows):
        offsets[row + 1] = offsets[row] + sparse_size(
            indptr[row + 1] - indptr[row], dimension, layouts[row]
        )


def encode_rows(
    const i64[::1] indptr,   # IN
    const u32[::1] indices,  # IN
    const f32[::1] weights,  # IN
    Py_ssize_t dimension,
    const u8[::1] layouts,   # IN
    u8[::1] data,            # OUT
    const i64[::1] offsets,  # IN
):
    """Write the bytes of all rows; return the first row that is not sound, or -1."""
    cdef Py_ssize_t row, start, nnz, bad = -1, num_rows = layouts.shape[0]
    check_buffers(1, data, indptr, indices, weights, layouts, offsets)
    require_rows(indptr, min(indices.shape[0], weights.shape[0]), num_rows)
    require_rows(offsets, data.shape[0], num_rows)
    require_layouts(indptr, dimension, layouts)
    for row in range(num_rows):
        nnz = indptr[row + 1] - indptr[row]
        if offsets[row + 1] - offsets[row] != sparse_size(nnz, dimension, layouts[row]):
            raise ValueError(f"row {row} has {offsets[row + 1] - offsets[row]} bytes")
    with nogil:
        for row in range(num_rows):
            start, nnz = indptr[row], indptr[row + 1] - indptr[row]
            if sparse_check(
                &indices[0] + start, &weights[0] + start, nnz, dimension, layouts[row]
            ) != OK:
                bad = row
                break
            sparse_write(
                &indices[0] + start, &weights[0] + start, nnz, dimension, layouts[row],
                &data[0] + offsets[row],
            )
    return bad


cdef const void *numbers(object array, int kind, Py_ssize_t *count) noexcept:
    """Return where the numbers of a plain vector of a kind lie and how many there are, or NULL."""
    if not is_plain(array, kind):
        return NULL
    count[0] = np.PyArray_DIM(<np.ndarray>array, 0)
    return np.PyArray_DATA(<np.ndarray>array)


def fits_half_vectors(
    list weights not None,  # IN
    u8[::1] fits,           # OUT
):
    """Write 1 for each vector whose weights fit in f16, else 0.

    Return False where one is no plain vector of float32; then `fits` is undefined.
    """
    cdef:
        Py_ssize_t first, i, some, n = len(weights)
        const f32 *values[VECTORS_TOGETHER]
        Py_ssize_t counts[VECTORS_TOGETHER]
    check_buffers(1, fits)
    agree("fits", fits.shape[0], "weights", n)
    for first in range(0, n, VECTORS_TOGETHER):
        some = min(n - first, VECTORS_TOGETHER)
        for i in range(some):
            values[i] = <const f32 *>numbers(weights[first + i], np.NPY_FLOAT32, &counts[i])
            if values[i] is NULL:
                return False
        with nogil:
            for i in range(some):
                fits[first + i] = fit_half(values[i], counts[i])
    return True


def encode_vectors(
    list indices not None,   # IN
    list weights not None,   # IN
    Py_ssize_t dimension,
    const u8[::1] layouts,   # IN
    u8[::1] data,            # OUT
    const i64[::1] offsets,  # IN
):
    """Write the bytes of all vectors; return the first that is not plain or not sound, or -1."""
    cdef:
        Py_ssize_t first, i, some, length, bad, n = layouts.shape[0]
        const u32 *places[VECTORS_TOGETHER]
        const f32 *values[VECTORS_TOGETHER]
        Py_ssize_t counts[VECTORS_TOGETHER]
    check_buffers(1, data, layouts, offsets)
    require_rows(offsets, data.shape[0], n)
    agree("indices", len(indices), "layouts", n)
    agree("weights", len(weights), "layouts", n)
    for first in range(0, n, VECTORS_TOGETHER):
        some = min(n - first, VECTORS_TOGETHER)
        for i in range(some):
            places[i] = <const u32 *>numbers(indices[first + i], np.NPY_UINT32, &counts[i])
            values[i] = <const f32 *>numbers(weights[first + i], np.NPY_FLOAT32, &length)
            if places[i] is NULL or values[i] is NULL or length != counts[i]:
                return first + i
            require_room(counts[i], dimension, layouts, offsets, first + i)
            require_apart("data", &data[0], data.shape[0], "indices", places[i], 4 * length)
            require_apart("data", &data[0], data.shape[0], "weights", values[i], 4 * length)
        with nogil:
            bad = write_vectors(
                places, values, counts, some, dimension, &layouts[first], &data[0], &offsets[first]
            )
        if bad >= 0:
            return first + bad
    return -1


cdef int require_room(
    Py_ssize_t nnz, Py_ssize_t dimension, const u8[::1] layouts, const i64[::1] offsets,
    Py_ssize_t i
) except -1:
    require_size(nnz, dimension, layouts[i])
    if offsets[i + 1] - offsets[i] != sparse_size(nnz, dimension, layouts[i]):
        raise ValueError(f"row {i} has {offsets[i + 1] - offsets[i]} bytes")
    return 0


cdef Py_ssize_t write_vectors(
    const u32 **indices, const f32 **weights, const Py_ssize_t *counts, Py_ssize_t n,
    Py_ssize_t dimension, const u8 *layouts, u8 *data, const i64 *offsets
) noexcept nogil:
    """Return the first vector that is not sound, or -1."""
    cdef Py_ssize_t i
    for i in range(n):
        if sparse_check(indices[i], weights[i], counts[i], dimension, layouts[i]) != OK:
            return i
        sparse_write(indices[i], weights[i], counts[i], dimension, layouts[i], data + offsets[i])
    return -1


def decode_rows(
    const u8[::1] data,      # IN
    const i64[::1] offsets,  # IN
    const u8[::1] layouts,   # IN
    Py_ssize_t dimension,
    const i64[::1] indptr,   # IN
    u32[::1] indices,        # OUT
    f32[::1] weights,        # OUT
):
    """Read the bytes of all rows; return the first damaged row, or -1."""
    cdef Py_ssize_t row, start, nnz, bad = -1, num_rows = layouts.shape[0]
    check_buffers(2, indices, weights, data, offsets, layouts, indptr)
    require_rows(indptr, min(indices.shape[0], weights.shape[0]), num_rows)
    require_rows(offsets, data.shape[0], num_rows)
    with nogil:
        for row in range(num_rows):
            start, nnz = indptr[row], indptr[row + 1] - indptr[row]
            if not is_size(nnz, dimension, layouts[row]) or sparse_read(
                &data[0] + offsets[row], offsets[row + 1] - offsets[row], nnz, dimension,
                layouts[row], &indices[0] + start, &weights[0] + start,
            ) != OK:
                bad = row
                break
    return bad
