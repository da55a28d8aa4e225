"""Rows of sign bits in blocks of eight, whose words lie side by side: u64 [blocks, words, 8].

A scan of them adds up no word across a register: each lane counts the bits of one row.
"""
from cgcython.kernels.inner.door cimport agree, check_buffers
from cgcython.kernels.inner.turn cimport turn
from cgcython.kernels.inner.types cimport f32, i64, u8, u32, u64
from cgcython.kernels.inner.simd.vector cimport set_all, set_all_u, vf, vu

cdef extern from "inner/sign_blocks.h" nogil:
    void differing8 "cg_differing8"(
        const u64 *query, const u64 *block, Py_ssize_t words, u32 *out
    )
    u64 at_least64 "cg_at_least64"(const f32 *values, vf threshold, vu *peak)

cdef enum:
    EACH = 8  # rows of a block
    WORD = 64
    SCAN = 64  # rows whose distances are known before any of them is looked at
    UNKNOWN = 0xFFFFFFFF  # the distance of rows that are not there


cdef void sign_blocks_pack(
    const f32 *values, Py_ssize_t n, Py_ssize_t dim, const f32 *factors, const f32 *centre,
    const u8 *flips, Py_ssize_t turns, Py_ssize_t words, f32 *scratch, u64 *packed
) noexcept nogil:
    cdef:
        Py_ssize_t size = WORD * words, i, k, t
        f32 *row = scratch
        f32 *other = scratch + size
        vu peak = set_all_u(0)
        vf zero = set_all(0)
    for i in range(n):
        # The product is rounded before the centre is taken off, on every level.
        for k in range(dim):
            row[k] = values[i * dim + k] * factors[i]
        for k in range(dim):
            row[k] -= centre[k]
        for k in range(dim, size):
            row[k] = 0
        for t in range(turns):
            mix(row, size, flips + t * size, other)
            turn(other, size, True, row)
        for k in range(words):
            packed[i * words + k] = at_least64(row + WORD * k, zero, &peak)


cdef inline void mix(
    const f32 *row, Py_ssize_t size, const u8 *flips, f32 *out
) noexcept nogil:
    """Deal the values of each block out to all blocks, and negate those of odd flips."""
    cdef Py_ssize_t block = size & -size, blocks = size // block, b, j, place
    for b in range(blocks):
        for j in range(block):
            place = j * blocks + b
            out[place] = row[b * block + j] * (1 - 2 * <f32>(flips[place] & 1))


cdef void sign_blocks_distances(
    const u64 *query, const u64 *blocks, Py_ssize_t rows, Py_ssize_t words, u32 *distances
) noexcept nogil:
    cdef:
        Py_ssize_t start = 0, i
        u32[EACH] last
    while start + EACH <= rows:
        differing8(query, blocks, words, distances + start)
        blocks += EACH * words
        start += EACH
    if start < rows:
        differing8(query, blocks, words, last)
        for i in range(rows - start):
            distances[start + i] = last[i]


cdef inline Py_ssize_t count_within(const u32 *distances, Py_ssize_t n, u32 most) noexcept nogil:
    """Return how many distances are at most so large."""
    cdef:
        Py_ssize_t i
        u32 count = 0
    for i in range(n):
        count += distances[i] <= most
    return count


cdef inline u32 kth_distance(const u32 *distances, Py_ssize_t n, Py_ssize_t k) noexcept nogil:
    """Return the least number that k distances or more do not exceed."""
    cdef u32 low = 0, high = 0, middle
    cdef Py_ssize_t i
    for i in range(n):
        high = max(high, distances[i])
    while low < high:
        middle = low + (high - low) // 2
        if count_within(distances, n, middle) >= k:
            high = middle
        else:
            low = middle + 1
    return low


cdef u32 keep_nearest(i64 *ids, u32 *distances, Py_ssize_t n, Py_ssize_t k) noexcept nogil:
    """Move the k nearest to the front, in their order, and return the largest distance.

    Of equals the first stay.
    """
    cdef:
        u32 last = kth_distance(distances, n, k), distance
        Py_ssize_t ties = k - (count_within(distances, n, last - 1) if last else 0), i, kept = 0
        bint is_tie, stays
    for i in range(n):
        distance = distances[i]
        is_tie = distance == last
        stays = distance < last or (is_tie and ties > 0)
        ties -= is_tie
        ids[kept], distances[kept] = ids[i], distance
        kept += stays
        if kept == k:
            break
    return last


cdef void sign_blocks_nearest(
    const u64 *query, const u64 *blocks, Py_ssize_t rows, Py_ssize_t words, Py_ssize_t k,
    i64 *ids, u32 *distances, Py_ssize_t room
) noexcept nogil:
    """Write the k nearest rows, ascending; there is room for at least SCAN more."""
    cdef:
        Py_ssize_t start = 0, i, n, found = 0
        u32[SCAN] some
        u32 limit = UNKNOWN, least
    while start < rows and k:
        n = min(<Py_ssize_t>SCAN, rows - start)
        for i in range(SCAN):
            some[i] = UNKNOWN
        sign_blocks_distances(query, blocks + start * words, n, words, some)
        least = UNKNOWN
        for i in range(SCAN):
            least = min(least, some[i])
        if least < limit:
            if found + SCAN > room:
                limit = keep_nearest(ids, distances, found, k)
                found = k
            for i in range(n):
                ids[found], distances[found] = start + i, some[i]
                found += some[i] < limit  # later rows lose ties
        start += n
    if found > k:
        keep_nearest(ids, distances, found, k)


def pack(
    const f32[:, ::1] values,       # IN
    const f32[::1] factors,         # IN
    const f32[::1] centre,          # IN
    const u8[:, ::1] flips,         # IN
    f32[::1] scratch,               # OUT
    u64[:, ::1] packed,             # OUT
):
    """Write the signs of rows, value >= 0 to the lowest bit first, once they were turned.

    A row f32 [dim] is multiplied by its factor, less the centre, and filled up with zeros. Each
    turn, a row of flips u8 [turns, words * 64], deals values out to the blocks of Hadamard's
    transform, the largest power of two in their number, and negates those of odd flips before it.
    `scratch` holds two rows; `packed` is u64 [n, words].
    """
    cdef Py_ssize_t n = values.shape[0], dim = values.shape[1], words = packed.shape[1]
    check_buffers(2, scratch, packed, values, factors, centre, flips)
    agree("packed", packed.shape[0], "values", n)
    agree("factors", factors.shape[0], "values", n)
    agree("centre", centre.shape[0], "a row of values", dim)
    if words != (dim >> 6) + (dim & 63 != 0):
        raise ValueError(f"a row of packed holds {words} words for {dim} values")
    agree("a row of flips", flips.shape[1], "a row of signs", WORD * words)
    agree("scratch", scratch.shape[0], "two rows of signs", 2 * WORD * words)
    if n and words:
        with nogil:
            sign_blocks_pack(
                &values[0, 0], n, dim, &factors[0], &centre[0], &flips[0, 0], flips.shape[0],
                words, &scratch[0], &packed[0, 0]
            )


cdef int check_blocks(
    const u64[:, ::1] query, const u64[:, :, ::1] blocks, Py_ssize_t rows
) except -1:
    agree("a word of query", query.shape[1], "a word of blocks", EACH)
    agree("a word of blocks", blocks.shape[2], "a word of query", EACH)
    agree("a block", blocks.shape[1], "query", query.shape[0])
    if rows < 0 or blocks.shape[0] != (rows >> 3) + (rows & 7 != 0):
        raise ValueError(f"{blocks.shape[0]} blocks of {EACH} do not hold {rows} rows")
    return 0


def distances(
    const u64[:, ::1] query,        # IN
    const u64[:, :, ::1] blocks,    # IN
    u32[::1] out,                   # OUT
):
    """Write how many bits of each row differ from the query's, whose words lie there eight times.

    `query` is u64 [words, 8], `blocks` u64 [blocks, words, 8] of the rows of `out`.
    """
    cdef Py_ssize_t rows = out.shape[0], words = blocks.shape[1]
    check_buffers(1, out, query, blocks)
    check_blocks(query, blocks, rows)
    with nogil:
        sign_blocks_distances(&query[0, 0], &blocks[0, 0, 0], rows, words, &out[0])


def nearest(
    const u64[:, ::1] query,        # IN
    const u64[:, :, ::1] blocks,    # IN
    Py_ssize_t rows,
    Py_ssize_t k,
    i64[::1] ids,                   # OUT
    u32[::1] distances,             # OUT
):
    """Write the k rows whose bits differ least from the query's, ascending, and how many differ.

    Of equals the first are found. Both outputs have room for 64 more than are found: what stands
    behind those is undefined.
    """
    cdef Py_ssize_t words = blocks.shape[1], room = ids.shape[0]
    check_buffers(2, ids, distances, query, blocks)
    check_blocks(query, blocks, rows)
    agree("distances", distances.shape[0], "ids", room)
    if k < 0 or k > rows or room < k + SCAN:
        raise ValueError(f"ids holds {room}, {k} of {rows} rows take {k + SCAN}")
    with nogil:
        sign_blocks_nearest(
            &query[0, 0], &blocks[0, 0, 0], rows, words, k, &ids[0], &distances[0], room
        )
