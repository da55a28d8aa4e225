"""The arrays of a PreparedCodebook, checked at the door and read without Python behind it."""
from cpython.tuple cimport PyTuple_Check, PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.math cimport sqrtf
from libc.string cimport memset
cimport numpy as np
from cgcython.kernels._types cimport f32, i8

cdef extern from "_pq.h" nogil:
    enum:
        STRIP "CG_STRIP"
        CENTROIDS "CG_CENTROIDS"

cdef enum:
    MAX_PART = 4096    # values of a part, as pq_layout.prepare allows
    MAX_WIDTH = 16384  # values of all parts
    BOUNDS = 4         # of each part


cdef struct Codebook:
    const f32 *centroids
    const f32 *centres
    const i8 *codes
    const f32 *scales
    const f32 *half_norms
    const f32 *bounds
    f32 rounding           # the length of a part's error when its values become whole numbers
    f32 most_steps         # of a value: sums of their products with codes stay within 32 bits
    f32 column_norm
    const f32 *mean        # NULL without a rotation, as are the next three
    const f32 *rotation
    const f32 *forward
    const f32 *back
    Py_ssize_t parts, part, width, dim


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


cdef inline int read(object prepared, Codebook *book) except -1:
    """Fill book from a PreparedCodebook; every size the loops rely on is checked here."""
    cdef Py_ssize_t[5] shape
    if not PyTuple_Check(prepared) or PyTuple_GET_SIZE(prepared) != 11:
        raise ValueError("expected a PreparedCodebook; use pq_layout.prepare")
    memset(book, 0, sizeof(Codebook))
    book.centroids = floats_of(prepared, 0, 3, shape)
    book.parts, book.part = shape[0], shape[2]
    book.width = book.dim = book.parts * book.part
    require(shape[1] == CENTROIDS and book.part <= MAX_PART and book.width <= MAX_WIDTH)
    read_screen(prepared, book)
    book.column_norm = <object>PyTuple_GET_ITEM(prepared, 6)
    if <object>PyTuple_GET_ITEM(prepared, 8) is not None:
        read_rotation(prepared, book)
    return 0


cdef inline int read_screen(object prepared, Codebook *book) except -1:
    cdef Py_ssize_t[5] shape
    book.centres = floats_of(prepared, 1, 2, shape)
    require(shape[0] == book.parts and shape[1] == book.part)
    book.codes = <const i8 *>data_of(prepared, 2, np.NPY_INT8, 5, shape)
    require(shape[0] == book.parts and shape[1] * STRIP == CENTROIDS and shape[4] == 2)
    require(shape[2] == pairs_of(book.part) and shape[3] == STRIP)
    book.scales = floats_of(prepared, 3, 2, shape)
    require(shape[0] == book.parts and shape[1] == CENTROIDS)
    book.half_norms = floats_of(prepared, 4, 2, shape)
    require(shape[0] == book.parts and shape[1] == CENTROIDS)
    book.bounds = floats_of(prepared, 5, 2, shape)
    require(shape[0] == book.parts and shape[1] == BOUNDS)
    book.rounding = 0.51 * sqrtf(<f32>book.part)
    book.most_steps = min(32767.0, 2.0**31 / (130 * (book.part + 1)))
    return 0


cdef inline int read_rotation(object prepared, Codebook *book) except -1:
    cdef Py_ssize_t[4] shape
    book.rotation = floats_of(prepared, 8, 2, shape)
    book.dim = shape[0]
    require(shape[1] == book.width)
    book.mean = floats_of(prepared, 7, 1, shape)
    require(shape[0] == book.dim)
    book.forward = floats_of(prepared, 9, 3, shape)
    require(shape[0] * STRIP == padded(book.width) and shape[1] == book.dim and shape[2] == STRIP)
    book.back = floats_of(prepared, 10, 3, shape)
    require(shape[0] * STRIP == padded(book.dim) and shape[1] == book.width and shape[2] == STRIP)
    return 0


cdef inline Py_ssize_t padded(Py_ssize_t n) noexcept nogil:
    return (n + STRIP - 1) // STRIP * STRIP


cdef inline Py_ssize_t pairs_of(Py_ssize_t n) noexcept nogil:
    return (n + 1) // 2
