"""Late interaction: the sum over query tokens of the best cosine with a document's tokens.

A query is packed once as [blocks, dim, 32 lanes] of unit tokens; documents stay where they lie
and are read a tile of tokens at a time. Their inverse norms multiply the dots afterwards. A token
without direction has NaN there, which a maximum passes over.
"""
from libc.math cimport INFINITY, NAN, fabs, frexp, isfinite, isnan, ldexp, sqrtf
from libc.string cimport memcpy, memset
cimport numpy as np
from cgcython.kernels._door cimport agree, plain_matrix
from cgcython.kernels._e4m3 cimport load_e4m3
from cgcython.kernels._types cimport f32, f64, i64, u8
from cgcython.kernels._vector cimport (
    LANES, load16, load16_part, mul_add16, set16, store, sum16, v16,
)

np.import_array()

cdef extern from "_maxsim.h" nogil:
    enum:
        TILE "CG_TILE"
        DEPTH "CG_DEPTH"
        QUERY_LANES "CG_QUERY_LANES"
    Py_ssize_t tile_height "cg_tile_height"(Py_ssize_t left, Py_ssize_t count)
    void add "cg_add"(
        Py_ssize_t n, const f32 *rows, const f32 *query, Py_ssize_t depth, f32 *sums, int more
    )
    void finish "cg_finish"(
        Py_ssize_t n, const f32 *rows, const f32 *query, Py_ssize_t depth, const f32 *sums,
        int more, const f32 *norms, f32 *best,
    )
    void turn "cg_turn"(const f32 *rows, Py_ssize_t dim, const f32 *factors, f32 *columns)

cdef enum:
    PAIR_TOKENS = 1024

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


cdef inline v16 add_squares(const f32 *values, Py_ssize_t n, v16 squares) noexcept nogil:
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


cdef void invert(f32 *squares, Py_ssize_t n) noexcept nogil:
    """Turn squared lengths into 1 / length, or 0 where that needs a factor first."""
    cdef:
        Py_ssize_t i
        f32 inverse
    for i in range(n):
        inverse = 1 / sqrtf(squares[i])
        squares[i] = inverse if squares[i] >= SMALLEST and squares[i] <= LARGEST else <f32>0


cdef bint maxsim_inverse_norms(
    const f32 *tokens, Py_ssize_t count, Py_ssize_t dim, f32 *norms
) noexcept nogil:
    """Write 1 / length of each token, and return whether all are in the plain range."""
    cdef:
        Py_ssize_t i
        bint plain = True
    for i in range(count):
        norms[i] = sum16(add_squares(tokens + i * dim, dim, set16(0)))
    invert(norms, count)
    for i in range(count):
        if norms[i] == 0:
            plain = False
            norms[i] = 0 if peak_of(tokens + i * dim, dim) > 0 else <f32>NAN
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


cdef f32 factor_of(const f32 *token, Py_ssize_t dim) noexcept nogil:
    """The power of two that brings a token's peak between 1 and 2 (2**-126 to 2**126)."""
    cdef int exponent
    frexp(peak_of(token, dim), &exponent)
    return <f32>ldexp(1, min(126, max(-126, 1 - exponent)))


cdef f32 scaled_norm(
    const f32 *token, Py_ssize_t dim, f32 factor, f32 *block
) noexcept nogil:
    """1 / length of a token times a factor; block is scratch of DEPTH values."""
    cdef:
        Py_ssize_t start = 0, k, depth
        v16 squares = set16(0)
        f32 norm
    while start < dim:
        depth = min(<Py_ssize_t>DEPTH, dim - start)
        for k in range(depth):
            block[k] = token[start + k] * factor
        squares = add_squares(block, depth, squares)
        start += DEPTH
    norm = sum16(squares)
    invert(&norm, 1)
    return norm


cdef Py_ssize_t first_nonfinite(const f32 *values, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        if not isfinite(values[i]):
            return i
    return -1


cdef void pack_one(const f32 *token, Py_ssize_t dim, f32 norm, f32 *lane) noexcept nogil:
    """Write one unit token along a lane; `norm` as maxsim_inverse_norms writes it."""
    cdef:
        f32[DEPTH] block
        f32 factor = 1
        Py_ssize_t k
    if isnan(norm):
        norm = 0
    elif norm == 0:
        factor = factor_of(token, dim)
        norm = scaled_norm(token, dim, factor, block)
    for k in range(dim):
        lane[k * QUERY_LANES] = token[k] * factor * norm


cdef Py_ssize_t pack_lanes(
    const f32 *tokens, Py_ssize_t lanes, Py_ssize_t dim, f32 *packed
) noexcept nogil:
    """Write up to 32 unit tokens side by side; return where a value is not finite, or -1."""
    cdef:
        f32[QUERY_LANES] norms
        Py_ssize_t i
    if not maxsim_inverse_norms(tokens, lanes, dim, norms):
        i = first_nonfinite(tokens, lanes * dim)
        if i >= 0:
            return i
    if lanes < QUERY_LANES:
        memset(packed, 0, dim * QUERY_LANES * sizeof(f32))
    for i in range(0, lanes - 3, 4):
        turn(tokens + i * dim, dim, norms + i, packed + i)
    for i in range(lanes):
        if i >= lanes // 4 * 4 or not norms[i] > 0:
            pack_one(tokens + i * dim, dim, norms[i], packed + i)
    return -1


cdef Py_ssize_t maxsim_pack_query(
    const f32 *tokens, Py_ssize_t count, Py_ssize_t dim, f32 *packed
) noexcept nogil:
    """Write unit tokens as [blocks, dim, 32 lanes]; return where a value is not finite, or -1."""
    cdef Py_ssize_t i = 0, found
    while i < count:
        found = pack_lanes(
            tokens + i * dim, min(<Py_ssize_t>QUERY_LANES, count - i), dim, packed + i * dim
        )
        if found >= 0:
            return i * dim + found
        i += QUERY_LANES
    return -1


cdef bint is_in_place(const Document *doc) noexcept nogil:
    """Whether tiles can be read from the document itself."""
    cdef Py_ssize_t i
    if not doc.tokens or doc.dim != DEPTH:
        return False
    for i in range(doc.count):
        if doc.norms[i] == 0:
            return False
    return True


cdef void begin(const Document *doc, Py_ssize_t first, Py_ssize_t height, Tile *t) noexcept nogil:
    """Set the norms and factors of a tile's tokens, as far as they are known."""
    cdef Py_ssize_t i
    for i in range(height):
        t.factors[i] = 1
        t.squares[i] = set16(0)
        if doc.tokens:
            t.norms[i] = doc.norms[first + i]
            if t.norms[i] == 0:
                t.factors[i] = factor_of(doc.tokens + (first + i) * doc.dim, doc.dim)
                t.norms[i] = scaled_norm(
                    doc.tokens + (first + i) * doc.dim, doc.dim, t.factors[i], t.rows
                )


cdef void copy_rows(
    const Document *doc, Py_ssize_t first, Py_ssize_t height, Py_ssize_t start, Py_ssize_t depth,
    Tile *t,
) noexcept nogil:
    """Copy dimensions start to start + depth of the tile's tokens, decoded and in range."""
    cdef:
        Py_ssize_t i, k
        const f32 *row
    for i in range(height):
        if doc.tokens:
            row = doc.tokens + (first + i) * doc.dim + start
            for k in range(depth):
                t.rows[i * DEPTH + k] = row[k] * t.factors[i]
        else:
            decode(doc.codes + (first + i) * doc.dim + start, depth, t.rows + i * DEPTH)
            t.squares[i] = add_squares(t.rows + i * DEPTH, depth, t.squares[i])
    if not doc.tokens and start + depth == doc.dim:
        for i in range(height):
            t.norms[i] = sum16(t.squares[i])
        invert(t.norms, height)
        for i in range(height):
            t.norms[i] = NAN if t.norms[i] == 0 else t.norms[i]


cdef void decode(const u8 *codes, Py_ssize_t n, f32 *values) noexcept nogil:
    cdef:
        Py_ssize_t k = 0
        u8[64] last
    while k + LANES <= n:
        store(values + k, load_e4m3(codes + k))
        k += LANES
    if k < n:
        memcpy(last, codes + k, n - k)
        store(values + k, load_e4m3(last))


cdef Py_ssize_t copy_tile(
    const Document *doc, const f32 *query, Py_ssize_t first, Py_ssize_t height, Tile *t
) noexcept nogil:
    """Add the dots of all blocks of dimensions but the last, which is copied; return its start."""
    cdef Py_ssize_t start = 0
    begin(doc, first, height, t)
    while doc.dim - start > DEPTH:
        copy_rows(doc, first, height, start, DEPTH, t)
        add(height, t.rows, query + start * QUERY_LANES, DEPTH, t.sums, start > 0)
        start += DEPTH
    copy_rows(doc, first, height, start, doc.dim - start, t)
    return start


cdef void best_cosines(
    const Document *doc, bint in_place, const f32 *query, f32 *best
) noexcept nogil:
    """Write the best cosine of each lane of one query block; -inf without a match."""
    cdef:
        Tile t
        Py_ssize_t done = 0, first, height, start, lane
    for lane in range(QUERY_LANES):
        best[lane] = -INFINITY
    while done < doc.count:
        height = tile_height(doc.count - done, doc.count)
        first = min(done, doc.count - height)
        if in_place:
            finish(
                height, doc.tokens + first * DEPTH, query, DEPTH, t.sums, 0, doc.norms + first, best
            )
        else:
            start = copy_tile(doc, query, first, height, &t)
            finish(
                height, t.rows, query + start * QUERY_LANES, doc.dim - start, t.sums, start > 0,
                t.norms, best,
            )
        done = first + height


cdef f64 sum_block(
    const Document *doc, bint in_place, const f32 *query, Py_ssize_t lanes
) noexcept nogil:
    cdef:
        f32[QUERY_LANES] best
        f64 total = 0
        Py_ssize_t lane
    best_cosines(doc, in_place, query, best)
    for lane in range(lanes):
        if best[lane] > -INFINITY:
            total += best[lane]
    return total


cdef f32 score_document(
    const Document *doc, const f32 *packed, Py_ssize_t num_query
) noexcept nogil:
    cdef:
        f64 total = 0
        Py_ssize_t done = 0
        bint in_place = is_in_place(doc)
    while done < num_query:
        total += sum_block(
            doc, in_place, packed + done * doc.dim, min(<Py_ssize_t>QUERY_LANES, num_query - done)
        )
        done += QUERY_LANES
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
        Py_ssize_t done = 0, first, height, start, i, lane
        f32 cosine
    for lane in range(lanes):
        best[lane], cosines[lane] = -1, -INFINITY
    while done < doc.count:
        height = tile_height(doc.count - done, doc.count)
        first = min(done, doc.count - height)
        start = copy_tile(doc, query, first, height, &t)
        add(
            height, t.rows, query + start * QUERY_LANES, doc.dim - start, t.sums, start > 0
        )
        for i in range(height):
            for lane in range(lanes):
                cosine = t.sums[i * QUERY_LANES + lane] * t.norms[i]
                if cosine > cosines[lane]:
                    best[lane], cosines[lane] = first + i, cosine
        done = first + height
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


cdef bint score_pair(
    const f32 *query, Py_ssize_t num_query, const f32 *tokens, Py_ssize_t count, f32 *total
) noexcept nogil:
    """Score two plain matrices of DEPTH dimensions; return False where they need a closer look."""
    cdef:
        f32[PAIR_TOKENS] norms
        f32[DEPTH * QUERY_LANES] packed
        Py_ssize_t done = 0, lanes
        f64 sums = 0
        Document doc
    if not maxsim_inverse_norms(tokens, count, DEPTH, norms):
        return False
    doc.tokens, doc.codes, doc.norms, doc.count, doc.dim = tokens, NULL, norms, count, DEPTH
    while done < num_query:
        lanes = min(<Py_ssize_t>QUERY_LANES, num_query - done)
        if pack_lanes(query + done * DEPTH, lanes, DEPTH, packed) >= 0:
            return False
        sums += sum_block(&doc, True, packed, lanes)
        done += QUERY_LANES
    total[0] = <f32>sums
    return True


def pair(query, document):
    """Return the sum over query tokens of the best cosine of two matrices of 128 dimensions.

    Returns None where a closer look is needed: other types, shapes or magnitudes.
    """
    cdef:
        Py_ssize_t num_query, count, dim, other
        const f32 *tokens
        const f32 *wanted = plain_matrix(query, &num_query, &dim)
        f32 total = 0
        bint done
    if wanted == NULL or dim != DEPTH:
        return None
    tokens = plain_matrix(document, &count, &other)
    if tokens == NULL or other != dim or count > PAIR_TOKENS:
        return None
    with nogil:
        done = score_pair(wanted, num_query, tokens, count, &total)
    return total if done else None
