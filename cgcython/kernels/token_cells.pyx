"""Cells of tokens: the centroids nearest to each token, and the documents that have such tokens.

Centroids are int8 codes with inverse lengths, tokens are packed 32 lanes side by side, both as
`maxsim_integers` makes them. Dots are exact and the float steps behind them are the same
everywhere: all levels return the same bits.

A list per cell holds the numbers of the documents that have tokens in it. A document's sum is over
the query's tokens, of the gain of the best cell that it shares with the token.
"""
from libc.math cimport INFINITY
from libc.string cimport memset
from cgcython.kernels.inner.simd.compiler cimport first_one
from cgcython.kernels.inner.door cimport agree, check_buffers, check_offsets
from cgcython.kernels.inner.integers.tiles cimport (
    LINE, TOKEN_LANES, Codes, CodesTile, Query, add_blocks, add_bytes, begin_tile, codes_height,
    earlier, groups_of, i8, read_query,
)
from cgcython.kernels.inner.integers.plane_door cimport check_plane
from cgcython.kernels.inner.types cimport f32, f64, i32, i64, u8, u32, u64

cdef extern from "inner/tokens/cells.h" nogil:
    u32 products_above "cg_products_above"(
        const i32 *dots, f32 norm, const f32 *least, f32 *products
    )
    f32 number_if "cg_number_if"(bint wanted, f32 number)


cdef struct Found:
    i32 *cells          # [lanes, wanted], the nearest first
    f32 *cosines
    Py_ssize_t wanted
    f32[TOKEN_LANES] least    # the last of each lane, infinity for lanes without a token


cdef inline void insert(Found *found, Py_ssize_t lane, f32 cosine, i32 cell) noexcept nogil:
    """Put a cell in its place among those of a lane; equals stay in the order they came in."""
    cdef:
        i32 *cells = found.cells + lane * found.wanted
        f32 *cosines = found.cosines + lane * found.wanted
        Py_ssize_t at = found.wanted - 1
    while at and cosines[at - 1] < cosine:
        cells[at], cosines[at] = cells[at - 1], cosines[at - 1]
        at -= 1
    cells[at], cosines[at] = cell, cosine
    found.least[lane] = cosines[found.wanted - 1]


cdef inline void begin(Found *found, int lanes) noexcept nogil:
    cdef Py_ssize_t i, lane
    for i in range(lanes * found.wanted):
        found.cells[i], found.cosines[i] = -1, -INFINITY
    for lane in range(TOKEN_LANES):
        found.least[lane] = -INFINITY if lane < lanes else INFINITY


cdef inline void compare(const i32 *dots, f32 norm, i32 cell, Found *found) noexcept nogil:
    cdef:
        f32[TOKEN_LANES] products
        u32 lanes = products_above(dots, norm, found.least, products)
        Py_ssize_t lane
    while lanes:
        lane = first_one(lanes)
        insert(found, lane, products[lane], cell)
        lanes &= lanes - 1


cdef inline void finish(const Query *q, Found *found) noexcept nogil:
    """Turn products into cosines; a token without direction has no cell."""
    cdef:
        Py_ssize_t lane, i
        f32 *cosine
    for lane in range(q.lanes):
        for i in range(lane * found.wanted, (lane + 1) * found.wanted):
            cosine = found.cosines + i
            if found.cells[i] < 0 or q.norms[lane] == 0:
                found.cells[i], cosine[0] = -1, 0
            else:
                cosine[0] = <f32>(<f64>cosine[0] * q.norms[lane])


cdef inline void nearest_of_block(const Codes *cells, const Query *q, Found *found) noexcept nogil:
    cdef:
        CodesTile t
        Py_ssize_t i, done = 0, first, height, line
    memset(t.sums, 0, sizeof(t.sums))
    begin_tile(cells, q, &t)
    begin(found, q.lanes)
    while done < cells.count:
        height = codes_height(cells.count - done, cells.count)
        first = min(done, cells.count - height)
        line = add_blocks(cells, q, first, height, &t)
        add_bytes(
            height, False, q.lanes, t.rows, q.lines + line * LINE, q.groups - line, 0,
            earlier(&t, line), TOKEN_LANES if line else 0, t.sums,
        )
        for i in range(done - first, height):   # the tile before had the others
            compare(t.sums + i * TOKEN_LANES, cells.norms[first + i], <i32>(first + i), found)
        done = first + height
    finish(q, found)


cdef void token_cells_nearest(
    const i8 *packed, Py_ssize_t tokens, const u8 *codes, const f32 *norms, Py_ssize_t cells,
    Py_ssize_t dim, Py_ssize_t wanted, i32 *nearest, f32 *cosines
) noexcept nogil:
    cdef:
        Codes centroids
        Query query
        Found found
        Py_ssize_t i = 0, groups = groups_of(dim)
    centroids.codes, centroids.norms, centroids.count = codes, norms, cells
    centroids.width, centroids.bits = dim, 8
    found.wanted = wanted
    while i < tokens:
        read_query(
            packed + i // TOKEN_LANES * (groups + 2) * LINE, groups + 2, groups,
            min(<Py_ssize_t>TOKEN_LANES, tokens - i), &query,
        )
        found.cells, found.cosines = nearest + i * wanted, cosines + i * wanted
        nearest_of_block(&centroids, &query, &found)
        i += TOKEN_LANES


cdef i64 token_cells_accumulate(
    const i32 *nearest, const f32 *gains, Py_ssize_t tokens, Py_ssize_t wanted,
    const i64 *offsets, const u32 *documents, i32 *marks, f32 *sums, Py_ssize_t count
) noexcept nogil:
    cdef:
        Py_ssize_t i, at
        i64 read = 0
        i32 cell, mark
        u32 document
        f32 gain
    memset(marks, 0, count * sizeof(i32))
    memset(sums, 0, count * sizeof(f32))
    for i in range(tokens * wanted):
        cell, gain, mark = nearest[i], gains[i], <i32>(i // wanted + 1)
        if cell < 0:
            continue
        for at in range(offsets[cell], offsets[cell + 1]):
            document = documents[at]
            if document >= <u64>count:
                return -1
            sums[document] += number_if(marks[document] != mark, gain)
            marks[document] = mark
        read += offsets[cell + 1] - offsets[cell]
    return read


def nearest(
    const i8[:, :, ::1] packed,     # IN
    Py_ssize_t num_tokens,
    const u8[:, ::1] codes,         # IN
    const f32[::1] norms,           # IN
    i32[:, ::1] cells,              # OUT
    f32[:, ::1] cosines,            # OUT
):
    """Write the cells nearest to each token by cosine, the nearest first, equals in their order.

    `packed` is one plane of maxsim_integers.pack_query, `codes` int8 and `norms` are those of the
    centroids. Where there are fewer cells than asked for, or a token has no direction: -1, and 0.
    """
    cdef Py_ssize_t dim = codes.shape[1]
    check_buffers(2, cells, cosines, packed, codes, norms)
    check_plane(&packed.shape[0], num_tokens, dim)
    agree("norms", norms.shape[0], "codes", codes.shape[0])
    agree("cells", cells.shape[0], "packed", num_tokens)
    agree("cosines", cosines.shape[0], "packed", num_tokens)
    agree("a row of cosines", cosines.shape[1], "a row of cells", cells.shape[1])
    if num_tokens and cells.shape[1]:
        with nogil:
            token_cells_nearest(
                &packed[0, 0, 0], num_tokens, &codes[0, 0], &norms[0], codes.shape[0], dim,
                cells.shape[1], &cells[0, 0], &cosines[0, 0]
            )


cdef int check_cells(const i32[:, ::1] cells, Py_ssize_t count) except -1:
    cdef Py_ssize_t i, j
    for i in range(cells.shape[0]):
        for j in range(cells.shape[1]):
            if cells[i, j] >= count:
                raise ValueError(f"cell {cells[i, j]} is none of {count}")
    return 0


def accumulate(
    const i32[:, ::1] cells,        # IN
    const f32[:, ::1] gains,        # IN
    const i64[::1] offsets,         # IN
    const u32[::1] documents,       # IN
    i32[::1] marks,                 # OUT
    f32[::1] sums,                  # OUT
):
    """Write each document's sum over tokens of the gain of the first of its cells in the row.

    The documents of cell c are `documents[offsets[c]:offsets[c + 1]]`; a cell below 0 has none.
    `marks` are scratch. Returns how many entries of lists were read.
    """
    cdef i64 read
    check_buffers(2, marks, sums, cells, gains, offsets, documents)
    agree("gains", gains.shape[0], "cells", cells.shape[0])
    agree("a row of gains", gains.shape[1], "a row of cells", cells.shape[1])
    agree("marks", marks.shape[0], "sums", sums.shape[0])
    check_offsets("offsets", offsets, documents.shape[0])
    check_cells(cells, offsets.shape[0] - 1)
    with nogil:
        read = token_cells_accumulate(
            &cells[0, 0], &gains[0, 0], cells.shape[0], cells.shape[1], &offsets[0],
            &documents[0], &marks[0], &sums[0], sums.shape[0]
        )
    if read < 0:
        raise ValueError(f"a list holds a document that is none of {sums.shape[0]}")
    return read
