"""Residual codes: a beam of partial codes that grows by one centroid a stage.

Products are rounded before they are added, in order, and the search adds whole numbers, so that
every level and every machine finds the same codes.
"""
from libc.math cimport rintf
from libc.stdint cimport uint16_t as u16
from libc.string cimport memcpy, memmove, memset
from cgcython.kernels.inner.simd.compiler cimport first_one
from cgcython.kernels.inner.door cimport agree, check_buffers
from cgcython.kernels.inner.pq.sums cimport add_row
from cgcython.kernels.inner.simd.vector cimport LANES, load_u, load_widened, set_all_u, store_u, vu
from cgcython.kernels.inner.types cimport f32, i16, i32, u8, u32, u64

cdef extern from "inner/pq/tile.h" nogil:
    enum:
        STRIP "CG_STRIP"
        KSUB "CG_KSUB"
        TILE "CG_TILE"
    void multiply_rows "cg_pq_multiply_rows_rounded"(
        const f32 *x, Py_ssize_t stride, const f32 *strip, Py_ssize_t n, f32 *out,
        Py_ssize_t out_stride,
    )
    void multiply_row "cg_pq_multiply_row_rounded"(
        const f32 *x, const f32 *strip, Py_ssize_t n, f32 *out
    )

cdef enum:
    MOST_STAGES = 32
    MOST_SHIFT = 16
    BLOCK_ROWS = 48         # their products with a strip are found while it is in the cache

ctypedef struct Beam:
    Py_ssize_t size, found
    i32[KSUB] scores   # ascending; of equal ones the first found first
    u16[KSUB] parents  # 256 times the parent, plus the code


cdef void residual_product(
    const f32 *values, Py_ssize_t n, Py_ssize_t d, const f32 *strips, Py_ssize_t columns, f32 *out
) noexcept nogil:
    cdef Py_ssize_t start = 0, stop, i, c
    memset(out, 0, n * columns * sizeof(f32))
    while start < n:
        stop = min(n, start + BLOCK_ROWS)
        c = 0
        while c < columns:
            i = start
            while i + TILE <= stop:
                multiply_rows(
                    values + i * d, d, strips + c * d, d, out + i * columns + c, columns
                )
                i += TILE
            while i < stop:
                multiply_row(values + i * d, strips + c * d, d, out + i * columns + c)
                i += 1
            c += STRIP
        start = stop


cdef inline void insert(Beam *beam, i32 score, u16 parent) noexcept nogil:
    """Put a candidate behind those that are not worse; the last one leaves a full beam."""
    cdef Py_ssize_t at = beam.found, kept
    while at > 0 and beam.scores[at - 1] > score:
        at -= 1
    kept = min(beam.found, beam.size - 1) - at
    memmove(beam.scores + at + 1, beam.scores + at, kept * sizeof(i32))
    memmove(beam.parents + at + 1, beam.parents + at, kept * sizeof(u16))
    beam.scores[at], beam.parents[at] = score, parent
    beam.found = min(beam.found + 1, beam.size)


cdef inline void offer(Beam *beam, const i32 *total, Py_ssize_t parent) noexcept nogil:
    """Offer the 256 candidates of a parent, in order."""
    cdef:
        Py_ssize_t j = 0, word, at
        u8[KSUB] flags
        u64 eight
        i32 worst
    while beam.found < beam.size and j < KSUB:
        insert(beam, total[j], <u16>(parent * KSUB + j))
        j += 1
    if beam.found < beam.size:
        return
    worst = beam.scores[beam.size - 1]
    for at in range(KSUB):
        flags[at] = total[at] < worst
    for word in range(j // 8, KSUB // 8):
        memcpy(&eight, flags + 8 * word, sizeof(eight))
        while eight:
            at = 8 * word + first_one(eight) // 8
            eight &= eight - 1
            if at >= j and total[at] < beam.scores[beam.size - 1]:
                insert(beam, total[at], <u16>(parent * KSUB + at))


cdef inline void add_tables(
    const i32 *terms, i32 score, const i16 *tables, const u8 *shifts, const u8 *codes,
    Py_ssize_t stages, i32 *total
) noexcept nogil:
    """Write terms + score + the rows of tables that earlier codes name, times powers of two.

    Whole numbers wrap.
    """
    cdef:
        Py_ssize_t j = 0, i
        const u32 *own = <const u32 *>terms
        u32 *to = <u32 *>total
        const i16 *row
        vu a, b, c, d, first = set_all_u(<u32>score)
    while j < KSUB:
        a = load_u(own + j) + first
        b = load_u(own + j + LANES) + first
        c = load_u(own + j + 2 * LANES) + first
        d = load_u(own + j + 3 * LANES) + first
        for i in range(stages):
            row = tables + (i * KSUB + codes[i]) * KSUB + j
            a += load_widened(row) << shifts[i]
            b += load_widened(row + LANES) << shifts[i]
            c += load_widened(row + 2 * LANES) << shifts[i]
            d += load_widened(row + 3 * LANES) << shifts[i]
        store_u(to + j, a)
        store_u(to + j + LANES, b)
        store_u(to + j + 2 * LANES, c)
        store_u(to + j + 3 * LANES, d)
        j += 4 * LANES


cdef inline void grow(
    Beam *beam, const i32 *terms, const i16 *cross, const u8 *shifts, Py_ssize_t stage,
    Py_ssize_t M, u8 *codes, i32 *scores
) noexcept nogil:
    """Extend the beam of one row by a stage: the best of 256 extensions of each entry stay."""
    cdef:
        Py_ssize_t b, pair = stage * (stage - 1) // 2
        i32[KSUB] total
        u8[KSUB * MOST_STAGES] before
    beam.found = 0
    for b in range(beam.size if stage else 1):
        add_tables(
            terms, scores[b] if stage else 0, cross + pair * KSUB * KSUB, shifts + pair,
            codes + b * M, stage, total,
        )
        offer(beam, total, b)
    for b in range(beam.size):
        memcpy(before + b * MOST_STAGES, codes + b * M, stage)
    for b in range(beam.size):
        memcpy(codes + b * M, before + beam.parents[b] // KSUB * MOST_STAGES, stage)
        codes[b * M + stage] = <u8>(beam.parents[b] % KSUB)
        scores[b] = beam.scores[b]


cdef inline void write_terms(
    const f32 *products, const f32 *norms, f32 unit, i32 *terms
) noexcept nogil:
    """Write what each centroid alone adds to a score: a bounded whole number of units."""
    cdef:
        Py_ssize_t j
        f32 exact, bound = 1 << 28
    for j in range(KSUB):
        exact = (norms[j] - 2 * products[j]) * unit
        exact = exact if exact < bound else bound
        exact = exact if exact > -bound else -bound
        terms[j] = <i32>rintf(exact)


cdef void residual_search(
    const f32 *products, const f32 *norms, const i16 *cross, const u8 *shifts, f32 unit,
    Py_ssize_t n, Py_ssize_t first, Py_ssize_t stages, Py_ssize_t beam, Py_ssize_t M, u8 *codes,
    i32 *scores
) noexcept nogil:
    cdef:
        Py_ssize_t i, s
        i32[KSUB] terms
        Beam best
    best.size = beam
    for i in range(n):
        for s in range(stages):
            write_terms(products + (i * stages + s) * KSUB, norms + s * KSUB, unit, terms)
            grow(
                &best, terms, cross, shifts, first + s, M, codes + i * beam * M,
                scores + i * beam,
            )


cdef void residual_sums(
    const u8 *codes, Py_ssize_t n, Py_ssize_t M, const f32 *centroids, Py_ssize_t width, f32 *out
) noexcept nogil:
    cdef Py_ssize_t i, m
    memset(out, 0, n * width * sizeof(f32))
    for i in range(n):
        for m in range(M):
            add_row(centroids + (m * KSUB + codes[i * M + m]) * width, width, out + i * width)


def product(
    const f32[:, ::1] values,     # IN
    const f32[:, :, ::1] strips,  # IN
    f32[:, ::1] out,              # OUT
):
    """Write values [n, d] @ matrix [d, c], whose columns lie in strips [c / 64, d, 64]."""
    cdef Py_ssize_t n = values.shape[0], d = values.shape[1], columns = out.shape[1]
    check_buffers(1, out, values, strips)
    agree("out", out.shape[0], "values", n)
    agree("a strip", strips.shape[1], "a row of values", d)
    agree("a row of a strip", strips.shape[2], "a strip's columns", STRIP)
    if columns % STRIP or columns // STRIP != strips.shape[0]:
        raise ValueError(f"a row of out holds {columns}, for {strips.shape[0]} strips of {STRIP}")
    if n and columns:
        with nogil:
            residual_product(&values[0, 0], n, d, &strips[0, 0, 0], columns, &out[0, 0])


def search(
    const f32[:, ::1] products,   # IN
    const f32[::1] norms,         # IN
    const i16[:, :, ::1] cross,   # IN
    const u8[::1] shifts,         # IN
    f32 unit,
    Py_ssize_t first,
    u8[:, :, ::1] codes,          # INOUT
    i32[:, ::1] scores,           # INOUT
):
    """Extend beams of codes [n, beam, M] by some stages, from stage `first` on; best first.

    `products` are those of rows with the stages' centroids, whose squares are `norms`
    f32 [stages * 256]. `cross` i16 [pairs, 256, 256] holds twice the products of two centroids,
    stage m's with an earlier stage i's at m * (m - 1) / 2 + i, in units of 2**shift / unit, the
    shift that of the pair. `scores` i32 [n, beam] are squared distances less those of the rows,
    in units of 1 / unit. Of equal candidates the first stay.
    """
    cdef:
        Py_ssize_t n = codes.shape[0], beam = codes.shape[1], M = codes.shape[2]
        Py_ssize_t stages = norms.shape[0] // KSUB, last, pair
    check_buffers(2, codes, scores, products, norms, cross, shifts)
    agree("products", products.shape[0], "codes", n)
    agree("a row of products", products.shape[1], "norms", norms.shape[0])
    agree("norms", norms.shape[0], "whole stages", stages * KSUB)
    agree("scores", scores.shape[0], "codes", n)
    agree("a row of scores", scores.shape[1], "a row of codes", beam)
    if not 1 <= beam <= KSUB:
        raise ValueError(f"a beam of {beam}, expected 1 to {KSUB}")
    if not 0 <= first <= min(M, <Py_ssize_t>MOST_STAGES) - stages:
        raise ValueError(
            f"{stages} stages from {first} on do not fit into {min(M, <Py_ssize_t>MOST_STAGES)}"
        )
    last = first + stages
    if cross.shape[1] != KSUB or cross.shape[2] != KSUB or cross.shape[0] < last * (last - 1) // 2:
        shape = cross.shape[0], cross.shape[1], cross.shape[2]
        raise ValueError(f"cross is {shape}, too small for {last} stages")
    agree("shifts", shifts.shape[0], "cross", cross.shape[0])
    for pair in range(shifts.shape[0]):
        if shifts[pair] > MOST_SHIFT:
            raise ValueError(f"a shift of {shifts[pair]}, expected 0 to {MOST_SHIFT}")
    if n and stages:
        with nogil:
            residual_search(
                &products[0, 0], &norms[0], &cross[0, 0, 0], &shifts[0], unit, n, first, stages,
                beam, M, &codes[0, 0, 0], &scores[0, 0],
            )


def sums(
    const u8[:, ::1] codes,          # IN
    const f32[:, :, ::1] centroids,  # IN
    f32[:, ::1] out,                 # OUT
):
    """Write the sum [n, width] of the centroids [M, 256, width] that each row of codes names."""
    cdef Py_ssize_t n = codes.shape[0], M = codes.shape[1], width = out.shape[1]
    check_buffers(1, out, codes, centroids)
    agree("out", out.shape[0], "codes", n)
    agree("centroids", centroids.shape[0], "a row of codes", M)
    agree("a stage of centroids", centroids.shape[1], "a byte's values", KSUB)
    agree("a centroid", centroids.shape[2], "a row of out", width)
    if n and width:
        with nogil:
            residual_sums(&codes[0, 0], n, M, &centroids[0, 0, 0], width, &out[0, 0])
