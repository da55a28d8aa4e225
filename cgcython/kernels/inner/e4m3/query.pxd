"""A query as rows of E4M3 codes meet it: to be scored, and to estimate its scores.

An estimate is off by no more than the query as estimated is from the query, times the length of the
row, and the row as estimated is from the row, times the length of the query as estimated
(Cauchy-Schwarz), and by roundings. Lengths of rows are those of their codes' values.
"""
from libc.float cimport FLT_MAX
from libc.math cimport ldexp, rint, sqrt
from libc.string cimport memset
from cgcython.kernels.inner.e4m3.scan cimport PANEL, lay_out, scan_rows, squares_of
from cgcython.kernels.inner.finite cimport power_of
from cgcython.kernels.inner.found cimport Found, add_found
from cgcython.kernels.inner.integers.tiles cimport LINE, i8
from cgcython.kernels.inner.types cimport f32, f64, u8

cdef enum:
    WIDEST = 4096   # dimensions that fit the scratch of a kernel
    PLACES = 64     # the dimensions of a laid-out query come in multiples of it
    TOGETHER = 256  # rows that are scored, or estimated, before any is looked at
    MOST_WHOLE = 127


cdef struct Rows:
    const u8 *codes
    const f32 *inverse_norms
    const f32 *factors      # of products: scales, or the inverse norms for cosines
    Py_ssize_t count
    Py_ssize_t dim
    bint cosine


cdef struct Query:
    const f32 *laid     # times a power of two that brings its peak near 1
    f64 up              # what makes its products times 2**-8 scores, beside the factors of rows
    f64 length          # of the query so laid out
    f64 kept            # the length of the query as it is estimated
    f64 lost            # the length of what the estimate leaves out


cdef inline f64 rounding_of(Py_ssize_t dim) noexcept nogil:
    """More than float32 sums in 16 lanes, or a score, can be off, as a part of both lengths."""
    return 1e-5 + (dim / 16.0 + 16) * 2.0**-23


cdef inline void set_rows(
    const u8 *codes, const f32 *inverse_norms, const f32 *scales, Py_ssize_t count, Py_ssize_t dim,
    Rows *rows,
) noexcept nogil:
    """Set what rows hold; without scales they are scored by cosines."""
    rows.codes, rows.inverse_norms, rows.count, rows.dim = codes, inverse_norms, count, dim
    rows.cosine = scales is NULL
    rows.factors = inverse_norms if rows.cosine else scales


cdef inline f64 lay_query(
    const f32 *values, Py_ssize_t dim, bint cosine, f32 *laid, Query *q
) noexcept nogil:
    """Lay a query out to be scored as the scan of all rows does; return the power of two."""
    cdef:
        int power = power_of(values, dim)
        f32 down = <f32>ldexp(1, -power)
        f64 squares = squares_of(values, down, dim)
        Py_ssize_t k = 0
    while k < dim:
        lay_out(values + k, down, min(<Py_ssize_t>PANEL, dim - k), laid + k)
        k += PANEL
    q.laid, q.length = laid, sqrt(squares)
    if cosine:
        q.up = 256 / q.length if squares != 0 else 0
    else:
        q.up = ldexp(1, power + 8)
    return ldexp(1, -power)


cdef inline void score_rows(
    const Query *q, const Rows *rows, Py_ssize_t first, Py_ssize_t count, f64 *products, f32 *scores
) noexcept nogil:
    """Write the scores of some rows, the same bits as the scan of all rows."""
    cdef Py_ssize_t i, k = 0, dim = rows.dim
    memset(products, 0, count * sizeof(f64))
    while k < dim:
        scan_rows(
            q.laid + k, rows.codes + first * dim + k, dim, min(<Py_ssize_t>PANEL, dim - k), count,
            products,
        )
        k += PANEL
    for i in range(count):
        scores[i] = <f32>(products[i] * q.up * rows.factors[first + i])


cdef inline bint add_all(
    const Query *q, const Rows *rows, Py_ssize_t first, Py_ssize_t count, Found *found
) noexcept nogil:
    """Score some rows and add those that may be among the best; return False without room."""
    cdef:
        f64[TOGETHER] products
        f32[TOGETHER] scores
        Py_ssize_t i
    score_rows(q, rows, first, count, products, scores)
    for i in range(count):
        if scores[i] >= found.least and not add_found(found, first + i, scores[i]):
            return False
    return True


cdef inline f64 bar_of(const Found *found) noexcept nogil:
    """Return what a row must possibly reach: scores beyond float32 are infinite, and equal."""
    return min(found.least, <f64>FLT_MAX) - 2.0**-140


cdef inline void pack_whole(
    const f32 *values, f64 down, Py_ssize_t dim, i8 *lane, Query *q, f64 *step, f64 *total
) noexcept nogil:
    """Write a query as whole numbers along a lane, and measure what that keeps and loses."""
    cdef:
        f64 value, number, peak = 0, kept = 0, lost = 0
        Py_ssize_t k
    for k in range(dim):
        peak = max(peak, abs(values[k] * down))
    step[0], total[0] = peak / MOST_WHOLE, 0
    if peak > 0:
        for k in range(dim):
            value = values[k] * down
            number = rint(value / step[0])
            lane[k // 4 * LINE + k % 4] = <i8>number
            total[0] += number
            kept += number * number
            lost += (value - step[0] * number) * (value - step[0] * number)
    q.kept, q.lost = step[0] * sqrt(kept), sqrt(lost)


cdef inline f64 length_of(f32 inverse_norm) noexcept nogil:
    return 1 / <f64>inverse_norm if inverse_norm > 0 else 0
