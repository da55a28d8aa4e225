"""The arrays of a PreparedCodebook, checked at the door and read without Python behind it."""
from cpython.tuple cimport PyTuple_Check, PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.math cimport sqrtf
from libc.string cimport memset
cimport numpy as np
from cgcython.kernels.inner.door cimport overlap
from cgcython.kernels.inner.pq.codebook cimport PQCodebook
from cgcython.kernels.inner.types cimport f32, i8

cdef extern from "inner/pq/tile.h" nogil:
    enum:
        STRIP "CG_STRIP"
        KSUB "CG_KSUB"

cdef enum:
    MAX_DSUB = 4096    # values of a subvector, as pq_layout.prepare allows
    MAX_D_OUT = 16384  # values of all subvectors
    BOUNDS = 4         # of each subvector


cdef inline void *data_of(
    object prepared, Py_ssize_t item, int kind, int ndim, Py_ssize_t *shape
) except NULL:
    """Return the data of an array of a PreparedCodebook and its shape."""
    cdef object found = <object>PyTuple_GET_ITEM(prepared, item)
    cdef np.ndarray array
    cdef int axis
    if not np.PyArray_Check(found):
        raise ValueError(f"item {item} of the prepared codebook is {type(found).__name__}")
    array = <np.ndarray>found
    if (
        np.PyArray_TYPE(array) != kind
        or not np.PyArray_IS_C_CONTIGUOUS(array)
        or not np.PyArray_ISBEHAVED_RO(array)
        or np.PyArray_NDIM(array) != ndim
    ):
        raise ValueError(f"item {item} of the prepared codebook is {array.dtype} {found.shape}")
    for axis in range(ndim):
        shape[axis] = np.PyArray_DIM(array, axis)
    return np.PyArray_DATA(array)


cdef inline const f32 *floats_of(
    object prepared, Py_ssize_t item, int ndim, Py_ssize_t *shape
) except NULL:
    return <const f32 *>data_of(prepared, item, np.NPY_FLOAT32, ndim, shape)


cdef inline int require(bint fits) except -1:
    if not fits:
        raise ValueError("the arrays of the prepared codebook do not fit; use pq_layout.prepare")
    return 0


cdef inline int read(object prepared, PQCodebook *book) except -1:
    """Fill book from a PreparedCodebook; every size the loops rely on is checked here."""
    cdef Py_ssize_t[5] shape
    if not PyTuple_Check(prepared) or PyTuple_GET_SIZE(prepared) != 11:
        raise ValueError("expected a PreparedCodebook; use pq_layout.prepare")
    memset(book, 0, sizeof(PQCodebook))
    book.centroids = floats_of(prepared, 0, 3, shape)
    book.M, book.dsub = shape[0], shape[2]
    book.d_out = book.dim = book.M * book.dsub
    require(shape[1] == KSUB and book.dsub <= MAX_DSUB and book.d_out <= MAX_D_OUT)
    read_screen(prepared, book)
    book.column_norm = <object>PyTuple_GET_ITEM(prepared, 6)
    if <object>PyTuple_GET_ITEM(prepared, 8) is not None:
        read_rotation(prepared, book)
    return 0


cdef inline int require_apart_from(
    object prepared, str what, const void *written, Py_ssize_t size
) except -1:
    """Raise ValueError where an output overlaps an array of a PreparedCodebook."""
    cdef object array
    for array in <tuple>prepared:
        if np.PyArray_Check(array) and overlap(
            written, size, np.PyArray_DATA(array), np.PyArray_NBYTES(array)
        ):
            raise ValueError(f"{what} overlaps the codebook; give it memory of its own")
    return 0


cdef inline int read_screen(object prepared, PQCodebook *book) except -1:
    cdef Py_ssize_t[5] shape
    book.centres = floats_of(prepared, 1, 2, shape)
    require(shape[0] == book.M and shape[1] == book.dsub)
    book.codes = <const i8 *>data_of(prepared, 2, np.NPY_INT8, 5, shape)
    require(shape[0] == book.M and shape[1] * STRIP == KSUB and shape[4] == 2)
    require(shape[2] == pairs_of(book.dsub) and shape[3] == STRIP)
    book.scales = floats_of(prepared, 3, 2, shape)
    require(shape[0] == book.M and shape[1] == KSUB)
    book.half_norms = floats_of(prepared, 4, 2, shape)
    require(shape[0] == book.M and shape[1] == KSUB)
    book.bounds = floats_of(prepared, 5, 2, shape)
    require(shape[0] == book.M and shape[1] == BOUNDS)
    book.rounding = 0.51 * sqrtf(<f32>book.dsub)
    book.most_steps = min(32767.0, 2.0**31 / (130 * (book.dsub + 1)))
    return 0


cdef inline int read_rotation(object prepared, PQCodebook *book) except -1:
    cdef Py_ssize_t[4] shape
    book.rotation = floats_of(prepared, 8, 2, shape)
    book.dim = shape[0]
    require(shape[1] == book.d_out)
    book.mean = floats_of(prepared, 7, 1, shape)
    require(shape[0] == book.dim)
    book.forward = floats_of(prepared, 9, 3, shape)
    require(shape[0] * STRIP == padded(book.d_out) and shape[1] == book.dim and shape[2] == STRIP)
    book.back = floats_of(prepared, 10, 3, shape)
    require(shape[0] * STRIP == padded(book.dim) and shape[1] == book.d_out and shape[2] == STRIP)
    return 0


cdef inline Py_ssize_t padded(Py_ssize_t n) noexcept nogil:
    return (n + STRIP - 1) // STRIP * STRIP


cdef inline Py_ssize_t pairs_of(Py_ssize_t n) noexcept nogil:
    return (n + 1) // 2
