"""Product quantization: each part of a vector becomes the number of its nearest centroid.

Whole-number and float32 screens rule centroids out by proven bounds and the float64 distance
decides among those that are left, so that every level returns the codes of the definition.
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
cimport numpy as np
from cgcython.kernels._codebook cimport CENTROIDS, MAX_WIDTH, Codebook, padded, read
from cgcython.kernels._door cimport plain_vector
from cgcython.kernels._pq_decode cimport decode_all
from cgcython.kernels._pq_encode cimport encode_all, encode_block, first_nonfinite
from cgcython.kernels._pq_rotation cimport BLOCK
from cgcython.kernels._types cimport f32, u8

np.import_array()

cdef extern from "_pq.h" nogil:
    f32 dot_of "cg_pq_dot"(const f32 *x, const f32 *y, Py_ssize_t n)
    f32 distance_of "cg_pq_distance"(const f32 *x, const f32 *y, Py_ssize_t n)


cdef int require_rows(
    const Codebook *book, Py_ssize_t n, Py_ssize_t dim, Py_ssize_t codes, Py_ssize_t parts,
    Py_ssize_t scratch
) except -1:
    if dim != book.dim:
        raise ValueError(f"rows hold {dim} values, the codebook {book.dim}")
    if codes != n or parts != book.parts:
        raise ValueError(f"codes are {(codes, parts)}, expected {(n, book.parts)}")
    if book.mean != NULL and scratch < BLOCK * padded(max(book.width, book.dim)):
        raise ValueError(f"scratch holds {scratch}; use pq_layout.scratch")
    return 0


def encode_rows(
    const f32[:, ::1] values,  # IN
    object prepared,
    u8[:, ::1] codes,          # OUT
    f32[::1] scratch,          # of pq_layout.scratch
):
    """Write the codes [n, M] of rows [n, dim]; return where the first non-finite value is, or -1.

    Where the return is not -1 the codes mean nothing.
    """
    cdef:
        Codebook book
        Py_ssize_t n = values.shape[0], found = -1
    read(prepared, &book)
    require_rows(&book, n, values.shape[1], codes.shape[0], codes.shape[1], scratch.shape[0])
    if n:
        with nogil:
            found = encode_all(
                &book, &values[0, 0], n, &codes[0, 0], &scratch[0] if book.mean != NULL else NULL
            )
    return found


def encode_vector(object values, object prepared):
    """Return the codes of one vector, or None where values needs a closer look.

    That is when it is no finite, contiguous float32 ndarray [dim].
    """
    cdef:
        Codebook book
        f32[MAX_WIDTH] parts
        const f32 *x
        object codes
    read(prepared, &book)
    x = plain_vector(values, book.dim)
    if x is NULL or first_nonfinite(x, book.dim) >= 0:
        return None
    codes = PyBytes_FromStringAndSize(NULL, book.parts)
    encode_block(&book, x, 1, <u8 *>PyBytes_AS_STRING(codes), parts)
    return codes


def decode_rows(
    const u8[:, ::1] codes,  # IN
    object prepared,
    f32[:, ::1] out,         # OUT
    f32[::1] scratch,        # of pq_layout.scratch
):
    """Write the vector [n, dim] of each row of codes: its centroids rotated back, plus the mean."""
    cdef:
        Codebook book
        Py_ssize_t n = out.shape[0]
    read(prepared, &book)
    require_rows(&book, n, out.shape[1], codes.shape[0], codes.shape[1], scratch.shape[0])
    if n:
        with nogil:
            decode_all(
                &book, &codes[0, 0], n, &out[0, 0], &scratch[0] if book.mean != NULL else NULL
            )


def decode_vector(bytes codes not None, object prepared):
    """Return the vector of M bytes of codes."""
    cdef:
        Codebook book
        f32[MAX_WIDTH] scratch
        object out
    read(prepared, &book)
    if PyBytes_GET_SIZE(codes) != book.parts:
        raise ValueError(f"codes hold {len(codes)}, the codebook {book.parts}")
    out = np.PyArray_EMPTY(1, <np.npy_intp *>&book.dim, np.NPY_FLOAT32, 0)
    decode_all(
        &book, <const u8 *>PyBytes_AS_STRING(codes), 1,
        <f32 *>np.PyArray_DATA(<np.ndarray>out), scratch,
    )
    return out


cdef int require_table(
    const Codebook *book, Py_ssize_t values, Py_ssize_t rows, Py_ssize_t columns
) except -1:
    if values != book.width:
        raise ValueError(f"query holds {values}, the codebook {book.width}")
    if rows != book.parts or columns != CENTROIDS:
        raise ValueError(f"table is {(rows, columns)}, expected {(book.parts, CENTROIDS)}")
    return 0


def dot_table(
    const f32[::1] query,  # IN
    object prepared,
    f32[:, ::1] table,     # OUT
):
    """Write the dot products [M, 256] of the parts of a projected query with the centroids."""
    cdef:
        Codebook book
        Py_ssize_t m, i
    read(prepared, &book)
    require_table(&book, query.shape[0], table.shape[0], table.shape[1])
    with nogil:
        for m in range(book.parts):
            for i in range(CENTROIDS):
                table[m, i] = dot_of(
                    &query[m * book.part],
                    book.centroids + (m * CENTROIDS + i) * book.part, book.part,
                )


def distance_table(
    const f32[::1] query,  # IN
    object prepared,
    f32[:, ::1] table,     # OUT
):
    """Write the squared distances [M, 256] of a projected query from the centroids."""
    cdef:
        Codebook book
        Py_ssize_t m, i
    read(prepared, &book)
    require_table(&book, query.shape[0], table.shape[0], table.shape[1])
    with nogil:
        for m in range(book.parts):
            for i in range(CENTROIDS):
                table[m, i] = distance_of(
                    &query[m * book.part],
                    book.centroids + (m * CENTROIDS + i) * book.part, book.part,
                )
