"""Asymmetric distances: sums of table entries that the codes of product quantization name.

The tables of a query come from pq.dot_table and pq.distance_table.
"""
from libc.math cimport sqrt
from libc.string cimport memcpy, memset
from cgcython.kernels.inner.simd.compiler cimport first_one
from cgcython.kernels.inner.pq.adc_best cimport Best, lane_sum, offer
from cgcython.kernels.inner.pq.adc_cosine cimport Cosines, cosine_set_up, offer_cosines
from cgcython.kernels.inner.pq.adc_screen cimport (
    SCREEN_ROWS, KSUB, MAX_M, SCREENS, SCREEN_BLOCKS, Screen, passing, set_up, tighten,
)
from cgcython.kernels.inner.door cimport check_buffers
from cgcython.kernels.inner.types cimport f32, i64, u8, u64

cdef enum:
    SCAN = 512   # rows whose sums are still in the first cache when they are compared
    HEAD = 4096  # rows that are summed before the screen: they choose its steps


cdef int require_scan(
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t M, Py_ssize_t n, Py_ssize_t results
) except -1:
    if columns != KSUB or rows != M:
        raise ValueError(f"table is {(rows, columns)}, codes are {(n, M)}")
    if results != n:
        raise ValueError(f"out holds {results}, codes {n} rows")
    return 0


cdef inline f32 sum_of(const f32 *table, const u8 *codes, Py_ssize_t M) noexcept nogil:
    cdef:
        f32 total = 0
        Py_ssize_t m
    for m in range(M):
        total += table[m * KSUB + codes[m]]
    return total


cdef inline f32 sum_of_eight(const f32 *table, const u8 *codes) noexcept nogil:
    """The same, with the codes read at once: reads are what bounds a scan."""
    cdef:
        f32 total = 0
        u64 eight
        Py_ssize_t m
    memcpy(&eight, codes, 8)
    for m in range(8):
        total += table[m * KSUB + (eight >> 8 * m & 0xFF)]
    return total


cdef void adc_scan(
    const f32 *table, const u8 *codes, f32 *out, Py_ssize_t n, Py_ssize_t M
) noexcept nogil:
    cdef Py_ssize_t i
    if M == 8:
        for i in range(n):
            out[i] = sum_of_eight(table, codes + i * 8)
    else:
        for i in range(n):
            out[i] = sum_of(table, codes + i * M, M)


def scan(
    const f32[:, ::1] table,  # IN
    const u8[:, ::1] codes,   # IN
    f32[::1] out,             # OUT
):
    """Write the sum of each row's table entries, in order and in float32."""
    cdef Py_ssize_t n = codes.shape[0], M = codes.shape[1]
    check_buffers(1, out, table, codes)
    require_scan(table.shape[0], table.shape[1], M, n, out.shape[0])
    if n:
        with nogil:
            adc_scan(&table[0, 0], &codes[0, 0], &out[0], n, M)


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
        Py_ssize_t i, size, start = 0, n = codes.shape[0], M = codes.shape[1]
        f32[SCAN] dot
        f32[SCAN] norm
        double square
    check_buffers(1, out, dots, norms, codes)
    require_scan(dots.shape[0], dots.shape[1], M, n, out.shape[0])
    require_scan(norms.shape[0], norms.shape[1], M, n, out.shape[0])
    with nogil:
        while start < n:
            size = min(<Py_ssize_t>SCAN, n - start)
            adc_scan(&dots[0, 0], &codes[start, 0], dot, size, M)
            adc_scan(&norms[0, 0], &codes[start, 0], norm, size, M)
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
    cdef Py_ssize_t n = codes.shape[0], M = codes.shape[1], k = ids.shape[0]
    check_buffers(2, ids, best, table, codes)
    require_scan(table.shape[0], table.shape[1], M, n, n)
    if best.shape[0] != k or k > n:
        raise ValueError(f"ids holds {k}, best {best.shape[0]}, codes {n} rows")
    if k:
        with nogil:
            adc_topk(&table[0, 0], &codes[0, 0], n, M, &ids[0], &best[0], k)


cdef void adc_topk(
    const f32 *table, const u8 *codes, Py_ssize_t n, Py_ssize_t M,
    i64 *ids, f32 *best, Py_ssize_t k
) noexcept nogil:
    cdef:
        Py_ssize_t i, size, start = 0
        f32[SCAN] sums
        Best found
    found.ids, found.sums, found.k, found.held = ids, best, k, 0
    while start < n:
        size = min(<Py_ssize_t>SCAN, n - start)
        adc_scan(table, codes + start * M, sums, size, M)
        for i in range(size):
            offer(&found, start + i, sums[i])
        start += SCAN


def block_codes(
    const u8[:, ::1] codes,  # IN
    u8[:, :, ::1] blocks,    # OUT
):
    """Lay codes [n, M] out for topk_blocks: [ceil(n / 64), M, 64], zeros behind the last row."""
    cdef Py_ssize_t i, m, n = codes.shape[0], M = codes.shape[1]
    check_buffers(1, blocks, codes)
    require_blocks(blocks.shape[0], blocks.shape[1], blocks.shape[2], n, M)
    if n:
        with nogil:
            memset(&blocks[blocks.shape[0] - 1, 0, 0], 0, M * SCREEN_ROWS)
            for i in range(n):
                for m in range(M):
                    blocks[i // SCREEN_ROWS, m, i % SCREEN_ROWS] = codes[i, m]


cdef int require_blocks(
    Py_ssize_t blocks, Py_ssize_t columns, Py_ssize_t rows, Py_ssize_t n, Py_ssize_t M
) except -1:
    cdef Py_ssize_t expected = n // SCREEN_ROWS + (n % SCREEN_ROWS != 0)
    if n < 0 or blocks != expected or columns != M or rows != SCREEN_ROWS:
        raise ValueError(
            f"blocks are {(blocks, columns, rows)}, expected {(expected, M, SCREEN_ROWS)}"
        )
    return 0


def topk_blocks(
    const f32[:, ::1] table,     # IN
    const u8[:, :, ::1] blocks,  # IN
    Py_ssize_t n,
    i64[::1] ids,                # OUT
    f32[::1] best,               # OUT
):
    """Write what topk writes for the n codes that block_codes laid out."""
    cdef Py_ssize_t M = blocks.shape[1], k = ids.shape[0]
    check_buffers(2, ids, best, table, blocks)
    require_scan(table.shape[0], table.shape[1], M, n, n)
    require_blocks(blocks.shape[0], M, blocks.shape[2], n, M)
    if best.shape[0] != k or k > n:
        raise ValueError(f"ids holds {k}, best {best.shape[0]}, codes {n} rows")
    if k:
        with nogil:
            adc_topk_blocks(&table[0, 0], &blocks[0, 0, 0], n, M, &ids[0], &best[0], k)


cdef void adc_topk_blocks(
    const f32 *table, const u8 *blocks, Py_ssize_t n, Py_ssize_t M,
    i64 *ids, f32 *best, Py_ssize_t k
) noexcept nogil:
    cdef:
        Py_ssize_t start = 0
        Screen screen
        Best found
        bint screened = SCREENS and 0 < M <= MAX_M and set_up(&screen, table, M)
    found.ids, found.sums, found.k, found.held = ids, best, k, 0
    while start < n:
        if (
            screened and start >= HEAD and found.held == k
            and n - start >= SCREEN_BLOCKS * SCREEN_ROWS
        ):
            tighten(&screen, found.sums[k - 1])
            offer_passing(&screen, blocks + start * M, start, &found)
            start += SCREEN_BLOCKS * SCREEN_ROWS
        else:
            offer_block(table, blocks + start * M, M, start, n, &found)
            start += SCREEN_ROWS


cdef void offer_passing(
    const Screen *screen, const u8 *blocks, Py_ssize_t start, Best *found
) noexcept nogil:
    """Offer the rows of some blocks whose bounds let them be among the best."""
    cdef:
        u64[SCREEN_BLOCKS] passed
        Py_ssize_t b
        int lane
    passing(screen, blocks, NULL, passed)
    for b in range(SCREEN_BLOCKS):
        while passed[b]:
            lane = first_one(passed[b])
            passed[b] &= passed[b] - 1
            offer(
                found, start + b * SCREEN_ROWS + lane,
                lane_sum(
                    screen.table, blocks + b * SCREEN_ROWS * screen.M + lane, screen.M
                ),
            )


cdef void offer_block(
    const f32 *table, const u8 *block, Py_ssize_t M, Py_ssize_t start, Py_ssize_t n,
    Best *found
) noexcept nogil:
    """Offer the rows of one block."""
    cdef Py_ssize_t i
    for i in range(min(<Py_ssize_t>SCREEN_ROWS, n - start)):
        if M == 8:  # the compiler unrolls what it knows
            offer(found, start + i, lane_sum(table, block + i, 8))
        else:
            offer(found, start + i, lane_sum(table, block + i, M))


def topk_cosine(
    const f32[:, ::1] dots,      # IN
    const f32[:, ::1] norms,     # IN
    double dot_constant,
    double norm_constant,
    const u8[:, :, ::1] blocks,  # IN
    const u8[:, ::1] lengths,    # IN
    const f32[::1] edges,        # IN
    Py_ssize_t n,
    i64[::1] ids,                # OUT
    f32[::1] best,               # OUT
):
    """Write the k rows with the least 1 - cosine, ascending, the lower row first on ties.

    Cosines are those of `cosine`; a NaN counts as infinitely far. A row whose length is c decodes
    to what is edges[c] to edges[c + 1] long; edges ascend.
    """
    cdef:
        Py_ssize_t M = blocks.shape[1], k = ids.shape[0]
        Cosines found
    check_buffers(2, ids, best, dots, norms, blocks, lengths, edges)
    require_scan(dots.shape[0], dots.shape[1], M, n, n)
    require_scan(norms.shape[0], norms.shape[1], M, n, n)
    require_blocks(blocks.shape[0], M, blocks.shape[2], n, M)
    require_lengths(lengths.shape[0], lengths.shape[1], edges.shape[0], n)
    if best.shape[0] != k or k > n:
        raise ValueError(f"ids holds {k}, best {best.shape[0]}, codes {n} rows")
    if k:
        with nogil:
            found.dots, found.norms, found.M = &dots[0, 0], &norms[0, 0], M
            found.dot_constant, found.norm_constant = dot_constant, norm_constant
            found.edges = &edges[0]
            found.best.ids, found.best.sums = &ids[0], &best[0]
            found.best.k, found.best.held = k, 0
            cosine_set_up(&found)
            offer_cosines(&found, &blocks[0, 0, 0], &lengths[0, 0], n)


cdef int require_lengths(
    Py_ssize_t blocks, Py_ssize_t rows, Py_ssize_t edges, Py_ssize_t n
) except -1:
    cdef Py_ssize_t expected = n // SCREEN_ROWS + (n % SCREEN_ROWS != 0)
    if blocks != expected or rows != SCREEN_ROWS or edges != KSUB + 1:
        raise ValueError(
            f"lengths are {(blocks, rows)}, edges {edges}, "
            f"expected {(expected, SCREEN_ROWS)} and {KSUB + 1}"
        )
    return 0
