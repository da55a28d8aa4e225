"""Late interaction: the sum over query tokens of the best cosine with a document's tokens.

A query is packed once as [blocks, dim, 32 lanes] of unit tokens; documents stay where they lie
and are read a tile of tokens at a time. Their inverse norms multiply the dots afterwards. A token
without direction has NaN there, which a maximum passes over.
"""
from libc.math cimport INFINITY, NAN, fabs, frexp, isfinite, ldexp, sqrt
from libc.string cimport memcpy, memset
cimport numpy as np
from cgcython.kernels._door cimport agree
from cgcython.kernels._e4m3 cimport decode_lanes
from cgcython.kernels._types cimport f32, f64, i64, u8
from cgcython.kernels._vector cimport (
    LANES, load, load16, load16_part, load_bytes, max_f, mul_add16, set16, set_all, store, sum16,
    v16, vf,
)

np.import_array()

cdef extern from "_maxsim.h" nogil:
    enum:
        TILE "CG_TILE"
        DEPTH "CG_DEPTH"
        QUERY_LANES "CG_QUERY_LANES"
    void tile "cg_tile"(const f32 *rows, const f32 *query, Py_ssize_t depth, f32 *sums, int more)
    void tile_of_3 "cg_tile_of_3"(
        const f32 *rows, const f32 *query, Py_ssize_t depth, f32 *sums, int more
    )
    void tile_of_1 "cg_tile_of_1"(
        const f32 *rows, const f32 *query, Py_ssize_t depth, f32 *sums, int more
    )

# Squared lengths between these keep every product clear of overflow and of lost bits.
cdef f32 SMALLEST = ldexp(1, -80)
cdef f32 LARGEST = ldexp(1, 80)


cdef struct Document:
    const f32 *tokens   # or NULL, and then
    const u8 *codes
    const f32 *norms    # inverse; of codes they are found on the way
    Py_ssize_t count
    Py_ssize_t dim


cdef struct Tile:
    f32[TILE * QUERY_LANES] sums
    f32[TILE * DEPTH] rows      # a copy, where tokens cannot be read in place
    f32[TILE] norms
    f32[TILE] factors           # powers of two that bring far-off tokens into range
    v16[TILE] squares


cdef f32 inverse_norm(f32 squares) noexcept nogil:
    """1 / length; NaN for no direction, 0 for a length that needs a factor first."""
    if squares >= SMALLEST and squares <= LARGEST:
        return 1 / <f32>sqrt(squares)
    return 0


cdef v16 add_squares(const f32 *values, Py_ssize_t n, v16 squares) noexcept nogil:
    cdef:
        Py_ssize_t k = 0
        v16 part
    while k + 16 <= n:
        part = load16(values + k)
        squares = mul_add16(part, part, squares)
        k += 16
    if k < n:
        part = load16_part(values + k, n - k)
        squares = mul_add16(part, part, squares)
    return squares


cdef bint maxsim_inverse_norms(
    const f32 *tokens, Py_ssize_t count, Py_ssize_t dim, f32 *norms
) noexcept nogil:
    """Write 1 / length of each token, and return whether all are in the plain range."""
    cdef:
        Py_ssize_t i
        bint plain = True
    for i in range(count):
        norms[i] = inverse_norm(sum16(add_squares(tokens + i * dim, dim, set16(0))))
        if norms[i] == 0:
            plain = False
            if has_no_direction(tokens + i * dim, dim):
                norms[i] = NAN
    return plain


cdef f32 peak_of(const f32 *token, Py_ssize_t dim) noexcept nogil:
    """The largest magnitude; NaN when a value is not finite."""
    cdef:
        f32 peak = 0
        Py_ssize_t k
    for k in range(dim):
        if not isfinite(token[k]):
            return NAN
        peak = max(peak, <f32>fabs(token[k]))
    return peak


cdef bint has_no_direction(const f32 *token, Py_ssize_t dim) noexcept nogil:
    return not peak_of(token, dim) > 0


cdef f32 factor_of(const f32 *token, Py_ssize_t dim) noexcept nogil:
    """The power of two that brings a token's peak between 1 and 2 (2**-126 to 2**126)."""
    cdef int exponent
    frexp(peak_of(token, dim), &exponent)
    return <f32>ldexp(1, min(126, max(-126, 1 - exponent)))


cdef Py_ssize_t maxsim_pack_query(
    const f32 *tokens, Py_ssize_t count, Py_ssize_t dim, f32 *packed
) noexcept nogil:
    """Write unit tokens as [blocks, dim, 32 lanes]; return where a value is not finite, or -1."""
    cdef:
        Py_ssize_t i, k
        Py_ssize_t blocks = (count + QUERY_LANES - 1) // QUERY_LANES
        f64 squares, inverse
        f32 *lane
    memset(packed, 0, blocks * dim * QUERY_LANES * sizeof(f32))
    for i in range(count):
        squares = 0
        for k in range(dim):
            if not isfinite(tokens[i * dim + k]):
                return i * dim + k
            squares += <f64>tokens[i * dim + k] * tokens[i * dim + k]
        inverse = 1 / sqrt(squares) if squares > 0 else 0
        lane = packed + i // QUERY_LANES * dim * QUERY_LANES + i % QUERY_LANES
        for k in range(dim):
            lane[k * QUERY_LANES] = <f32>(tokens[i * dim + k] * inverse)
    return -1


cdef void prepare(const Document *doc, Py_ssize_t first, Py_ssize_t rows, Tile *t) noexcept nogil:
    """Set what the tile needs to know of its tokens before the first product."""
    cdef Py_ssize_t i
    for i in range(rows):
        t.factors[i] = 1
        t.squares[i] = set16(0)
        if doc.tokens:
            t.norms[i] = doc.norms[first + i]
            if t.norms[i] == 0:
                t.factors[i] = factor_of(doc.tokens + (first + i) * doc.dim, doc.dim)


cdef bint is_in_place(const Document *doc, Py_ssize_t rows, const Tile *t) noexcept nogil:
    cdef Py_ssize_t i
    if not doc.tokens or doc.dim != DEPTH:
        return False
    for i in range(rows):
        if t.norms[i] == 0:
            return False
    return True


cdef void copy_rows(
    const Document *doc, Py_ssize_t first, Py_ssize_t rows, Py_ssize_t start, Py_ssize_t depth,
    Tile *t,
) noexcept nogil:
    """Copy dimensions start to start + depth of the tile's tokens, decoded and in range."""
    cdef:
        Py_ssize_t i, k, at
        f32 *row
    for i in range(rows):
        at = (first + i) * doc.dim + start
        row = t.rows + i * DEPTH
        if doc.tokens:
            for k in range(depth):
                row[k] = doc.tokens[at + k] * t.factors[i]
        else:
            decode(doc.codes + at, depth, row)
        if not doc.tokens or t.norms[i] == 0:
            t.squares[i] = add_squares(row, depth, t.squares[i])


cdef void decode(const u8 *codes, Py_ssize_t n, f32 *values) noexcept nogil:
    cdef:
        Py_ssize_t k = 0
        u8[64] last
    while k + LANES <= n:
        store(values + k, decode_lanes(load_bytes(codes + k)))
        k += LANES
    if k < n:
        memcpy(last, codes + k, n - k)
        store(values + k, decode_lanes(load_bytes(last)))


cdef void finish_norms(const Document *doc, Py_ssize_t rows, Tile *t) noexcept nogil:
    """Set the inverse norms that were found while copying."""
    cdef Py_ssize_t i
    for i in range(rows):
        if not doc.tokens or t.norms[i] == 0:
            t.norms[i] = inverse_norm(sum16(t.squares[i]))
            if t.norms[i] == 0:
                t.norms[i] = NAN


cdef inline void multiply(
    const f32 *rows, const f32 *query, Py_ssize_t count, Py_ssize_t depth, f32 *sums, int more
) noexcept nogil:
    if count == TILE:
        tile(rows, query, depth, sums, more)
    elif count == 3:
        tile_of_3(rows, query, depth, sums, more)
    else:
        tile_of_1(rows, query, depth, sums, more)


cdef void fill_tile(
    const Document *doc, const f32 *query, Py_ssize_t first, Py_ssize_t rows, Tile *t
) noexcept nogil:
    """Write the dots of some tokens with one block of the query, and their inverse norms."""
    cdef Py_ssize_t start = 0, depth
    prepare(doc, first, rows, t)
    if is_in_place(doc, rows, t):
        multiply(doc.tokens + first * DEPTH, query, rows, DEPTH, t.sums, 0)
        return
    if doc.dim == 0:
        memset(t.sums, 0, sizeof(t.sums))
    while start < doc.dim:
        depth = min(<Py_ssize_t>DEPTH, doc.dim - start)
        copy_rows(doc, first, rows, start, depth, t)
        multiply(t.rows, query + start * QUERY_LANES, rows, depth, t.sums, start > 0)
        start += depth
    finish_norms(doc, rows, t)


cdef Py_ssize_t next_tile(Py_ssize_t done, Py_ssize_t count, Py_ssize_t *first) noexcept nogil:
    """Return how many tokens the next tile has, and where it begins.

    The last tile overlaps the one before, because a maximum does not mind.
    """
    cdef Py_ssize_t rows = TILE if count >= TILE else 3 if count >= 3 else 1
    first[0] = min(done, count - rows)
    return rows


cdef void best_cosines(const Document *doc, const f32 *query, f32 *best) noexcept nogil:
    """Write the best cosine of each lane of one query block; -inf without a match."""
    cdef:
        Tile t
        Py_ssize_t done = 0, first = 0, rows, i, lane, v
        vf top
    for lane in range(QUERY_LANES):
        best[lane] = -INFINITY
    while done < doc.count:
        rows = next_tile(done, doc.count, &first)
        fill_tile(doc, query, first, rows, &t)
        for v in range(QUERY_LANES // LANES):
            lane = v * LANES
            top = load(best + lane)
            for i in range(rows):
                top = max_f(load(t.sums + i * QUERY_LANES + lane) * t.norms[i], top)
            store(best + lane, top)
        done = first + rows


cdef f32 score_document(
    const Document *doc, const f32 *packed, Py_ssize_t num_query
) noexcept nogil:
    cdef:
        f32[QUERY_LANES] best
        f64 total = 0
        Py_ssize_t block = 0, lane
    while block * QUERY_LANES < num_query:
        best_cosines(doc, packed + block * doc.dim * QUERY_LANES, best)
        for lane in range(min(<Py_ssize_t>QUERY_LANES, num_query - block * QUERY_LANES)):
            if best[lane] > -INFINITY:
                total += best[lane]
        block += 1
    return <f32>total


cdef f32 maxsim_score(
    const f32 *packed, Py_ssize_t num_query, const f32 *tokens, const f32 *norms,
    Py_ssize_t count, Py_ssize_t dim,
) noexcept nogil:
    cdef Document doc
    doc.tokens, doc.codes, doc.norms, doc.count, doc.dim = tokens, NULL, norms, count, dim
    return score_document(&doc, packed, num_query)


cdef f32 maxsim_score_codes(
    const f32 *packed, Py_ssize_t num_query, const u8 *codes, Py_ssize_t count, Py_ssize_t dim
) noexcept nogil:
    cdef Document doc
    doc.tokens, doc.codes, doc.norms, doc.count, doc.dim = NULL, codes, NULL, count, dim
    return score_document(&doc, packed, num_query)


cdef int check_query(
    const f32[:, :, ::1] packed, Py_ssize_t num_query, Py_ssize_t dim
) except -1:
    agree("a block of packed", packed.shape[1], "a row of values", dim)
    agree("a line of packed", packed.shape[2], "the lanes", QUERY_LANES)
    if not 0 <= num_query <= packed.shape[0] * QUERY_LANES:
        raise ValueError(
            f"query has {num_query} tokens, packed holds {packed.shape[0] * QUERY_LANES}"
        )
    return 0


cdef int check_documents(
    const i64[::1] starts, const i64[::1] counts, const f32[::1] sums, Py_ssize_t length,
    Py_ssize_t size,
) except -1:
    cdef Py_ssize_t i
    agree("counts", counts.shape[0], "starts", starts.shape[0])
    agree("sums", sums.shape[0], "starts", starts.shape[0])
    for i in range(starts.shape[0]):
        if (
            starts[i] < 0 or starts[i] > length or counts[i] < 0
            or size > 0 and counts[i] > (length - starts[i]) // size
        ):
            raise ValueError(f"document at {starts[i]} of {counts[i]} tokens leaves {length}")
    return 0


def pack_query(
    const f32[:, ::1] tokens,       # IN
    f32[:, :, ::1] packed,          # OUT
):
    """Write unit query tokens as [blocks, dim, 32], zeros where there is none.

    Returns the flat index of the first non-finite value, or -1.
    """
    cdef Py_ssize_t found = -1, count = tokens.shape[0], dim = tokens.shape[1]
    agree("packed", packed.shape[0], "query in blocks", (count + QUERY_LANES - 1) // QUERY_LANES)
    check_query(packed, count, dim)
    if packed.size:
        with nogil:
            found = maxsim_pack_query(&tokens[0, 0], count, dim, &packed[0, 0, 0])
    return found


def inverse_norms(
    const f32[:, ::1] values,       # IN
    f32[::1] out,                   # OUT
):
    """Write 1 / length of each token: NaN for one without direction, 0 where that overflows."""
    agree("out", out.shape[0], "values", values.shape[0])
    if out.shape[0]:
        with nogil:
            maxsim_inverse_norms(&values[0, 0], values.shape[0], values.shape[1], &out[0])


def score(
    const f32[:, :, ::1] packed,    # IN
    Py_ssize_t num_query,
    const f32[:, ::1] values,       # IN
    const f32[::1] norms,           # IN
    const i64[::1] starts,          # IN
    const i64[::1] counts,          # IN
    f32[::1] sums,                  # OUT
):
    """Write each document's sum over query tokens of the best cosine.

    A document is `counts` rows of `values` from `starts` on; `norms` is what inverse_norms wrote.
    """
    cdef Py_ssize_t i, dim = values.shape[1]
    check_query(packed, num_query, dim)
    check_documents(starts, counts, sums, values.shape[0], 1)
    agree("norms", norms.shape[0], "values", values.shape[0])
    with nogil:
        for i in range(starts.shape[0]):
            sums[i] = maxsim_score(
                &packed[0, 0, 0], num_query, &values[starts[i], 0], &norms[starts[i]],
                counts[i], dim,
            )


def score_codes(
    const f32[:, :, ::1] packed,    # IN
    Py_ssize_t num_query,
    const u8[::1] data,             # IN
    const i64[::1] starts,          # IN
    const i64[::1] counts,          # IN
    f32[::1] sums,                  # OUT
):
    """Write the same sums for tokens kept as E4M3 codes; `starts` are positions of bytes."""
    cdef Py_ssize_t i, dim = packed.shape[1]
    check_query(packed, num_query, dim)
    check_documents(starts, counts, sums, data.shape[0], dim)
    with nogil:
        for i in range(starts.shape[0]):
            sums[i] = maxsim_score_codes(
                &packed[0, 0, 0], num_query, &data[starts[i]], counts[i], dim
            )


cdef void align_block(
    const Document *doc, const f32 *query, Py_ssize_t lanes, i64 *best, f32 *cosines
) noexcept nogil:
    """Write the best token and its cosine for each lane; -1 and 0 without a match."""
    cdef:
        Tile t
        Py_ssize_t done = 0, first = 0, rows, i, lane
        f32 cosine
    for lane in range(lanes):
        best[lane], cosines[lane] = -1, -INFINITY
    while done < doc.count:
        rows = next_tile(done, doc.count, &first)
        fill_tile(doc, query, first, rows, &t)
        for i in range(rows):
            for lane in range(lanes):
                cosine = t.sums[i * QUERY_LANES + lane] * t.norms[i]
                if cosine > cosines[lane]:
                    best[lane], cosines[lane] = first + i, cosine
        done = first + rows
    for lane in range(lanes):
        if best[lane] < 0 or is_zero(query + lane, doc.dim):
            best[lane], cosines[lane] = -1, 0


cdef bint is_zero(const f32 *lane, Py_ssize_t dim) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(dim):
        if lane[k * QUERY_LANES] != 0:
            return False
    return True


def align(
    const f32[:, :, ::1] packed,    # IN
    Py_ssize_t num_query,
    const f32[:, ::1] values,       # IN
    const f32[::1] norms,           # IN
    i64[::1] best,                  # OUT
    f32[::1] cosines,               # OUT
):
    """Write the best row for each query token (lowest on ties) and its cosine, or -1 and 0."""
    cdef:
        Py_ssize_t i, lanes, dim = values.shape[1]
        Document doc
    check_query(packed, num_query, dim)
    agree("best", best.shape[0], "query", num_query)
    agree("cosines", cosines.shape[0], "query", num_query)
    agree("norms", norms.shape[0], "values", values.shape[0])
    if num_query == 0:
        return
    with nogil:
        doc.tokens, doc.codes, doc.norms = &values[0, 0], NULL, &norms[0]
        doc.count, doc.dim = values.shape[0], dim
        for i in range(packed.shape[0]):
            lanes = min(<Py_ssize_t>QUERY_LANES, num_query - i * QUERY_LANES)
            if lanes > 0:
                align_block(
                    &doc, &packed[i, 0, 0], lanes, &best[i * QUERY_LANES], &cosines[i * QUERY_LANES]
                )
