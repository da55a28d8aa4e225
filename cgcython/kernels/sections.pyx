"""Rows of a batch as bytes, each with a head and a checksum; rows of lists as a matrix.

The checksum is zlib's CRC-32: the function of the library that Python uses, called from C, or where
it cannot be found there, Python's.
"""
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.ref cimport Py_INCREF
from libc.string cimport memcpy
cimport numpy as np
from cgcython.kernels.inner.door cimport (
    agree, check_buffers, check_offsets, plain_matrix, plain_vector, require_apart,
)
from cgcython.kernels.inner.types cimport f32, i64, u8, u32

from cgcython import checksums

cdef extern from "Python.h":
    ctypedef struct PyObject
    const int PyBUF_READ
    PyObject *listed "PyList_GET_ITEM"(PyObject *items, Py_ssize_t i) nogil
    char *start_of "PyBytes_AS_STRING"(PyObject *data) nogil

np.import_array()

ctypedef unsigned long (*Checksum)(unsigned long, const u8 *, unsigned int) noexcept nogil

cdef enum:
    CHECKSUM_BYTES = 4
    AT_ONCE = 1 << 30  # bytes, for zlib counts them as unsigned int
    STACKED = 256      # rows that are copied without the GIL

cdef Checksum zlib_crc32 = <Checksum><size_t>checksums.address_in_c()
cdef object python_crc32 = checksums.crc32


cdef inline u32 crc_of(const u8 *data, Py_ssize_t length) noexcept nogil:
    cdef:
        unsigned long crc = 0
        Py_ssize_t some
    while length > 0:
        some = min(length, AT_ONCE)
        crc = zlib_crc32(crc, data, <unsigned int>some)
        data, length = data + some, length - some
    return <u32>crc


cdef inline void seal(u8 *data, Py_ssize_t length, u32 crc, u32 *out) noexcept nogil:
    cdef int i
    for i in range(CHECKSUM_BYTES):
        data[length + i] = <u8>(crc >> 8 * i)
    out[0] = crc


cdef list rooms(const i64[::1] offsets, Py_ssize_t more):
    """New bytes for each row, not yet written."""
    cdef Py_ssize_t i, n = offsets.shape[0] - 1
    cdef object room
    found = PyList_New(n)
    for i in range(n):
        room = PyBytes_FromStringAndSize(NULL, offsets[i + 1] - offsets[i] + more)
        Py_INCREF(room)
        PyList_SET_ITEM(found, i, room)
    return found


def frame(
    const u8[:, ::1] heads,     # IN
    const u8[::1] data,         # IN
    const i64[::1] offsets,     # IN
    u32[::1] crcs,              # OUT
):
    """Return for each row its head, data[offsets[i]:offsets[i + 1]] and their CRC-32 as bytes."""
    cdef:
        Py_ssize_t i, length, head = heads.shape[1], n = heads.shape[0]
        bint in_c = zlib_crc32 is not NULL
        PyObject *rows
        u8 *row
    check_buffers(1, crcs, heads, data, offsets)
    agree("offsets", offsets.shape[0], "heads and one more", n + 1)
    agree("crcs", crcs.shape[0], "heads", n)
    check_offsets("offsets", offsets, data.shape[0])
    found = rooms(offsets, head + CHECKSUM_BYTES)
    rows = <PyObject *>found
    with nogil:
        for i in range(n):
            row, length = <u8 *>start_of(listed(rows, i)), offsets[i + 1] - offsets[i]
            memcpy(row, &heads[0, 0] + i * head, head)
            memcpy(row + head, &data[0] + offsets[i], length)
            if in_c:
                seal(row, head + length, crc_of(row, head + length), &crcs[i])
    if not in_c:
        for i in range(n):
            row, length = <u8 *>start_of(listed(rows, i)), head + offsets[i + 1] - offsets[i]
            seal(row, length, python_crc32(
                PyMemoryView_FromMemory(<char *>row, length, PyBUF_READ)), &crcs[i])
    return found


cdef const f32 *plain_rows(object values, Py_ssize_t dim, bint are_matrices, Py_ssize_t *count):
    """Return where contiguous float32 rows of dim numbers lie and how many there are, or NULL."""
    cdef Py_ssize_t columns
    cdef const f32 *rows
    if are_matrices:
        rows = plain_matrix(values, count, &columns)
        return rows if rows is not NULL and columns == dim else NULL
    count[0] = 1
    return plain_vector(values, dim)


def stack(
    list rows not None,     # IN
    bint are_matrices,
    f32[:, ::1] out,        # OUT
):
    """Write contiguous float32 vectors or matrices of one width as the rows of a matrix.

    Return False where one is none, or is not all that there is room for; then `out` is undefined.
    """
    cdef:
        Py_ssize_t i = 0, k, some, at = 0, n = len(rows), dim = out.shape[1]
        const f32 *starts[STACKED]
        Py_ssize_t counts[STACKED]
    check_buffers(1, out)
    while i < n:
        some = min(n - i, STACKED)
        for k in range(some):
            starts[k] = plain_rows(rows[i + k], dim, are_matrices, &counts[k])
            if starts[k] is NULL:
                return False
            require_apart(
                "out", &out[0, 0], 4 * out.shape[0] * dim, "a row", starts[k], 4 * counts[k] * dim
            )
        with nogil:
            for k in range(some):
                if counts[k] > out.shape[0] - at:
                    break
                memcpy(&out[0, 0] + at * dim, starts[k], 4 * counts[k] * dim)
                at += counts[k]
            else:
                k = some
        if k < some:
            return False
        i += some
    return at == out.shape[0]
