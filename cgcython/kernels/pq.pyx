"""Product quantization: a code of 8 bits names the nearest centroid of each subvector.

A vector is cut into M subvectors of dsub values; each of the M subspaces has ksub = 256 centroids.
Whole-number and float32 screens rule centroids out by proven bounds and the float64 distance
decides among those that are left, so that every level returns the codes of the definition.
"""
from libc.math cimport isfinite
from libc.string cimport memset
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
cimport numpy as np
from cgcython.kernels.inner.pq.codebook_layout cimport (
    KSUB, MAX_D_OUT, MAX_DSUB, padded, pairs_of, read, require_apart_from,
)
from cgcython.kernels.inner.door cimport check_buffers, plain_vector
from cgcython.kernels.inner.pq.decode cimport decode_all, decode_by_table, read_back_table
from cgcython.kernels.inner.pq.sums cimport distance_of, dot_of, square_sum
from cgcython.kernels.inner.pq.nearest cimport nearest
from cgcython.kernels.inner.pq.rotation cimport (
    BLOCK_ROWS, TILE, back_chunk, project, turn_centroids,
)
from cgcython.kernels.inner.pq.screen cimport HUGE, WORDS, Query, ask, passing, screen
from cgcython.kernels.inner.types cimport f32, i16, u8, u64

np.import_array()

cdef int pq_read(object prepared, PQCodebook *book) except -1:
    return read(prepared, book)


cdef Py_ssize_t pq_scratch(const PQCodebook *book) noexcept nogil:
    return BLOCK_ROWS * padded(max(book.d_out, book.dim)) if book.mean != NULL else 0


cdef void encode_subvector(
    const PQCodebook *book, Py_ssize_t m, Py_ssize_t n, const f32 *values, const f32 *subvectors,
    Py_ssize_t stride, const f32 *errors, u8 *codes
) noexcept nogil:
    """Write code m of up to TILE rows."""
    cdef:
        f32[TILE][KSUB] lows
        f32[TILE] limits
        Query[TILE] queries
        i16[TILE * MAX_DSUB] steps
        u64[WORDS] masks
        Py_ssize_t v, pairs = pairs_of(book.dsub)
        int code
        const f32 *subvector = subvectors + m * book.dsub
    for v in range(n):
        ask(book, m, subvector + v * stride, errors[v], &queries[v], steps + v * 2 * pairs)
    screen(book, m, n, steps, queries, lows[0], limits)
    for v in range(n):
        code = -1
        if limits[v] < HUGE:
            code = passing(lows[v], limits[v], masks)
        else:
            memset(masks, 0xFF, sizeof(masks))
        if code < 0:
            code = nearest(book, m, values + v * book.dim, subvector + v * stride, errors[v], masks)
        codes[v * book.M + m] = <u8>code


cdef void encode_block(
    const PQCodebook *book, const f32 *values, Py_ssize_t n, u8 *codes, f32 *scratch
) noexcept nogil:
    """Write the codes of up to BLOCK_ROWS finite rows."""
    cdef:
        f32[BLOCK_ROWS] errors
        const f32 *subvectors = values
        Py_ssize_t stride = book.dim, m, v
    memset(errors, 0, sizeof(errors))
    if book.mean != NULL:
        project(book, values, n, scratch, errors)
        subvectors, stride = scratch, padded(book.d_out)
    for m in range(book.M):
        v = 0
        while v < n:
            encode_subvector(
                book, m, min(<Py_ssize_t>TILE, n - v), values + v * book.dim,
                subvectors + v * stride, stride, errors + v, codes + v * book.M,
            )
            v += TILE


cdef inline Py_ssize_t place_of_nonfinite(const f32 *values, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    # The squares of finite values may overflow, those of others never give a finite sum.
    if isfinite(square_sum(values, n)):
        return -1
    for i in range(n):
        if not isfinite(values[i]):
            return i
    return -1


cdef Py_ssize_t pq_encode(
    const PQCodebook *book, const f32 *values, Py_ssize_t n, u8 *codes, f32 *scratch
) noexcept nogil:
    """Write the codes of rows; return where the first non-finite value is, or -1."""
    cdef Py_ssize_t start = 0, size, bad
    while start < n:
        size = min(<Py_ssize_t>BLOCK_ROWS, n - start)
        bad = place_of_nonfinite(values + start * book.dim, size * book.dim)
        if bad >= 0:
            return start * book.dim + bad
        encode_block(book, values + start * book.dim, size, codes + start * book.M, scratch)
        start += BLOCK_ROWS
    return -1


cdef void pq_decode(
    const PQCodebook *book, const u8 *codes, Py_ssize_t n, f32 *values, f32 *scratch
) noexcept nogil:
    decode_all(book, codes, n, values, scratch)


cdef void pq_dot_table(const PQCodebook *book, const f32 *query, f32 *table) noexcept nogil:
    cdef Py_ssize_t m, i
    for m in range(book.M):
        for i in range(KSUB):
            table[m * KSUB + i] = dot_of(
                query + m * book.dsub, book.centroids + (m * KSUB + i) * book.dsub, book.dsub
            )


cdef void pq_distance_table(const PQCodebook *book, const f32 *query, f32 *table) noexcept nogil:
    cdef Py_ssize_t m, i
    for m in range(book.M):
        for i in range(KSUB):
            table[m * KSUB + i] = distance_of(
                query + m * book.dsub, book.centroids + (m * KSUB + i) * book.dsub, book.dsub
            )


cdef int require_rows(
    const PQCodebook *book, Py_ssize_t n, Py_ssize_t dim, Py_ssize_t codes, Py_ssize_t M,
    Py_ssize_t scratch
) except -1:
    if dim != book.dim:
        raise ValueError(f"rows hold {dim} values, the codebook {book.dim}")
    if codes != n or M != book.M:
        raise ValueError(f"codes are {(codes, M)}, expected {(n, book.M)}")
    if scratch < pq_scratch(book):
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
        PQCodebook book
        Py_ssize_t n = values.shape[0], found = -1
    check_buffers(2, codes, scratch, values)
    read(prepared, &book)
    require_rows(&book, n, values.shape[1], codes.shape[0], codes.shape[1], scratch.shape[0])
    require_apart_from(prepared, "codes", &codes[0, 0], n * book.M)
    require_apart_from(prepared, "scratch", &scratch[0], scratch.shape[0] * sizeof(f32))
    if n:
        with nogil:
            found = pq_encode(&book, &values[0, 0], n, &codes[0, 0], &scratch[0])
    return found


def encode_vector(object values, object prepared):
    """Return the codes of one vector, or None where values needs a closer look.

    That is when it is no finite, contiguous float32 ndarray [dim].
    """
    cdef:
        PQCodebook book
        f32[MAX_D_OUT] subvectors
        const f32 *x
        object codes
    read(prepared, &book)
    x = plain_vector(values, book.dim)
    if x is NULL or place_of_nonfinite(x, book.dim) >= 0:
        return None
    codes = PyBytes_FromStringAndSize(NULL, book.M)
    encode_block(&book, x, 1, <u8 *>PyBytes_AS_STRING(codes), subvectors)
    return codes


def decode_rows(
    const u8[:, ::1] codes,  # IN
    object prepared,
    f32[:, ::1] out,         # OUT
    f32[::1] scratch,        # of pq_layout.scratch
    object table=None,       # of back_table, for the same bits sooner
):
    """Write the vector [n, dim] of each row of codes: its centroids rotated back, plus the mean."""
    cdef:
        PQCodebook book
        const f32 *parts
        Py_ssize_t n = out.shape[0]
    check_buffers(2, out, scratch, codes)
    read(prepared, &book)
    require_rows(&book, n, out.shape[1], codes.shape[0], codes.shape[1], scratch.shape[0])
    require_apart_from(prepared, "out", &out[0, 0], n * book.dim * sizeof(f32))
    require_apart_from(prepared, "scratch", &scratch[0], scratch.shape[0] * sizeof(f32))
    require_apart_from((table,), "out", &out[0, 0], n * book.dim * sizeof(f32))
    read_back_table(table, &book, &parts)
    if n:
        with nogil:
            if parts is NULL:
                pq_decode(&book, &codes[0, 0], n, &out[0, 0], &scratch[0])
            else:
                decode_by_table(&book, &codes[0, 0], n, parts, &out[0, 0])


def decode_vector(bytes codes not None, object prepared, object table=None):
    """Return the vector of M bytes of codes; a table of back_table gives the same bits sooner."""
    cdef:
        PQCodebook book
        f32[MAX_D_OUT] scratch
        const f32 *parts
        const u8 *own
        object out
    read(prepared, &book)
    read_back_table(table, &book, &parts)
    if PyBytes_GET_SIZE(codes) != book.M:
        raise ValueError(f"codes hold {len(codes)}, the codebook {book.M}")
    own = <const u8 *>PyBytes_AS_STRING(codes)
    out = np.PyArray_EMPTY(1, <np.npy_intp *>&book.dim, np.NPY_FLOAT32, 0)
    if parts is NULL:
        decode_all(&book, own, 1, <f32 *>np.PyArray_DATA(<np.ndarray>out), scratch)
    else:
        decode_by_table(&book, own, 1, parts, <f32 *>np.PyArray_DATA(<np.ndarray>out))
    return out


def back_table(object prepared, f32[:, :, ::1] table):
    """Write what each centroid adds to a decoded vector: [M, 256, dim]; return whether it may.

    Nothing is written, and False returned, where the sum of these would have other bits than
    `decode_rows` writes: without a rotation, or where subvectors are very short or long.
    """
    cdef:
        PQCodebook book
        Py_ssize_t m
    check_buffers(1, table)
    read(prepared, &book)
    if table.shape[0] != book.M or table.shape[1] != KSUB or table.shape[2] != book.dim:
        shape = table.shape[0], table.shape[1], table.shape[2]
        raise ValueError(f"table is {shape}, expected {(book.M, KSUB, book.dim)}")
    require_apart_from(
        prepared, "table", &table[0, 0, 0], book.M * KSUB * book.dim * sizeof(f32)
    )
    if book.mean == NULL or back_chunk(&book) != book.dsub:
        return False
    with nogil:
        for m in range(book.M):
            turn_centroids(&book, m, &table[m, 0, 0])
    return True


cdef int require_table(
    const PQCodebook *book, Py_ssize_t values, Py_ssize_t rows, Py_ssize_t columns
) except -1:
    if values != book.d_out:
        raise ValueError(f"query holds {values}, the codebook {book.d_out}")
    if rows != book.M or columns != KSUB:
        raise ValueError(f"table is {(rows, columns)}, expected {(book.M, KSUB)}")
    return 0


def dot_table(
    const f32[::1] query,  # IN
    object prepared,
    f32[:, ::1] table,     # OUT
):
    """Write the dot products [M, 256] of a projected query's [d_out] subvectors with centroids."""
    cdef PQCodebook book
    check_buffers(1, table, query)
    read(prepared, &book)
    require_table(&book, query.shape[0], table.shape[0], table.shape[1])
    require_apart_from(prepared, "table", &table[0, 0], book.M * KSUB * sizeof(f32))
    with nogil:
        pq_dot_table(&book, &query[0], &table[0, 0])


def distance_table(
    const f32[::1] query,  # IN
    object prepared,
    f32[:, ::1] table,     # OUT
):
    """Write the squared distances [M, 256] from a projected query's subvectors to centroids."""
    cdef PQCodebook book
    check_buffers(1, table, query)
    read(prepared, &book)
    require_table(&book, query.shape[0], table.shape[0], table.shape[1])
    require_apart_from(prepared, "table", &table[0, 0], book.M * KSUB * sizeof(f32))
    with nogil:
        pq_distance_table(&book, &query[0], &table[0, 0])
