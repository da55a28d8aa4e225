"""Row times matrix: out = start + (values - mean) @ matrix, for one row and for many.

Lanes run over the columns and every sum over the rows of the matrix is sequential, so that one
row alone and a row of a batch have the same bits.
"""
from libc.string cimport memcpy, memset
from cgcython.kernels._types cimport f32
from cgcython.kernels._vector cimport LANES, load, set_all, store, vf

cdef extern from "_dense.h" nogil:
    enum:
        TILE_ROWS "CG_TILE_ROWS"
        TILE_COLUMNS "CG_TILE_COLUMNS"
        DEPTH "CG_TILE_DEPTH"
    void tile "cg_tile"(const f32 *left, const f32 *right, long depth, f32 *out, long step)
    void pack "cg_pack"(const f32 *matrix, long columns, long depth, f32 *right)

cdef enum:
    ROW_BLOCK = 96      # rows of values that share a packed panel
    # What the tile's sizes never exceed, for arrays on the stack.
    MOST_DEPTH = 64
    MOST_ROWS = 6
    MOST_COLUMNS = 64


cdef inline void start_rows(
    const f32 *start, Py_ssize_t columns, Py_ssize_t n, f32 *out
) noexcept nogil:
    """Set each row of out to `start`, or to zeros where that is NULL."""
    cdef Py_ssize_t i
    for i in range(n):
        if start is NULL:
            memset(out + i * columns, 0, columns * sizeof(f32))
        else:
            memcpy(out + i * columns, start, columns * sizeof(f32))


cdef inline void add_eight(
    const f32 *x, const f32 *matrix, Py_ssize_t columns, f32 *out
) noexcept nogil:
    """Add the products with eight rows of the matrix to one row of sums."""
    cdef:
        Py_ssize_t j = 0, k
        vf total, x0 = set_all(x[0]), x1 = set_all(x[1]), x2 = set_all(x[2]), x3 = set_all(x[3])
        vf x4 = set_all(x[4]), x5 = set_all(x[5]), x6 = set_all(x[6]), x7 = set_all(x[7])
    while j + LANES <= columns:
        total = load(out + j)
        total = x0 * load(matrix + j) + total
        total = x1 * load(matrix + columns + j) + total
        total = x2 * load(matrix + 2 * columns + j) + total
        total = x3 * load(matrix + 3 * columns + j) + total
        total = x4 * load(matrix + 4 * columns + j) + total
        total = x5 * load(matrix + 5 * columns + j) + total
        total = x6 * load(matrix + 6 * columns + j) + total
        total = x7 * load(matrix + 7 * columns + j) + total
        store(out + j, total)
        j += LANES
    while j < columns:
        for k in range(8):
            out[j] = x[k] * matrix[k * columns + j] + out[j]
        j += 1


cdef inline void add_one(f32 x, const f32 *row, Py_ssize_t columns, f32 *out) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(columns):
        out[j] = x * row[j] + out[j]


cdef inline void product_row(
    const f32 *values, const f32 *mean, const f32 *matrix, Py_ssize_t depth, Py_ssize_t columns,
    f32 *out,
) noexcept nogil:
    """Add one row's products to out."""
    cdef:
        Py_ssize_t k = 0, i
        f32[8] x
    while k + 8 <= depth:
        for i in range(8):
            x[i] = values[k + i] - (mean[k + i] if mean is not NULL else 0)
        add_eight(x, matrix + k * columns, columns, out)
        k += 8
    while k < depth:
        add_one(
            values[k] - (mean[k] if mean is not NULL else 0), matrix + k * columns, columns, out
        )
        k += 1


cdef inline void centre(
    const f32 *values, const f32 *mean, Py_ssize_t n, Py_ssize_t width, Py_ssize_t depth, f32 *left
) noexcept nogil:
    """Lay `depth` values of each row, centred, in rows of DEPTH."""
    cdef Py_ssize_t i, k
    for i in range(n):
        if mean is NULL:
            memcpy(left + i * DEPTH, values + i * width, depth * sizeof(f32))
        else:
            for k in range(depth):
                left[i * DEPTH + k] = values[i * width + k] - mean[k]


cdef inline void product_panel(
    const f32 *left, Py_ssize_t n, const f32 *right, Py_ssize_t depth, f32 *out, Py_ssize_t columns
) noexcept nogil:
    """Add `depth` products to TILE_COLUMNS columns of n rows, a multiple of TILE_ROWS."""
    cdef Py_ssize_t i = 0
    while i < n:
        tile(left + i * DEPTH, right, depth, out + i * columns, columns)
        i += TILE_ROWS


cdef inline void product_last_panel(
    const f32 *left, Py_ssize_t n, const f32 *matrix, Py_ssize_t depth, f32 *out,
    Py_ssize_t columns, Py_ssize_t used,
) noexcept nogil:
    """Add to fewer columns than a tile has, by way of whole tiles on the stack."""
    cdef:
        Py_ssize_t i = 0, r
        f32[MOST_DEPTH * MOST_COLUMNS] right
        f32[MOST_ROWS * MOST_COLUMNS] sums
    memset(right, 0, sizeof(right))
    memset(sums, 0, sizeof(sums))
    for r in range(depth):
        memcpy(right + r * TILE_COLUMNS, matrix + r * columns, used * sizeof(f32))
    while i < n:
        for r in range(TILE_ROWS):
            memcpy(sums + r * TILE_COLUMNS, out + (i + r) * columns, used * sizeof(f32))
        tile(left + i * DEPTH, right, depth, sums, TILE_COLUMNS)
        for r in range(TILE_ROWS):
            memcpy(out + (i + r) * columns, sums + r * TILE_COLUMNS, used * sizeof(f32))
        i += TILE_ROWS


cdef inline void product_block(
    const f32 *values, const f32 *mean, Py_ssize_t n, Py_ssize_t width, const f32 *matrix,
    Py_ssize_t columns, f32 *out,
) noexcept nogil:
    """Add the products of n rows, a multiple of TILE_ROWS, panel by packed panel."""
    cdef:
        Py_ssize_t k = 0, j, depth
        f32[MOST_DEPTH * MOST_COLUMNS] right
        f32[MOST_DEPTH * ROW_BLOCK] left
    while k < width:
        depth = min(DEPTH, width - k)
        centre(values + k, mean, n, width, depth, left)
        if mean is not NULL:
            mean += DEPTH
        j = 0
        while j + TILE_COLUMNS <= columns:
            pack(matrix + k * columns + j, columns, depth, right)
            product_panel(left, n, right, depth, out + j, columns)
            j += TILE_COLUMNS
        if j < columns:
            product_last_panel(
                left, n, matrix + k * columns + j, depth, out + j, columns, columns - j
            )
        k += DEPTH


cdef inline void product_rows(
    const f32 *values, const f32 *mean, Py_ssize_t n, Py_ssize_t width, const f32 *matrix,
    Py_ssize_t columns, const f32 *start, f32 *out,
) noexcept nogil:
    """Write start + (values - mean) @ matrix for n rows; mean and start may be NULL."""
    cdef Py_ssize_t i = 0, rows
    start_rows(start, columns, n, out)
    while n - i >= MOST_ROWS:
        rows = min(ROW_BLOCK, n - i)
        rows -= rows % MOST_ROWS
        product_block(values + i * width, mean, rows, width, matrix, columns, out + i * columns)
        i += rows
    while i < n:
        product_row(values + i * width, mean, matrix, width, columns, out + i * columns)
        i += 1
