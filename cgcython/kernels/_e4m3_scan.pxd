"""Products of a float32 query with rows of E4M3 codes, in 32 sums and a fixed tree."""
from libc.string cimport memset
from cgcython.kernels._types cimport f32, f64, u8
from cgcython.kernels._vector cimport SLACK, aligned

cdef extern from "_e4m3_scan.h" nogil:
    int SCAN_ROWS "CG_SCAN_ROWS"
    # Add products times 2**-8, or squares times 2**-16. The first returns False where a code is not
    # a normal number, and adds nothing.
    bint scan_normals "cg_scan_normals"(
        const f32 *x, const u8 *codes, Py_ssize_t step, Py_ssize_t n, f64 *out
    )
    void scan_row "cg_scan_row"(const f32 *x, const u8 *codes, Py_ssize_t n, f64 *out)
    void scan_squares "cg_scan_squares"(const u8 *codes, Py_ssize_t n, f64 *out)
    void lay_out "cg_lay_out"(const f32 *x, f32 factor, Py_ssize_t n, f32 *place)

cdef enum:
    PANEL = 2048  # values of the query that stay in the first cache
    TOGETHER = 256  # rows that meet one panel before the next
    ROOM = PANEL + SLACK


cdef inline void add_products(
    const f32 *panel, const u8 *codes, Py_ssize_t n, Py_ssize_t dim, Py_ssize_t width, f64 *out
) noexcept nogil:
    """Add the products of the panel and `width` codes of each row.

    Codes of embeddings are normal numbers but for one in some thousands; where zeros are many,
    trying would cost more than it saves.
    """
    cdef Py_ssize_t i = 0, j, failures = n // (4 * SCAN_ROWS)
    while i < n:
        if failures > 0 and i + SCAN_ROWS <= n:
            if scan_normals(panel, codes + i * dim, dim, width, out + i):
                i += SCAN_ROWS
                continue
            failures -= 1
        for j in range(i, min(i + SCAN_ROWS, n)):
            scan_row(panel, codes + j * dim, width, out + j)
        i += SCAN_ROWS


cdef inline void scale_products(
    const f32 *query, f32 down, f64 up, const u8 *codes, const f32 *factors,
    Py_ssize_t n, Py_ssize_t dim, f32 *out,
) noexcept nogil:
    """Write the product of query * down and each row, times `up` and the row's factor."""
    cdef:
        f32[ROOM] room
        f32 *panel = aligned(room)
        f64[TOGETHER] products
        Py_ssize_t start = 0, size, width, i, k
    while start < n:
        size = min(<Py_ssize_t>TOGETHER, n - start)
        memset(products, 0, size * sizeof(f64))
        k = 0
        while k < dim:
            width = min(<Py_ssize_t>PANEL, dim - k)
            if start == 0 or dim > PANEL:
                lay_out(query + k, down, width, panel)
            add_products(panel, codes + start * dim + k, size, dim, width, products)
            k += width
        for i in range(size):
            out[start + i] = <f32>(products[i] * up * factors[start + i])
        start += size


cdef inline f64 squares_of(const f32 *x, f32 factor, Py_ssize_t n) noexcept nogil:
    cdef:
        f64 total = 0
        Py_ssize_t k
    for k in range(n):
        total += <f64>(x[k] * factor) * (x[k] * factor)
    return total
