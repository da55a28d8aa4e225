"""Turns rows into the space that a codebook quantizes, and back: float32 sums of short chunks."""
from libc.math cimport sqrtf
from libc.string cimport memcpy, memset
from cgcython.kernels._codebook cimport STRIP, padded
from cgcython.kernels._pq_codebook cimport PQCodebook
from cgcython.kernels._types cimport f32

cdef extern from "_pq.h" nogil:
    enum:
        TILE "CG_TILE"
    void multiply "cg_pq_multiply"(
        int vectors, const f32 *x, Py_ssize_t stride, const f32 *strip, Py_ssize_t n,
        f32 *out, Py_ssize_t out_stride,
    )
    f32 square_sum "cg_square_sum"(const f32 *x, Py_ssize_t n)

cdef enum:
    BLOCK = 48         # rows at once: their subvectors stay in the second cache
    CHUNK = 128        # float32 sums of a projection, so that its rounding bound stays small

cdef extern from *:
    """
    static const float cg_pq_unit = 0x1p-24f;
    """
    const f32 UNIT "cg_pq_unit"  # the relative rounding error of a float32


cdef inline void project(
    const PQCodebook *book, const f32 *values, Py_ssize_t n, f32 *subvectors, f32 *errors
) noexcept nogil:
    """Write (x - mean) @ rotation of up to BLOCK rows, padded to strips.

    `errors` bound how far each subvector of a row lies from its exact place.
    """
    cdef:
        Py_ssize_t start, size, i, v, strip
        Py_ssize_t stride = padded(book.d_out)
        f32[BLOCK][CHUNK] centred
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
            v = 0
            while v < n:
                multiply(
                    <int>min(<Py_ssize_t>TILE, n - v), centred[v], CHUNK,
                    book.forward + strip * book.dim + start * STRIP, size,
                    subvectors + v * stride + strip, stride,
                )
                v += TILE
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


cdef inline void rotate_back(
    const PQCodebook *book, const f32 *subvectors, Py_ssize_t n, Py_ssize_t strip, f32 *rows
) noexcept nogil:
    """Write the values of rows in one strip of columns: the mean plus sums of CHUNK products."""
    cdef:
        Py_ssize_t v, start, size = min(<Py_ssize_t>STRIP, book.dim - strip)
        f32[BLOCK][STRIP] sums
    for v in range(n):
        memcpy(sums[v], book.mean + strip, size * sizeof(f32))
    start = 0
    while start < book.d_out:
        v = 0
        while v < n:
            multiply(
                <int>min(<Py_ssize_t>TILE, n - v), subvectors + v * book.d_out + start, book.d_out,
                book.back + strip * book.d_out + start * STRIP,
                min(<Py_ssize_t>CHUNK, book.d_out - start), sums[v], STRIP,
            )
            v += TILE
        start += CHUNK
    for v in range(n):
        memcpy(rows + v * book.dim + strip, sums[v], size * sizeof(f32))
