"""Documents scored a tile of tokens at a time: in place where they can be read so, else copied."""
from libc.math cimport INFINITY, NAN
from libc.string cimport memcpy
from cgcython.kernels.inner.e4m3.codes cimport load_e4m3
from cgcython.kernels.inner.types cimport f32, f64, u8
from cgcython.kernels.inner.maxsim.unit_tokens cimport (
    DEPTH, QUERY_LANES, add_squares, factor_of, inverse_lengths, invert, pack_lanes, scaled_norm,
)
from cgcython.kernels.inner.simd.vector cimport (
    LANES, SLACK, aligned, load, set16, store, sum16, v16,
)

cdef extern from "inner/maxsim/tile.h" nogil:
    enum:
        TILE "CG_TILE"
    ctypedef struct Ahead "cg_ahead":
        const char *line
        const char *end
        Py_ssize_t width
        Py_ssize_t stride
    ctypedef struct Step "cg_tile":
        const void *rows
        const void *query
        Py_ssize_t depth
        int lanes
        int more
        f32 *sums
        Ahead ahead
    void add "cg_add"(Py_ssize_t n, const Step *step)
    void finish "cg_finish"(Py_ssize_t n, const Step *step, const f32 *norms, f32 *best)

cdef enum:
    PAIR_TOKENS = 1024


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
    Step step


cdef inline bint is_in_place(const Document *doc) noexcept nogil:
    """Whether tiles can be read from the document itself."""
    cdef Py_ssize_t i
    if not doc.tokens or doc.dim != DEPTH:
        return False
    for i in range(doc.count):
        if doc.norms[i] == 0:
            return False
    return True


cdef inline Py_ssize_t tile_height(Py_ssize_t left, Py_ssize_t count) noexcept nogil:
    """Return the height of the tile that is next when `left` of a document's tokens are.

    It is the lowest that holds all that is left and fits the document, for it may reach back over
    tokens done before, or else the highest that does not overlap.
    """
    cdef:
        Py_ssize_t[4] heights = [1, 3, 6, TILE]
        Py_ssize_t i
    for i in range(4):
        if left <= heights[i] <= count:
            return heights[i]
    for i in range(3, 0, -1):
        if heights[i] <= left:
            return heights[i]
    return 1


cdef inline void begin(
    const Document *doc, Py_ssize_t first, Py_ssize_t height, Tile *t
) noexcept nogil:
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


cdef inline Py_ssize_t depth_of(Py_ssize_t dim) noexcept nogil:
    """The dimensions of a block: as even as may be, so that each has time to fetch the next."""
    cdef Py_ssize_t blocks = (dim + DEPTH - 1) // DEPTH
    return (dim + 32 * blocks - 1) // (32 * blocks) * 32 if blocks > 1 else dim


cdef inline void fetch_rows(
    Step *step, const void *rows, Py_ssize_t width, Py_ssize_t stride
) noexcept nogil:
    """Have rows of `width` bytes, `stride` apart, fetched during the next multiplications."""
    step.ahead.line = <const char *>rows
    step.ahead.end = step.ahead.line + width
    step.ahead.width, step.ahead.stride = width, stride


cdef inline void fetch_next(
    Step *step, const char *rows, Py_ssize_t height, Py_ssize_t dim, Py_ssize_t start,
    Py_ssize_t size,
) noexcept nogil:
    """Have the block behind that at `start` fetched: of these rows, or the first of the next."""
    cdef Py_ssize_t depth = depth_of(dim), after = start + depth
    if after < dim:
        fetch_rows(step, rows + after * size, min(depth, dim - after) * size, dim * size)
    else:
        fetch_rows(step, rows + height * dim * size, min(depth, dim) * size, dim * size)


cdef inline void copy_rows(
    const Document *doc, Py_ssize_t first, Py_ssize_t height, Py_ssize_t start, Py_ssize_t depth,
    Tile *t,
) noexcept nogil:
    """Copy dimensions start to start + depth of the tile's tokens, decoded and in range."""
    cdef:
        Py_ssize_t i, at
    for i in range(height):
        at = (first + i) * doc.dim + start
        if doc.tokens:
            copy_row(doc.tokens + at, depth, t.factors[i], t.rows + i * DEPTH)
        else:
            decode(doc.codes + at, depth, t.rows + i * DEPTH)
            t.squares[i] = add_squares(t.rows + i * DEPTH, depth, t.squares[i])
    if not doc.tokens and start + depth == doc.dim:
        for i in range(height):
            t.norms[i] = sum16(t.squares[i])
        invert(t.norms, height)
        for i in range(height):
            t.norms[i] = NAN if t.norms[i] == 0 else t.norms[i]


cdef inline void copy_row(
    const f32 *values, Py_ssize_t n, f32 factor, f32 *row
) noexcept nogil:
    cdef Py_ssize_t k = 0
    while k + LANES <= n:
        store(row + k, load(values + k) * factor)
        k += LANES
    while k < n:
        row[k] = values[k] * factor
        k += 1


cdef inline void decode(const u8 *codes, Py_ssize_t n, f32 *values) noexcept nogil:
    cdef:
        Py_ssize_t k = 0
        u8[64] last
    while k + LANES <= n:
        store(values + k, load_e4m3(codes + k))
        k += LANES
    if k < n:
        memcpy(last, codes + k, n - k)
        store(values + k, load_e4m3(last))


cdef inline void aim(
    Step *step, const void *rows, const void *query, Py_ssize_t depth, bint more
) noexcept nogil:
    step.rows, step.query, step.depth, step.more = rows, query, depth, more


cdef inline f32 code_norm(const u8 *codes, Py_ssize_t dim) noexcept nogil:
    """1 / length of a token of codes; NaN for one without direction."""
    cdef:
        f32[DEPTH] block
        Py_ssize_t start = 0, depth
        v16 squares = set16(0)
        f32 norm
    while start < dim:
        depth = min(<Py_ssize_t>DEPTH, dim - start)
        decode(codes + start, depth, block)
        squares = add_squares(block, depth, squares)
        start += DEPTH
    norm = sum16(squares)
    invert(&norm, 1)
    return norm if norm > 0 else <f32>NAN


cdef inline void copy_tile(
    const Document *doc, const f32 *query, Py_ssize_t first, Py_ssize_t height, Tile *t
) noexcept nogil:
    """Add the dots of all blocks of dimensions but the last, which is copied and aimed at."""
    cdef:
        Py_ssize_t start = 0, depth = depth_of(doc.dim), size = 4 if doc.tokens else 1
        const char *source = <const char *>doc.tokens if doc.tokens else <const char *>doc.codes
    begin(doc, first, height, t)
    while True:
        depth = min(depth, doc.dim - start)
        copy_rows(doc, first, height, start, depth, t)
        aim(&t.step, t.rows, query + start * QUERY_LANES, depth, start > 0)
        fetch_next(&t.step, source + first * doc.dim * size, height, doc.dim, start, size)
        start += depth
        if start >= doc.dim:
            return
        add(height, &t.step)


cdef inline void best_cosines(
    const Document *doc, bint in_place, const f32 *query, Py_ssize_t lanes, f32 *best
) noexcept nogil:
    """Write the best cosine of each lane of one query block; -inf without a match."""
    cdef:
        Tile t
        Py_ssize_t done = 0, first, height, lane
    t.step.lanes, t.step.sums = <int>lanes, t.sums
    for lane in range(QUERY_LANES):
        best[lane] = -INFINITY
    while done < doc.count:
        height = tile_height(doc.count - done, doc.count)
        first = min(done, doc.count - height)
        if in_place:
            aim(&t.step, doc.tokens + first * DEPTH, query, DEPTH, False)
            fetch_rows(&t.step, doc.tokens + (first + height) * DEPTH, 4 * DEPTH, 4 * DEPTH)
            finish(height, &t.step, doc.norms + first, best)
        else:
            copy_tile(doc, query, first, height, &t)
            finish(height, &t.step, t.norms, best)
        done = first + height


cdef inline f64 sum_best(const f32 *best, Py_ssize_t lanes) noexcept nogil:
    """The sum of the lanes that have a match."""
    cdef:
        f64 total = 0
        Py_ssize_t lane
    for lane in range(lanes):
        if best[lane] > -INFINITY:
            total += best[lane]
    return total


cdef inline f64 sum_block(
    const Document *doc, bint in_place, const f32 *query, Py_ssize_t lanes
) noexcept nogil:
    cdef f32[QUERY_LANES] best
    best_cosines(doc, in_place, query, lanes, best)
    return sum_best(best, lanes)


cdef inline f32 score_document(
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


cdef inline bint score_pair(
    const f32 *query, Py_ssize_t num_query, const f32 *tokens, Py_ssize_t count, f32 *total
) noexcept nogil:
    """Score two plain matrices of DEPTH dimensions; return False where they need a closer look."""
    cdef:
        f32[PAIR_TOKENS] norms
        f32[DEPTH * QUERY_LANES + SLACK] space
        f32 *packed = aligned(space)
        Py_ssize_t done = 0, lanes
        f64 sums = 0
        Document doc
    if not inverse_lengths(tokens, count, DEPTH, norms):
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
