"""Products of a float32 query with rows of E4M3 codes, in 32 sums and a fixed tree."""
from libc.string cimport memset
from cgcython.kernels._types cimport f32, f64, u8
from cgcython.kernels._vector cimport SLACK

cdef extern from "_e4m3_scan.h" nogil:
    int SCAN_ROWS "CG_SCAN_ROWS"
    # Values of codes come times 2**-8, their squares times 2**-16.
    void scan_rows "cg_scan_rows"(
        const f32 *x, const u8 *codes, Py_ssize_t step, Py_ssize_t n, int rows,
        f64 *dots, f64 *squares,
    )
    void lay_out "cg_lay_out"(const f32 *x, f32 factor, Py_ssize_t n, f32 *place)

cdef enum:
    PANEL = 2048  # values of the query that stay in the first cache
    TOGETHER = 256  # rows that meet one panel before the next
    ROOM = PANEL + SLACK


cdef inline void add_panel(
    const f32 *panel, const u8 *codes, Py_ssize_t n, Py_ssize_t dim, Py_ssize_t width,
    f64 *dots, f64 *squares,
) noexcept nogil:
    """Add the products of the panel and `width` codes of each row, and squares unless NULL."""
    cdef Py_ssize_t i = 0
    while i + SCAN_ROWS <= n:
        if squares is NULL:
            scan_rows(panel, codes + i * dim, dim, width, SCAN_ROWS, dots + i, NULL)
        else:
            scan_rows(panel, codes + i * dim, dim, width, SCAN_ROWS, dots + i, squares + i)
        i += SCAN_ROWS
    while i < n:
        if squares is NULL:
            scan_rows(panel, codes + i * dim, dim, width, 1, dots + i, NULL)
        else:
            scan_rows(panel, codes + i * dim, dim, width, 1, dots + i, squares + i)
        i += 1


cdef inline void meet_rows(
    const f32 *query, f32 factor, f32 *panel, bint is_laid, const u8 *codes,
    Py_ssize_t n, Py_ssize_t dim, f64 *dots, f64 *squares,
) noexcept nogil:
    """Write the products of query * factor and n <= TOGETHER rows, and squares unless NULL.

    A query of one panel is laid out once, for the first rows.
    """
    cdef Py_ssize_t k = 0, width
    memset(dots, 0, n * sizeof(f64))
    if squares is not NULL:
        memset(squares, 0, n * sizeof(f64))
    while k < dim:
        width = min(<Py_ssize_t>PANEL, dim - k)
        if not is_laid or dim > PANEL:
            lay_out(query + k, factor, width, panel)
        add_panel(panel, codes + k, n, dim, width, dots, squares)
        k += PANEL


cdef inline f64 squares_of(const f32 *x, f32 factor, Py_ssize_t n) noexcept nogil:
    cdef:
        f64 total = 0
        Py_ssize_t k
    for k in range(n):
        total += <f64>(x[k] * factor) * (x[k] * factor)
    return total
