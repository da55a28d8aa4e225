"""Puts the centroids that codes name side by side, and turns them back."""
from libc.string cimport memcpy
cimport numpy as np
from cgcython.kernels.inner.door cimport shaped
from cgcython.kernels.inner.pq.codebook_layout cimport KSUB, STRIP
from cgcython.kernels.inner.pq.codebook cimport PQCodebook
from cgcython.kernels.inner.pq.rotation cimport BLOCK_ROWS, rotate_back
from cgcython.kernels.inner.pq.sums cimport add_row
from cgcython.kernels.inner.types cimport f32, u8


cdef inline void gather(const PQCodebook *book, const u8 *codes, f32 *subvectors) noexcept nogil:
    cdef Py_ssize_t m
    for m in range(book.M):
        memcpy(
            subvectors + m * book.dsub,
            book.centroids + (m * KSUB + codes[m]) * book.dsub,
            book.dsub * sizeof(f32),
        )


cdef inline void decode_block(
    const PQCodebook *book, const u8 *codes, Py_ssize_t n, f32 *rows, f32 *scratch
) noexcept nogil:
    """Write up to BLOCK_ROWS rows."""
    cdef Py_ssize_t v, strip
    for v in range(n):
        gather(
            book, codes + v * book.M,
            rows + v * book.dim if book.mean == NULL else scratch + v * book.d_out,
        )
    if book.mean != NULL:
        strip = 0
        while strip < book.dim:
            rotate_back(book, scratch, n, strip, rows)
            strip += STRIP


cdef inline void decode_all(
    const PQCodebook *book, const u8 *codes, Py_ssize_t n, f32 *rows, f32 *scratch
) noexcept nogil:
    cdef Py_ssize_t start = 0
    while start < n:
        decode_block(
            book, codes + start * book.M, min(<Py_ssize_t>BLOCK_ROWS, n - start),
            rows + start * book.dim, scratch,
        )
        start += BLOCK_ROWS


cdef inline void decode_by_table(
    const PQCodebook *book, const u8 *codes, Py_ssize_t n, const f32 *table, f32 *rows
) noexcept nogil:
    """Write rows of a book with a mean from what each centroid adds: the bits of decode_all."""
    cdef Py_ssize_t _, m
    for _ in range(n):
        memcpy(rows, book.mean, book.dim * sizeof(f32))
        for m in range(book.M):
            add_row(table + (m * KSUB + codes[m]) * book.dim, book.dim, rows)
        codes += book.M
        rows += book.dim


cdef inline int read_back_table(
    object table, const PQCodebook *book, const f32 **found
) except -1:
    """Find a table of `back_table`, or NULL where there is None."""
    cdef np.npy_intp *shape
    found[0] = NULL
    if table is None:
        return 0
    found[0] = <const f32 *>shaped(table, np.NPY_FLOAT32, 3, "table")
    shape = np.PyArray_DIMS(table)
    if shape[0] != book.M or shape[1] != KSUB or shape[2] != book.dim or book.mean == NULL:
        raise ValueError(f"table is {table.shape}, of no codebook with a rotation like this one")
    return 0
