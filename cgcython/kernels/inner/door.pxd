"""What every kernel checks before its loop, where nothing can fail any more."""
cimport numpy as np
from cgcython.kernels.inner.types cimport f32, i64, u8

cdef extern from "inner/door.h":
    # check_buffers(written, views...) raises ValueError where a memoryview is None or misaligned,
    # or where one of the first `written` ones, the outputs, overlaps any other.
    int check_buffers "CG_CHECK_BUFFERS"(int written, ...) except -1
    bint overlap "cg_overlap"(
        const void *a, Py_ssize_t a_bytes, const void *b, Py_ssize_t b_bytes
    ) nogil


cdef inline Py_ssize_t in_bytes(Py_ssize_t bits) noexcept nogil:
    """Return how many bytes hold so many bits; adding 7 first could overflow."""
    return (bits >> 3) + (bits & 7 != 0)


cdef inline int agree(
    str what, Py_ssize_t actual, str other, Py_ssize_t expected
) except -1:
    """Raise ValueError unless two lengths agree."""
    if actual != expected:
        raise ValueError(f"{what} holds {actual}, {other} holds {expected}")
    return 0


cdef inline bint is_unmasked(object array) noexcept:
    """Return whether something is an array, and none that masks some of its values."""
    return np.PyArray_CheckExact(array) or (
        np.PyArray_Check(array) and not hasattr(array, "mask")
    )


cdef inline const f32 *plain_vector(object values, Py_ssize_t dim) noexcept:
    """Return where a contiguous native float32 array of dim numbers lies, or NULL."""
    if (
        is_unmasked(values)
        and np.PyArray_NDIM(values) == 1
        and np.PyArray_DIM(values, 0) == dim
        and np.PyArray_TYPE(values) == np.NPY_FLOAT32
        and np.PyArray_ISCARRAY_RO(values)
    ):
        return <const f32 *>np.PyArray_DATA(values)
    return NULL


cdef inline object vector_out(object out, np.npy_intp n):
    """Return a new float32 array of n numbers, or `out` where it is a plain one, else None."""
    if out is None:
        return np.PyArray_EMPTY(1, &n, np.NPY_FLOAT32, 0)
    if (
        np.PyArray_Check(out)
        and np.PyArray_NDIM(out) == 1
        and np.PyArray_DIM(out, 0) == n
        and np.PyArray_TYPE(out) == np.NPY_FLOAT32
        and np.PyArray_ISCARRAY(out)
    ):
        return out
    return None


cdef inline u8 *plain_out(object out, Py_ssize_t n) noexcept:
    """Return where a contiguous writable array of n bytes lies, or NULL."""
    if (
        np.PyArray_Check(out)
        and np.PyArray_NDIM(out) == 1
        and np.PyArray_DIM(out, 0) == n
        and np.PyArray_TYPE(out) == np.NPY_UINT8
        and np.PyArray_ISCARRAY(out)
    ):
        return <u8 *>np.PyArray_DATA(out)
    return NULL


cdef inline const f32 *plain_matrix(
    object values, Py_ssize_t *rows, Py_ssize_t *dim
) noexcept:
    """Return where a contiguous native float32 matrix lies, and its shape, or NULL."""
    if (
        is_unmasked(values)
        and np.PyArray_NDIM(values) == 2
        and np.PyArray_TYPE(values) == np.NPY_FLOAT32
        and np.PyArray_ISCARRAY_RO(values)
    ):
        rows[0], dim[0] = np.PyArray_DIM(values, 0), np.PyArray_DIM(values, 1)
        return <const f32 *>np.PyArray_DATA(values)
    return NULL


cdef inline void *shaped(object array, int kind, int axes, str what) except NULL:
    """Return where a contiguous native array of a kind and number of axes lies."""
    if not (
        np.PyArray_Check(array)
        and np.PyArray_NDIM(array) == axes
        and np.PyArray_TYPE(array) == kind
        and np.PyArray_ISCARRAY_RO(array)
    ):
        raise ValueError(f"{what} is no contiguous array of the right type and {axes} axes")
    return np.PyArray_DATA(array)


cdef inline void *writable(object array, int kind, int axes, str what) except NULL:
    cdef void *start = shaped(array, kind, axes, what)
    if not np.PyArray_ISWRITEABLE(array):
        raise ValueError(f"{what} is read-only")
    return start


cdef inline int require_apart(
    str what, const void *written, Py_ssize_t bytes_written,
    str other, const void *read, Py_ssize_t bytes_read,
) except -1:
    """Raise ValueError where an output overlaps what else is passed."""
    if overlap(written, bytes_written, read, bytes_read):
        raise ValueError(f"{what} overlaps {other}; give it memory of its own")
    return 0


cdef inline int check_offsets(
    str what, const i64[::1] offsets, Py_ssize_t rows
) except -1:
    """Raise ValueError unless offsets ascend within some rows."""
    cdef Py_ssize_t i
    if offsets.shape[0] == 0 or offsets[0] < 0 or offsets[offsets.shape[0] - 1] > rows:
        raise ValueError(f"{what} leave {rows} rows")
    for i in range(offsets.shape[0] - 1):
        if offsets[i] > offsets[i + 1]:
            raise ValueError(f"{what} fall at {i}")
    return 0
