"""Turns rows into the space that a codebook quantizes, and back: float32 sums of short chunks."""
from libc.math cimport sqrtf
from libc.string cimport memcpy, memset
from cgcython.kernels.inner.pq.codebook_layout cimport KSUB, STRIP, padded
from cgcython.kernels.inner.pq.codebook cimport PQCodebook
from cgcython.kernels.inner.pq.sums cimport square_sum
from cgcython.kernels.inner.types cimport f32

cdef extern from "inner/pq/tile.h" nogil:
    enum:
        TILE "CG_TILE"
    void multiply_rows "cg_pq_multiply_rows"(
        const f32 *x, Py_ssize_t stride, const f32 *strip, Py_ssize_t n, f32 *out,
        Py_ssize_t out_stride,
    )
    void multiply_row "cg_pq_multiply_row"(
        const f32 *x, const f32 *strip, Py_ssize_t n, f32 *out
    )

cdef enum:
    BLOCK_ROWS = 48         # rows at once: their subvectors stay in the second cache
    CHUNK = 128        # float32 sums of a projection, so that its rounding bound stays small
    LEAST_CHUNK = 16   # products, or adding up their sums takes as long

cdef extern from *:
    """
    static const float cg_pq_unit = 0x1p-24f;
    """
    const f32 UNIT "cg_pq_unit"  # the relative rounding error of a float32


cdef inline void multiply(
    Py_ssize_t rows, const f32 *x, Py_ssize_t stride, const f32 *strip, Py_ssize_t n, f32 *out,
    Py_ssize_t out_stride
) noexcept nogil:
    """Add rows of n values times a strip of 64 columns to rows of out."""
    cdef Py_ssize_t v = 0
    while v + TILE <= rows:
        multiply_rows(x + v * stride, stride, strip, n, out + v * out_stride, out_stride)
        v += TILE
    while v < rows:
        multiply_row(x + v * stride, strip, n, out + v * out_stride)
        v += 1


cdef inline void project(
    const PQCodebook *book, const f32 *values, Py_ssize_t n, f32 *subvectors, f32 *errors
) noexcept nogil:
    """Write (x - mean) @ rotation of up to BLOCK_ROWS rows, padded to strips.

    `errors` bound how far each subvector of a row lies from its exact place.
    """
    cdef:
        Py_ssize_t start, size, i, v, strip
        Py_ssize_t stride = padded(book.d_out)
        f32[BLOCK_ROWS][CHUNK] centred
    memset(subvectors, 0, n * stride * sizeof(f32))
    memset(errors, 0, n * sizeof(f32))
    start = 0
    while start < book.dim:
        size = min(<Py_ssize_t>CHUNK, book.dim - start)
        for v in range(n):
            for i in range(size):
                centred[v][i] = values[v * book.dim + start + i] - book.mean[start + i]
            errors[v] += square_sum(centred[v], size)
        strip = 0
        while strip < stride:
            multiply(
                n, centred[0], CHUNK, book.forward + strip * book.dim + start * STRIP, size,
                subvectors + strip, stride,
            )
            strip += STRIP
        start += CHUNK
    for v in range(n):
        errors[v] = projection_error(book, sqrtf(errors[v]))


cdef inline f32 projection_error(const PQCodebook *book, f32 length) noexcept nogil:
    """Bound a subvector's error: sums of CHUNK products, then sums of those, in each column."""
    return (
        1.1 * (CHUNK + book.dim / CHUNK + 5) * UNIT
        * length * book.column_norm * sqrtf(<f32>book.dsub)
    )


cdef inline Py_ssize_t back_chunk(const PQCodebook *book) noexcept nogil:
    """The products of a sum on the way back: a subvector's own, where that is no waste of time.

    Then what a centroid adds to a vector does not depend on others, and can be kept in a table.
    """
    return book.dsub if LEAST_CHUNK <= book.dsub <= CHUNK else CHUNK


cdef inline void rotate_back(
    const PQCodebook *book, const f32 *subvectors, Py_ssize_t n, Py_ssize_t strip, f32 *rows
) noexcept nogil:
    """Write the values of rows in one strip of columns: the mean plus sums of short chunks."""
    cdef:
        Py_ssize_t v, start, size = min(<Py_ssize_t>STRIP, book.dim - strip)
        Py_ssize_t chunk = back_chunk(book)
        f32[BLOCK_ROWS][STRIP] sums
    for v in range(n):
        memcpy(sums[v], book.mean + strip, size * sizeof(f32))
    start = 0
    while start < book.d_out:
        multiply_back(
            book, subvectors + start, book.d_out, n, strip, start,
            min(chunk, book.d_out - start), sums[0],
        )
        start += chunk
    for v in range(n):
        memcpy(rows + v * book.dim + strip, sums[v], size * sizeof(f32))


cdef inline void multiply_back(
    const PQCodebook *book, const f32 *values, Py_ssize_t stride, Py_ssize_t n, Py_ssize_t strip,
    Py_ssize_t start, Py_ssize_t size, f32 *sums,
) noexcept nogil:
    """Add the products with `size` columns of the rotation, from one on, in a strip."""
    multiply(
        n, values, stride, book.back + strip * book.d_out + start * STRIP, size, sums, STRIP
    )


cdef inline void turn_centroids(const PQCodebook *book, Py_ssize_t m, f32 *table) noexcept nogil:
    """Write what each centroid of a subspace adds to a vector: [256, dim]."""
    cdef:
        Py_ssize_t first, v, n, strip = 0, size
        f32[BLOCK_ROWS][STRIP] sums
    while strip < book.dim:
        size, first = min(<Py_ssize_t>STRIP, book.dim - strip), 0
        while first < KSUB:
            n = min(<Py_ssize_t>BLOCK_ROWS, KSUB - first)
            memset(sums, 0, sizeof(sums))
            multiply_back(
                book, book.centroids + (m * KSUB + first) * book.dsub, book.dsub, n, strip,
                m * book.dsub, book.dsub, sums[0],
            )
            for v in range(n):
                memcpy(table + (first + v) * book.dim + strip, sums[v], size * sizeof(f32))
            first += n
        strip += STRIP
