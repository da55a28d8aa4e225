"""Products of a float32 query with rows of E4M3 codes, in 32 sums and a fixed tree."""
from libc.string cimport memset
from cgcython.kernels.inner.types cimport f32, f64, u8
from cgcython.kernels.inner.simd.vector cimport SLACK, aligned

cdef extern from "inner/e4m3/scan.h" nogil:
    # Add products times 2**-8, or squares times 2**-16.
    void scan_rows "cg_scan_rows"(
        const f32 *x, const u8 *codes, Py_ssize_t step, Py_ssize_t n, Py_ssize_t count, f64 *out
    )
    void scan_squares "cg_scan_squares"(const u8 *codes, Py_ssize_t n, f64 *out)
    void lay_out "cg_lay_out"(const f32 *x, f32 factor, Py_ssize_t n, f32 *place)

cdef enum:
    PANEL = 2048  # values of the query that stay in the first cache
    TOGETHER = 256  # rows that meet one panel before the next
    ROOM = PANEL + SLACK


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
            scan_rows(panel, codes + start * dim + k, dim, width, size, products)
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
