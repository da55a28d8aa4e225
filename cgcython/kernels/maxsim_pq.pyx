"""Late interaction on product-quantization codes: a query's dots with all centroids, looked up.

A token is a code for each subspace, its dot with a query token the sum of as many table entries.
Tables are [blocks, M, 256, 32 lanes], so that one code finds an entry for each of 32 query
tokens. Codebooks are taken as they lie; one that was rotated wants a query rotated alike. A cosine
does not depend on a common scale, so all centroids are brought into range by one power of two;
a token whose length is below 2**-100 of the largest centroid value counts as without direction.
"""
from libc.math cimport INFINITY, NAN, fabs, isfinite, sqrt
from cgcython.kernels.inner.maxsim.document_door cimport check_documents, check_query
from cgcython.kernels.inner.door cimport agree, check_buffers
from cgcython.kernels.inner.maxsim.tiles cimport (
    TILE, Step, add, aim, copy_row, fetch_rows, sum_best, tile_height,
)
from cgcython.kernels.inner.simd.vector cimport (
    add16, load16, max16, mul16, set16, store16, v16,
)
from cgcython.kernels.inner.types cimport f32, f64, i64, u8
from cgcython.kernels.inner.maxsim.unit_tokens cimport DEPTH, QUERY_LANES, power_for

cdef enum:
    KSUB = 256
    PASS = 16           # lanes looked up together: half a table is more likely to stay in cache
    SHORTEST = -200     # squared lengths of tokens with a direction are 2**-200 or more


cdef f32 scale_of(const f32 *codebook, Py_ssize_t n) noexcept nogil:
    """The power of two that brings the largest finite value between 1 and 2."""
    cdef:
        f32 peak = 0
        Py_ssize_t k
    for k in range(n):
        if isfinite(codebook[k]):
            peak = max(peak, <f32>fabs(codebook[k]))
    return power_for(peak)


cdef void look_at(
    const f32 *centroids, Py_ssize_t dsub, f32 scale, const f32 *query, f32 *table
) noexcept nogil:
    """Write the dots of one subspace's centroids with a query block: [256, 32 lanes]."""
    cdef:
        f32[TILE * DEPTH] rows
        Step step
        Py_ssize_t done = 0, first, height, start, depth, i
    step.lanes = QUERY_LANES
    while done < KSUB:
        height = tile_height(KSUB - done, KSUB)
        first, start = min(done, KSUB - height), 0
        step.sums = table + first * QUERY_LANES
        while start < max(dsub, <Py_ssize_t>1):
            depth = min(<Py_ssize_t>DEPTH, dsub - start)
            for i in range(height):
                copy_row(centroids + (first + i) * dsub + start, depth, scale, rows + i * DEPTH)
            aim(&step, rows, query + start * QUERY_LANES, depth, start > 0)
            fetch_rows(&step, centroids + (first + height) * dsub + start, dsub * 4, dsub * 4)
            add(height, &step)
            start += DEPTH
        done = first + height


cdef void maxsim_pq_tables(
    const f32 *packed, Py_ssize_t blocks, const f32 *codebook, Py_ssize_t M,
    Py_ssize_t dsub, f32 *tables,
) noexcept nogil:
    """Write the tables of a query packed by maxsim."""
    cdef:
        f32 scale = scale_of(codebook, M * KSUB * dsub)
        Py_ssize_t b, m
    for b in range(blocks):
        for m in range(M):
            look_at(
                codebook + m * KSUB * dsub, dsub, scale,
                packed + (b * M + m) * dsub * QUERY_LANES,
                tables + (b * M + m) * KSUB * QUERY_LANES,
            )


cdef void maxsim_pq_squares(
    const f32 *codebook, Py_ssize_t M, Py_ssize_t dsub, f64 *squares
) noexcept nogil:
    """Write each centroid's squared length, scaled as the tables are."""
    cdef:
        f32 scale = scale_of(codebook, M * KSUB * dsub)
        Py_ssize_t i, k
        f64 value
    for i in range(M * KSUB):
        squares[i] = 0
        for k in range(dsub):
            value = <f64>codebook[i * dsub + k] * scale
            squares[i] += value * value


cdef void maxsim_pq_inverse_norms(
    const f64 *squares, Py_ssize_t M, const u8 *codes, Py_ssize_t count, f32 *norms
) noexcept nogil:
    cdef:
        Py_ssize_t i, m
        f64 square
    for i in range(count):
        square = 0
        for m in range(M):
            square += squares[m * KSUB + codes[i * M + m]]
        norms[i] = <f32>(1 / sqrt(square)) if 2.0 ** SHORTEST <= square < INFINITY else <f32>NAN


cdef void look_up(
    const f32 *table, Py_ssize_t M, const u8 *codes, const f32 *norms, Py_ssize_t count, f32 *best
) noexcept nogil:
    """Raise best, 16 lanes, to the cosines of `count` tokens.

    Each lane adds a token's entries in the order of the subspaces, so every level returns the same
    bits of the same tables.
    """
    cdef:
        v16 sums, highest = load16(best)
        const f32 *row
        Py_ssize_t i, m
    for i in range(count):
        sums, row = set16(0), table
        for m in range(M):
            sums = add16(sums, load16(row + codes[m] * QUERY_LANES))
            row += KSUB * QUERY_LANES
        highest = max16(mul16(sums, set16(norms[i])), highest)
        codes += M
    store16(best, highest)


cdef f64 sum_pass(
    const f32 *table, Py_ssize_t lanes, Py_ssize_t M, const u8 *codes, const f32 *norms,
    Py_ssize_t count,
) noexcept nogil:
    """The sum of the best cosines of up to 16 lanes."""
    cdef:
        f32[PASS] best
        Py_ssize_t lane
    for lane in range(PASS):
        best[lane] = -INFINITY
    look_up(table, M, codes, norms, count, best)
    return sum_best(best, lanes)


cdef const f32 *table_of(
    const f32 *tables, Py_ssize_t M, Py_ssize_t first
) noexcept nogil:
    """Where the entries of a query token, first of a pass, begin."""
    cdef Py_ssize_t block = first // QUERY_LANES
    return tables + block * M * KSUB * QUERY_LANES + first % QUERY_LANES


cdef f32 maxsim_pq_score(
    const f32 *tables, Py_ssize_t num_query, Py_ssize_t M, const u8 *codes,
    const f32 *norms, Py_ssize_t count,
) noexcept nogil:
    cdef:
        f32 total = 0
        Py_ssize_t first = 0
    while first < num_query:
        total = <f32>(total + sum_pass(
            table_of(tables, M, first), min(<Py_ssize_t>PASS, num_query - first),
            M, codes, norms, count,
        ))
        first += PASS
    return total


cdef int check_codebook(
    Py_ssize_t M, Py_ssize_t centroids, Py_ssize_t expected
) except -1:
    agree("a subspace", centroids, "a code", KSUB)
    agree("the subspaces", M, "a token", expected)
    return 0


def tables(
    const f32[:, :, ::1] packed,    # IN
    const f32[:, :, ::1] codebook,  # IN
    f32[:, :, :, ::1] out,          # OUT
):
    """Write the dots of a packed query with all centroids: [blocks, M, 256, 32].

    `packed` is what maxsim.pack_query wrote, `codebook` [M, 256, dsub].
    """
    check_buffers(1, out, packed, codebook)
    check_codebook(codebook.shape[0], codebook.shape[1], out.shape[1])
    check_query(&packed.shape[0], 0, codebook.shape[0] * codebook.shape[2], QUERY_LANES)
    agree("out", out.shape[0], "packed in blocks", packed.shape[0])
    agree("a row of out", out.shape[2], "a code", KSUB)
    agree("an entry of out", out.shape[3], "the lanes", QUERY_LANES)
    if out.size:
        with nogil:
            maxsim_pq_tables(
                &packed[0, 0, 0], packed.shape[0], &codebook[0, 0, 0], codebook.shape[0],
                codebook.shape[2], &out[0, 0, 0, 0],
            )


def squares(
    const f32[:, :, ::1] codebook,  # IN
    f64[:, ::1] out,                # OUT
):
    """Write the squared length of each centroid as inverse_norms wants it: [M, 256]."""
    check_buffers(1, out, codebook)
    check_codebook(codebook.shape[0], codebook.shape[1], out.shape[0])
    agree("a row of out", out.shape[1], "a code", KSUB)
    if out.size:
        with nogil:
            maxsim_pq_squares(
                &codebook[0, 0, 0], codebook.shape[0], codebook.shape[2], &out[0, 0]
            )


def inverse_norms(
    const f64[:, ::1] squares,      # IN
    const u8[:, ::1] codes,         # IN
    f32[::1] out,                   # OUT
):
    """Write 1 / length of each token: NaN for one without direction."""
    check_buffers(1, out, squares, codes)
    check_codebook(squares.shape[0], squares.shape[1], codes.shape[1])
    agree("out", out.shape[0], "codes", codes.shape[0])
    if codes.size:
        with nogil:
            maxsim_pq_inverse_norms(
                &squares[0, 0], squares.shape[0], &codes[0, 0], codes.shape[0], &out[0]
            )
    else:
        out[:] = NAN


def score(
    const f32[:, :, :, ::1] tables,  # IN
    Py_ssize_t num_query,
    const u8[:, ::1] codes,         # IN
    const f32[::1] norms,           # IN
    const i64[::1] starts,          # IN
    const i64[::1] counts,          # IN
    f32[::1] sums,                  # OUT
):
    """Write each document's sum over query tokens of the best cosine.

    A document is `counts` rows of `codes` from `starts` on; `norms` is what inverse_norms wrote.
    """
    cdef Py_ssize_t i, first = 0, lanes, M = codes.shape[1]
    cdef const f32 *table
    check_buffers(1, sums, tables, codes, norms, starts, counts)
    check_codebook(tables.shape[1], tables.shape[2], M)
    agree("an entry of tables", tables.shape[3], "the lanes", QUERY_LANES)
    if not 0 <= num_query <= tables.shape[0] * QUERY_LANES:
        raise ValueError(f"query has {num_query} tokens, tables hold {tables.shape[0]} blocks")
    check_documents(starts, counts, sums, codes.shape[0], 1)
    agree("norms", norms.shape[0], "codes", codes.shape[0])
    with nogil:
        for i in range(starts.shape[0]):
            sums[i] = 0
        # Documents within passes: the entries of one pass stay in cache.
        while first < num_query:
            table = table_of(&tables[0, 0, 0, 0], M, first)
            lanes = min(<Py_ssize_t>PASS, num_query - first)
            for i in range(starts.shape[0]):
                sums[i] = <f32>(sums[i] + sum_pass(
                    table, lanes, M, &codes[starts[i], 0], &norms[starts[i]], counts[i]
                ))
            first += PASS
