"""Reads lists of lists of numbers, and lists of vectors, into float32 matrices."""
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from cpython.long cimport PyLong_CheckExact
from cpython.ref cimport PyObject
from libc.string cimport memcpy
cimport numpy as np
from cgcython.kernels.inner.door cimport plain_vector
from cgcython.kernels.inner.types cimport f32

cdef extern from "Python.h":
    bint PyList_CheckExact(object values)
    bint PyTuple_CheckExact(object values)
    Py_ssize_t PySequence_Fast_GET_SIZE(object values)
    PyObject **PySequence_Fast_ITEMS(object values)
    long long PyLong_AsLongLongAndOverflow(object value, int *overflow) except? -1

cdef extern from *:
    """
    #if defined(Py_GIL_DISABLED)
    enum { CG_LISTS_STAY = 0 }; /* another thread may change a list while it is read */
    #else
    enum { CG_LISTS_STAY = 1 };
    #endif
    """
    enum:
        LISTS_STAY "CG_LISTS_STAY"

cdef enum:
    EXACT_BITS = 53  # of a float64: NumPy reads a longer integer as int64, and rounds it once


cdef inline bint is_list(object values) noexcept:
    """Tell whether something is a sequence that nobody can change meanwhile; NumPy reads others."""
    return PyTuple_CheckExact(values) or (LISTS_STAY and PyList_CheckExact(values))


cdef inline bint read_integer(object value, f32 *out) noexcept:
    cdef int overflow = 0
    cdef long long number = PyLong_AsLongLongAndOverflow(value, &overflow)
    if overflow or not -(1LL << EXACT_BITS) <= number <= 1LL << EXACT_BITS:
        return False
    out[0] = <f32>number
    return True


cdef inline bint read_numbers(object numbers, Py_ssize_t n, f32 *row) noexcept:
    """Write a list of n floats or integers; return False where it is anything else."""
    cdef:
        Py_ssize_t i
        PyObject **items
    if not is_list(numbers) or PySequence_Fast_GET_SIZE(numbers) != n:
        return False
    items = PySequence_Fast_ITEMS(numbers)
    for i in range(n):
        if PyFloat_CheckExact(<object>items[i]):
            row[i] = <f32>PyFloat_AS_DOUBLE(<object>items[i])
        elif not PyLong_CheckExact(<object>items[i]) or not read_integer(<object>items[i], row + i):
            return False
    return True


cdef inline bint read_row(object values, Py_ssize_t n, f32 *row) noexcept:
    cdef const f32 *vector
    if not np.PyArray_CheckExact(values):
        return read_numbers(values, n, row)
    vector = plain_vector(values, n)
    if vector is not NULL:
        memcpy(row, vector, n * sizeof(f32))
    return vector is not NULL


cdef inline Py_ssize_t width_of(object values) noexcept:
    """Return how many numbers the first row of a list of rows has; 0 where it is something else."""
    cdef object row
    if not is_list(values) or PySequence_Fast_GET_SIZE(values) == 0:
        return 0
    row = <object>PySequence_Fast_ITEMS(values)[0]
    if is_list(row):
        return PySequence_Fast_GET_SIZE(row)
    if np.PyArray_CheckExact(row) and np.PyArray_NDIM(row) == 1:
        return np.PyArray_DIM(row, 0)
    return 0


cdef inline object list_matrix(object values):
    """Return the matrix of a list of rows of one length, at least 1, else None.

    Nothing here runs Python code, which could change the lists meanwhile. Without a GIL threads
    could, so NumPy reads lists then.
    """
    cdef:
        Py_ssize_t i
        np.npy_intp[2] shape
        PyObject **rows
        f32 *out
        object matrix
    shape[1] = width_of(values)
    if shape[1] == 0:
        return None
    shape[0], rows = PySequence_Fast_GET_SIZE(values), PySequence_Fast_ITEMS(values)
    matrix = np.PyArray_EMPTY(2, shape, np.NPY_FLOAT32, 0)
    out = <f32 *>np.PyArray_DATA(matrix)
    for i in range(shape[0]):
        if not read_row(<object>rows[i], shape[1], out + i * shape[1]):
            return None
    return matrix
