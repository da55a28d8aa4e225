"""Product quantization: each part of a vector becomes the number of its nearest centroid.

Scores |c|**2 / 2 - x.c are screened in float32. Where more than one centroid scores within the
rounding bound of the least, the float64 distance decides, so that every level, whatever the order
of its float32 sums, returns the codes of the definition.
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.math cimport isfinite, sqrtf
from libc.string cimport memcpy, memset
cimport numpy as np
from cgcython.kernels._codebook cimport (
    CENTROIDS, MAX_PART, MAX_WIDTH, STRIP, Codebook, padded, read,
)
from cgcython.kernels._types cimport f32, u8

np.import_array()

cdef extern from "_pq.h" nogil:
    enum:
        TILE "CG_TILE"
    void scores_of "cg_pq_scores"(
        int vectors, const f32 *x, Py_ssize_t stride, const f32 *strips, const f32 *half_norms,
        Py_ssize_t n, f32 *scores, f32 *lowest,
    )
    int winner "cg_pq_winner"(const f32 *scores, f32 limit)
    void multiply "cg_pq_multiply"(
        int vectors, const f32 *x, Py_ssize_t stride, const f32 *strip, Py_ssize_t n,
        f32 *out, Py_ssize_t out_stride,
    )
    void distances_of "cg_pq_distances"(
        const f32 *x, const f32 *strips, Py_ssize_t n, f32 *out
    )
    f32 square_sum "cg_square_sum"(const f32 *x, Py_ssize_t n)
    double rounded "cg_rounded"(double product)
    void add_scaled "cg_add_scaled"(double factor, const f32 *row, double *sums, Py_ssize_t n)

cdef enum:
    BLOCK = 48         # rows at once: their parts stay in the second cache
    CHUNK = 128        # float32 sums of a projection, so that its rounding bound stays small

cdef f32 UNIT = 5.9604645e-08  # 2**-24, the relative rounding error of a float32
cdef f32 TINY = 1e-37          # above all that products of float32 lose to underflow
cdef f32 HUGE = 1e30           # bounds from here on may have overflowed


cdef void project(
    const Codebook *book, const f32 *values, Py_ssize_t n, f32 *parts, f32 *lengths
) noexcept nogil:
    """Write (x - mean) @ rotation of up to BLOCK rows, padded to strips, and each |x - mean|."""
    cdef:
        Py_ssize_t start, size, i, v, strip
        Py_ssize_t stride = padded(book.width)
        f32[BLOCK][CHUNK] centred
    memset(parts, 0, n * stride * sizeof(f32))
    memset(lengths, 0, n * sizeof(f32))
    start = 0
    while start < book.dim:
        size = min(<Py_ssize_t>CHUNK, book.dim - start)
        for v in range(n):
            for i in range(size):
                centred[v][i] = values[v * book.dim + start + i] - book.mean[start + i]
            lengths[v] += square_sum(centred[v], size)
        strip = 0
        while strip < stride:
            v = 0
            while v < n:
                multiply(
                    <int>min(<Py_ssize_t>TILE, n - v), centred[v], CHUNK,
                    book.forward + strip * book.dim + start * STRIP, size,
                    parts + v * stride + strip, stride,
                )
                v += TILE
            strip += STRIP
        start += CHUNK
    for v in range(n):
        lengths[v] = sqrtf(lengths[v])


cdef inline f32 bound(
    const Codebook *book, Py_ssize_t m, f32 part_length, f32 length
) noexcept nogil:
    """Return how far above the least score the true winner's score may lie in float32.

    Twice the error of a score (its dot product, half norm and difference), and with a rotation
    what the error of the projected part (CHUNK sums, then sums of chunks) makes of it.
    """
    cdef:
        f32 longest = book.max_norms[m]
        f32 score_error = (book.part + 3) * UNIT * longest * (part_length + longest / 2)
        f32 part_error = 0
    if book.mean != NULL:
        part_error = (
            (CHUNK + book.dim / CHUNK + 5) * UNIT
            * length * book.column_norm * sqrtf(<f32>book.part)
        )
    return 2.1 * (score_error + part_error * longest) + TINY


cdef int decide(
    const Codebook *book, Py_ssize_t m, const f32 *x, const f32 *part, const f32 *scores, f32 limit
) noexcept nogil:
    """Return the centroid of least float64 distance among those that score at most limit."""
    cdef:
        double[MAX_PART] exact
        double distance, difference, least = -1
        Py_ssize_t i, k
        int best = 0
        const f32 *centroid
    if book.mean == NULL:
        for k in range(book.part):
            exact[k] = part[k]
    else:
        memset(exact, 0, book.part * sizeof(double))
        for i in range(book.dim):
            add_scaled(
                <double>x[i] - <double>book.mean[i],
                book.rotation + i * book.width + m * book.part, exact, book.part,
            )
    for i in range(CENTROIDS):
        if scores != NULL and not scores[i] <= limit:
            continue
        centroid = book.centroids + (m * CENTROIDS + i) * book.part
        distance = 0
        for k in range(book.part):
            difference = exact[k] - <double>centroid[k]
            distance += rounded(difference * difference)
        if least < 0 or distance < least:
            least, best = distance, <int>i
    return best


cdef void encode_part(
    const Codebook *book, Py_ssize_t m, Py_ssize_t n, const f32 *values, const f32 *parts,
    Py_ssize_t stride, const f32 *lengths, u8 *codes
) noexcept nogil:
    """Write code m of up to TILE rows."""
    cdef:
        f32[TILE][CENTROIDS] scores
        f32[TILE] lowest
        f32 margin
        Py_ssize_t v
        int code
        const f32 *part
    scores_of(
        <int>n, parts + m * book.part, stride, book.strips + m * CENTROIDS * book.part,
        book.half_norms + m * CENTROIDS, book.part, &scores[0][0], lowest,
    )
    for v in range(n):
        part = parts + v * stride + m * book.part
        margin = bound(book, m, sqrtf(square_sum(part, book.part)), lengths[v])
        if not margin < HUGE:
            code = decide(book, m, values + v * book.dim, part, NULL, 0)
        else:
            code = winner(scores[v], lowest[v] + margin)
            if code < 0:
                code = decide(
                    book, m, values + v * book.dim, part, scores[v], lowest[v] + margin
                )
        codes[v * book.parts + m] = <u8>code


cdef void encode_block(
    const Codebook *book, const f32 *values, Py_ssize_t n, u8 *codes, f32 *scratch
) noexcept nogil:
    """Write the codes of up to BLOCK finite rows."""
    cdef:
        f32[BLOCK] lengths
        const f32 *parts = values
        Py_ssize_t stride = book.dim, m, v
    if book.mean != NULL:
        project(book, values, n, scratch, lengths)
        parts, stride = scratch, padded(book.width)
    for m in range(book.parts):
        v = 0
        while v < n:
            encode_part(
                book, m, min(<Py_ssize_t>TILE, n - v), values + v * book.dim,
                parts + v * stride, stride, lengths + v, codes + v * book.parts,
            )
            v += TILE


cdef Py_ssize_t first_nonfinite(const f32 *values, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    # The squares of finite values may overflow, those of others never give a finite sum.
    if isfinite(square_sum(values, n)):
        return -1
    for i in range(n):
        if not isfinite(values[i]):
            return i
    return -1


cdef Py_ssize_t encode_all(
    const Codebook *book, const f32 *values, Py_ssize_t n, u8 *codes, f32 *scratch
) noexcept nogil:
    cdef Py_ssize_t start, size, bad
    start = 0
    while start < n:
        size = min(<Py_ssize_t>BLOCK, n - start)
        bad = first_nonfinite(values + start * book.dim, size * book.dim)
        if bad >= 0:
            return start * book.dim + bad
        encode_block(
            book, values + start * book.dim, size, codes + start * book.parts, scratch
        )
        start += BLOCK
    return -1


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
    if (
        not np.PyArray_CheckExact(values)
        or np.PyArray_TYPE(<np.ndarray>values) != np.NPY_FLOAT32
        or np.PyArray_NDIM(<np.ndarray>values) != 1
        or np.PyArray_DIM(<np.ndarray>values, 0) != book.dim
        or not np.PyArray_IS_C_CONTIGUOUS(<np.ndarray>values)
        or not np.PyArray_ISBEHAVED_RO(<np.ndarray>values)
    ):
        return None
    x = <const f32 *>np.PyArray_DATA(<np.ndarray>values)
    if first_nonfinite(x, book.dim) >= 0:
        return None
    codes = PyBytes_FromStringAndSize(NULL, book.parts)
    encode_block(&book, x, 1, <u8 *>PyBytes_AS_STRING(codes), parts)
    return codes


cdef void gather(const Codebook *book, const u8 *codes, f32 *parts) noexcept nogil:
    cdef Py_ssize_t m
    for m in range(book.parts):
        memcpy(
            parts + m * book.part,
            book.centroids + (m * CENTROIDS + codes[m]) * book.part,
            book.part * sizeof(f32),
        )


cdef void decode_block(
    const Codebook *book, const u8 *codes, Py_ssize_t n, f32 *rows, f32 *scratch
) noexcept nogil:
    """Write up to BLOCK rows."""
    cdef Py_ssize_t v, strip
    for v in range(n):
        gather(
            book, codes + v * book.parts,
            rows + v * book.dim if book.mean == NULL else scratch + v * book.width,
        )
    if book.mean != NULL:
        strip = 0
        while strip < book.dim:
            rotate_back(book, scratch, n, strip, rows)
            strip += STRIP


cdef void rotate_back(
    const Codebook *book, const f32 *parts, Py_ssize_t n, Py_ssize_t strip, f32 *rows
) noexcept nogil:
    """Write the values of rows in one strip of columns: the mean plus sums of CHUNK products."""
    cdef:
        Py_ssize_t v, start, size = min(<Py_ssize_t>STRIP, book.dim - strip)
        f32[BLOCK][STRIP] sums
    for v in range(n):
        memcpy(sums[v], book.mean + strip, size * sizeof(f32))
    start = 0
    while start < book.width:
        v = 0
        while v < n:
            multiply(
                <int>min(<Py_ssize_t>TILE, n - v), parts + v * book.width + start, book.width,
                book.back + strip * book.width + start * STRIP,
                min(<Py_ssize_t>CHUNK, book.width - start), sums[v], STRIP,
            )
            v += TILE
        start += CHUNK
    for v in range(n):
        memcpy(rows + v * book.dim + strip, sums[v], size * sizeof(f32))


def decode_rows(
    const u8[:, ::1] codes,  # IN
    object prepared,
    f32[:, ::1] out,         # OUT
    f32[::1] scratch,        # of pq_layout.scratch
):
    """Write the vector [n, dim] of each row of codes: its centroids rotated back, plus the mean."""
    cdef:
        Codebook book
        Py_ssize_t n = out.shape[0], start
        f32 *space = NULL
    read(prepared, &book)
    require_rows(&book, n, out.shape[1], codes.shape[0], codes.shape[1], scratch.shape[0])
    if n == 0:
        return
    if book.mean != NULL:
        space = &scratch[0]
    with nogil:
        start = 0
        while start < n:
            decode_block(
                &book, &codes[start, 0], min(<Py_ssize_t>BLOCK, n - start), &out[start, 0], space
            )
            start += BLOCK


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
    decode_block(
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
        Py_ssize_t m, strip
    read(prepared, &book)
    require_table(&book, query.shape[0], table.shape[0], table.shape[1])
    if book.width == 0:
        return
    with nogil:
        memset(&table[0, 0], 0, book.parts * CENTROIDS * sizeof(f32))
        for m in range(book.parts):
            strip = 0
            while strip < CENTROIDS:
                multiply(
                    1, &query[m * book.part], book.part,
                    book.strips + (m * CENTROIDS + strip) * book.part, book.part,
                    &table[m, strip], CENTROIDS,
                )
                strip += STRIP


def distance_table(
    const f32[::1] query,  # IN
    object prepared,
    f32[:, ::1] table,     # OUT
):
    """Write the squared distances [M, 256] of a projected query from the centroids."""
    cdef:
        Codebook book
        Py_ssize_t m
    read(prepared, &book)
    require_table(&book, query.shape[0], table.shape[0], table.shape[1])
    if book.width == 0:
        return
    with nogil:
        for m in range(book.parts):
            distances_of(
                &query[m * book.part], book.strips + m * CENTROIDS * book.part, book.part,
                &table[m, 0],
            )
