"""Row times matrix: out = start + (values - mean) @ matrix, for one row and for many.

Lanes run over the columns and every sum over the rows of the matrix is sequential, so that one
row alone and a row of a batch have the same bits.
"""
from libc.string cimport memcpy, memset
from cgcython.kernels.inner.types cimport f32
from cgcython.kernels.inner.simd.vector cimport LANES, SLACK, aligned, load, set_all, store, vf

cdef extern from "inner/dense.h" nogil:
    enum:
        TILE_ROWS "CG_TILE_ROWS"
        TILE_COLUMNS "CG_TILE_COLUMNS"
        DEPTH "CG_TILE_DEPTH"
    void tile "cg_tile"(
        const f32 *left, const f32 *right, Py_ssize_t depth, f32 *out, Py_ssize_t step
    )
    void pack "cg_pack"(const f32 *matrix, Py_ssize_t columns, Py_ssize_t depth, f32 *right)

cdef enum:
    ROW_BLOCK = 192     # rows of values that share a packed panel
    # What the tile's sizes never exceed, for arrays on the stack.
    MOST_DEPTH = 128
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
        memcpy(left, values + i * width, depth * sizeof(f32))
        if mean is not NULL:
            k = 0
            while k + LANES <= depth:
                store(left + k, load(left + k) - load(mean + k))
                k += LANES
            while k < depth:
                left[k] -= mean[k]
                k += 1
        left += DEPTH


cdef inline void tile_part(
    const f32 *left, const f32 *right, Py_ssize_t depth, f32 *out, Py_ssize_t columns,
    Py_ssize_t rows, Py_ssize_t used,
) noexcept nogil:
    """Add to a corner of a tile, by way of a whole one on the stack."""
    cdef:
        Py_ssize_t r
        f32[MOST_ROWS * MOST_COLUMNS] sums
    memset(sums, 0, sizeof(sums))
    for r in range(rows):
        memcpy(sums + r * TILE_COLUMNS, out + r * columns, used * sizeof(f32))
    tile(left, right, depth, sums, TILE_COLUMNS)
    for r in range(rows):
        memcpy(out + r * columns, sums + r * TILE_COLUMNS, used * sizeof(f32))


cdef inline void product_panel(
    const f32 *left, Py_ssize_t n, const f32 *right, Py_ssize_t depth, f32 *out,
    Py_ssize_t columns, Py_ssize_t used,
) noexcept nogil:
    """Add `depth` products to `used` columns of n rows."""
    cdef Py_ssize_t i = 0, rows
    while i < n:
        rows = min(TILE_ROWS, n - i)
        if rows == TILE_ROWS and used == TILE_COLUMNS:
            tile(left + i * DEPTH, right, depth, out + i * columns, columns)
        else:
            tile_part(left + i * DEPTH, right, depth, out + i * columns, columns, rows, used)
        i += TILE_ROWS


cdef inline void pack_part(
    const f32 *matrix, Py_ssize_t columns, Py_ssize_t depth, Py_ssize_t used, f32 *right
) noexcept nogil:
    """Lay a panel of fewer columns than a tile has side by side, zeros behind each row."""
    cdef Py_ssize_t r
    memset(right, 0, depth * TILE_COLUMNS * sizeof(f32))
    for r in range(depth):
        memcpy(right + r * TILE_COLUMNS, matrix + r * columns, used * sizeof(f32))


cdef inline void product_block(
    const f32 *values, const f32 *mean, Py_ssize_t n, Py_ssize_t width, const f32 *matrix,
    Py_ssize_t columns, f32 *out,
) noexcept nogil:
    """Add the products of up to ROW_BLOCK rows, panel by packed panel."""
    cdef:
        Py_ssize_t k = 0, j, depth, used
        f32[MOST_DEPTH * MOST_COLUMNS + SLACK] right_space
        f32[MOST_DEPTH * (ROW_BLOCK + MOST_ROWS) + SLACK] left_space
        f32 *right = aligned(right_space)
        f32 *left = aligned(left_space)
    memset(left + n * DEPTH, 0, MOST_ROWS * DEPTH * sizeof(f32))
    while k < width:
        depth = min(DEPTH, width - k)
        centre(values + k, mean, n, width, depth, left)
        if mean is not NULL:
            mean += DEPTH
        j = 0
        while j < columns:
            used = min(TILE_COLUMNS, columns - j)
            if used == TILE_COLUMNS:
                pack(matrix + k * columns + j, columns, depth, right)
            else:
                pack_part(matrix + k * columns + j, columns, depth, used, right)
            product_panel(left, n, right, depth, out + j, columns, used)
            j += TILE_COLUMNS
        k += DEPTH


cdef inline void product_rows(
    const f32 *values, const f32 *mean, Py_ssize_t n, Py_ssize_t width, const f32 *matrix,
    Py_ssize_t columns, const f32 *start, f32 *out,
) noexcept nogil:
    """Write start + (values - mean) @ matrix for n rows; mean and start may be NULL."""
    cdef Py_ssize_t i = 0, rows
    start_rows(start, columns, n, out)
    while i < n:
        rows = min(ROW_BLOCK, n - i)
        # Packing the matrix pays from the fifth row on.
        if rows < 5:
            product_row(values + i * width, mean, matrix, width, columns, out + i * columns)
            i += 1
        else:
            product_block(
                values + i * width, mean, rows, width, matrix, columns, out + i * columns
            )
            i += rows
