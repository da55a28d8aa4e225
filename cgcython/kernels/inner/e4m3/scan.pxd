"""Products of a float32 query with rows of E4M3 codes, in 32 sums and a fixed tree."""
from libc.math cimport NAN
from libc.string cimport memset
from cgcython.kernels.inner.types cimport f32, f64, u8
from cgcython.kernels.inner.simd.vector cimport LANES, SLACK, VECTOR_BYTES, aligned

cdef extern from "inner/e4m3/scan.h" nogil:
    enum:
        CODES "CG_SCAN_CODES"
        ROWS "CG_SCAN_ROWS"     # that meet the vector together
    # Add products times 2**-8, or squares times 2**-16, and return 1; 0 where a code is NaN.
    bint meet_rows "cg_meet_rows"(
        const f32 *x, const u8 *codes, Py_ssize_t step, Py_ssize_t n, int rows, int squares,
        f64 *out,
    )

cdef enum:
    PANEL = 2048  # values of the query that stay in the first cache
    PANEL_ROWS = 256  # rows that meet one panel before the next
    PANEL_ROOM = PANEL + SLACK


cdef inline void lay_out(const f32 *x, f32 factor, Py_ssize_t n, f32 *place) noexcept nogil:
    """Lay out n floats times a factor as the values of codes come, in blocks filled with zeros."""
    cdef:
        f32[CODES] some
        Py_ssize_t j, k = 0, at
    while k < n:
        memset(some, 0, sizeof(some))
        for j in range(min(<Py_ssize_t>CODES, n - k)):
            some[j] = x[k + j] * factor
        for j in range(0, CODES, 2):
            at = j // VECTOR_BYTES * VECTOR_BYTES + j // 8 % 2 * 2 * LANES
            at += j % VECTOR_BYTES // 16 * 4 + j % 8 // 2
            place[k + at], place[k + at + LANES] = some[j], some[j + 1]
        k += CODES


cdef inline void scan_rows(
    const f32 *x, const u8 *codes, Py_ssize_t step, Py_ssize_t n, Py_ssize_t count, f64 *out
) noexcept nogil:
    """Add the products of a laid-out vector and n codes of each row, times 2**-8; NaN for NaN."""
    cdef Py_ssize_t i = 0, alone = 0
    while i < count:
        if i >= alone and i + ROWS <= count:
            if meet_rows(x, codes + i * step, step, n, ROWS, 0, out + i):
                i += ROWS
                continue
            alone = i + ROWS  # one of them holds NaN
        if not meet_rows(x, codes + i * step, step, n, 1, 0, out + i):
            out[i] = NAN
        i += 1


cdef inline void scan_squares(const u8 *codes, Py_ssize_t n, f64 *out) noexcept nogil:
    """Add the squares of n codes, times 2**-16; NaN where one is."""
    if not meet_rows(NULL, codes, n, n, 1, 1, out):
        out[0] = NAN


cdef inline void scale_products(
    const f32 *query, f32 down, f64 up, const u8 *codes, const f32 *factors,
    Py_ssize_t n, Py_ssize_t dim, f32 *out,
) noexcept nogil:
    """Write the product of query * down and each row, times `up` and the row's factor."""
    cdef:
        f32[PANEL_ROOM] room
        f32 *panel = aligned(room)
        f64[PANEL_ROWS] products
        Py_ssize_t start = 0, size, width, i, k
    while start < n:
        size = min(<Py_ssize_t>PANEL_ROWS, n - start)
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
