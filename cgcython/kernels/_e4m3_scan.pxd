"""Products of a float32 query with one row of E4M3 codes, in sixteen sums and a fixed tree."""
from libc.math cimport sqrt
from libc.string cimport memcpy, memset
from cgcython.kernels._e4m3 cimport load16_e4m3
from cgcython.kernels._types cimport f32, f64, u8
from cgcython.kernels._vector cimport (
    load16, load16_part, mul16, mul_add16, set16, sum16, v16,
)


cdef inline v16 load16_codes(const u8 *codes, Py_ssize_t n) noexcept nogil:
    """Return the values of n < 16 codes, and zeros."""
    cdef u8[16] some
    memset(some, 0, sizeof(some))
    memcpy(some, codes, n)
    return load16_e4m3(some)


cdef inline f64 dot_with(
    const f32 *query, f32 factor, const u8 *codes, Py_ssize_t n
) noexcept nogil:
    """Return the product of query * factor and the codes' values."""
    cdef:
        v16 total = set16(0), factors = set16(factor), x
        Py_ssize_t k = 0
    while k + 16 <= n:
        x = mul16(load16(query + k), factors)
        total = mul_add16(x, load16_e4m3(codes + k), total)
        k += 16
    if k < n:
        x = mul16(load16_part(query + k, n - k), factors)
        total = mul_add16(x, load16_codes(codes + k, n - k), total)
    return sum16(total)


cdef inline f64 squares(const f32 *x, f32 factor, Py_ssize_t n) noexcept nogil:
    cdef:
        f64 total = 0
        Py_ssize_t k
    for k in range(n):
        total += <f64>(x[k] * factor) * (x[k] * factor)
    return total


cdef inline f32 cosine_with(
    const f32 *query, f32 factor, f64 query_squares, const u8 *codes, Py_ssize_t n
) noexcept nogil:
    cdef:
        v16 dot = set16(0), total = dot, factors = set16(factor), x
        Py_ssize_t k = 0
        f64 norms
    while k + 16 <= n:
        x = load16_e4m3(codes + k)
        dot = mul_add16(mul16(load16(query + k), factors), x, dot)
        total = mul_add16(x, x, total)
        k += 16
    if k < n:
        x = load16_codes(codes + k, n - k)
        dot = mul_add16(mul16(load16_part(query + k, n - k), factors), x, dot)
        total = mul_add16(x, x, total)
    norms = sqrt(query_squares * sum16(total))
    return <f32>(sum16(dot) / norms) if norms != 0 else <f32>0
