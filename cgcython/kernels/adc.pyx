"""Asymmetric distances: sums of table entries that the codes of product quantization name.

The tables of a query come from pq.dot_table and pq.distance_table.
"""
from libc.math cimport sqrt
from cgcython.kernels._types cimport f32, i64, u8

cdef enum:
    CENTROIDS = 256
    SCAN = 512  # rows whose sums are still in the first cache when they are compared


cdef int require_scan(
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t parts, Py_ssize_t n, Py_ssize_t results
) except -1:
    if columns != CENTROIDS or rows != parts:
        raise ValueError(f"table is {(rows, columns)}, codes are {(n, parts)}")
    if results != n:
        raise ValueError(f"out holds {results}, codes {n} rows")
    return 0


cdef inline f32 sum_of(const f32 *table, const u8 *codes, Py_ssize_t parts) noexcept nogil:
    cdef:
        f32 total = 0
        Py_ssize_t m
    for m in range(parts):
        total += table[m * CENTROIDS + codes[m]]
    return total


cdef void adc_scan(
    const f32 *table, const u8 *codes, f32 *out, Py_ssize_t n, Py_ssize_t parts
) noexcept nogil:
    cdef Py_ssize_t i
    if parts == 8:  # the compiler unrolls what it knows
        for i in range(n):
            out[i] = sum_of(table, codes + i * 8, 8)
    else:
        for i in range(n):
            out[i] = sum_of(table, codes + i * parts, parts)


def scan(
    const f32[:, ::1] table,  # IN
    const u8[:, ::1] codes,   # IN
    f32[::1] out,             # OUT
):
    """Write the sum of each row's table entries, in order and in float32."""
    cdef Py_ssize_t n = codes.shape[0], parts = codes.shape[1]
    require_scan(table.shape[0], table.shape[1], parts, n, out.shape[0])
    if n and parts:
        with nogil:
            adc_scan(&table[0, 0], &codes[0, 0], &out[0], n, parts)


def cosine(
    const f32[:, ::1] dots,   # IN
    const f32[:, ::1] norms,  # IN
    double dot_constant,
    double norm_constant,
    const u8[:, ::1] codes,   # IN
    f32[::1] out,             # OUT
):
    """Write (dot_constant + sum of dots) / sqrt(norm_constant + sum of norms) of each row.

    0 where the norm is 0.
    """
    cdef:
        Py_ssize_t i, size, start = 0, n = codes.shape[0], parts = codes.shape[1]
        f32[SCAN] dot
        f32[SCAN] norm
        double square
    require_scan(dots.shape[0], dots.shape[1], parts, n, out.shape[0])
    require_scan(norms.shape[0], norms.shape[1], parts, n, out.shape[0])
    if parts == 0:
        return
    with nogil:
        while start < n:
            size = min(<Py_ssize_t>SCAN, n - start)
            adc_scan(&dots[0, 0], &codes[start, 0], dot, size, parts)
            adc_scan(&norms[0, 0], &codes[start, 0], norm, size, parts)
            for i in range(size):
                square = norm_constant + norm[i]
                out[start + i] = <f32>((dot_constant + dot[i]) / sqrt(square)) if square > 0 else 0
            start += SCAN


def topk(
    const f32[:, ::1] table,  # IN
    const u8[:, ::1] codes,   # IN
    i64[::1] ids,             # OUT
    f32[::1] best,            # OUT
):
    """Write the k rows with the smallest sums, ascending, the lower row first on ties."""
    cdef Py_ssize_t n = codes.shape[0], parts = codes.shape[1], k = ids.shape[0]
    require_scan(table.shape[0], table.shape[1], parts, n, n)
    if best.shape[0] != k or k > n:
        raise ValueError(f"ids holds {k}, best {best.shape[0]}, codes {n} rows")
    if k and parts:
        with nogil:
            adc_topk(&table[0, 0], &codes[0, 0], n, parts, &ids[0], &best[0], k)


cdef void adc_topk(
    const f32 *table, const u8 *codes, Py_ssize_t n, Py_ssize_t parts,
    i64 *ids, f32 *best, Py_ssize_t k
) noexcept nogil:
    cdef:
        Py_ssize_t i, size, start = 0, held = 0
        f32[SCAN] sums
    while start < n:
        size = min(<Py_ssize_t>SCAN, n - start)
        adc_scan(table, codes + start * parts, sums, size, parts)
        for i in range(size):
            if held < k:
                insert(ids, best, held, start + i, sums[i])
                held += 1
            elif sums[i] < best[k - 1]:
                insert(ids, best, k - 1, start + i, sums[i])
        start += SCAN


cdef inline void insert(
    i64 *ids, f32 *best, Py_ssize_t at, Py_ssize_t row, f32 total
) noexcept nogil:
    """Put a row into its place among those before `at`; equal sums stay ahead of it."""
    while at > 0 and total < best[at - 1]:
        ids[at], best[at] = ids[at - 1], best[at - 1]
        at -= 1
    ids[at], best[at] = row, total
