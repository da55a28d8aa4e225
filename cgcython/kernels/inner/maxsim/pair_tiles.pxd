"""Documents of bfloat16, or of codes that it holds exactly, scored a tile of tokens at a time."""
from libc.math cimport INFINITY
from libc.stdint cimport uint16_t as u16
from libc.string cimport memcpy, memset
from cgcython.kernels.inner.maxsim.tiles cimport (
    Step, TILE, aim, depth_of, fetch_next, fetch_rows, sum_best, tile_height,
)
from cgcython.kernels.inner.types cimport f32, f64, u8, u32
from cgcython.kernels.inner.maxsim.unit_tokens cimport (
    DEPTH, QUERY_LANES, add_squares, invert, power_for,
)
from cgcython.kernels.inner.simd.vector cimport SLACK, aligned, half, set16, sum16, v16, wide

cdef extern from "inner/maxsim/tile.h" nogil:
    enum:
        CODES "CG_CODES"
        LINE "CG_LINE"
        HALVES "CG_HALVES"
    # Modes of rounding: with denormals, and without as the dot product of pairs works.
    const u32 KEEP "CG_KEEP"
    const u32 FLUSH "CG_FLUSH"
    # An element of a tile: bfloat16 itself where the level multiplies pairs, else a float.
    ctypedef f32 row "cg_row"
    void set_rounding "cg_set_rounding"(u32 mode)
    u32 get_rounding "cg_get_rounding"()
    void expand "cg_expand"(const u16 *source, row *out)
    void expand_codes "cg_expand_codes"(const u8 *source, Py_ssize_t n, row *out)
    void add_pairs "cg_add_half_pairs"(Py_ssize_t n, const Step *step)
    void finish_pairs "cg_finish_half_pairs"(
        Py_ssize_t n, const Step *step, const f32 *norms, f32 *best
    )


cdef struct Halves:
    const u16 *tokens   # or NULL, and then
    const u8 *codes     # E4M3
    const f32 *norms    # inverse
    Py_ssize_t count
    Py_ssize_t dim


cdef enum:
    TILE_ROOM = TILE * DEPTH + 2 * SLACK


cdef struct PairTile:
    row *rows                   # [TILE, DEPTH]: a store over two cache lines costs two
    row[TILE_ROOM] room
    f32[TILE * QUERY_LANES] sums
    f32[TILE] norms
    f32[TILE] factors           # powers of two that bring far-off tokens into range
    Step step


cdef inline void widen(
    const u16 *halves, Py_ssize_t n, f32 factor, f32 *values
) noexcept nogil:
    """Write bfloat16 as floats, each times a power of two."""
    cdef Py_ssize_t k
    for k in range(n):
        values[k] = wide(halves[k]) * factor


cdef inline f32 half_norm(const u16 *token, Py_ssize_t dim, f32 factor) noexcept nogil:
    """1 / length of a token times a factor; 0 where that is out of the plain range."""
    cdef:
        f32[DEPTH] block
        Py_ssize_t start = 0, depth
        v16 squares = set16(0)
        f32 norm
    while start < dim:
        depth = min(<Py_ssize_t>DEPTH, dim - start)
        widen(token + start, depth, factor, block)
        squares = add_squares(block, depth, squares)
        start += DEPTH
    norm = sum16(squares)
    invert(&norm, 1)
    return norm


cdef inline f32 half_peak(const u16 *token, Py_ssize_t dim) noexcept nogil:
    """The largest magnitude; infinity or NaN when a value is not finite."""
    cdef u16 peak = 0
    cdef Py_ssize_t k
    for k in range(dim):
        peak = max(peak, <u16>(token[k] & 0x7FFF))
    return wide(peak)


cdef inline bint is_in_place(const Halves *doc) noexcept nogil:
    """Whether tiles can be read from the document itself."""
    return doc.tokens and doc.dim == DEPTH and sizeof(row) == sizeof(u16)


cdef inline bint is_far_off(const Halves *doc) noexcept nogil:
    """Whether a token must be scaled before its length can be known."""
    cdef Py_ssize_t i
    if doc.tokens:
        for i in range(doc.count):
            if doc.norms[i] == 0:
                return True
    return False


cdef inline void begin(
    const Halves *doc, bint far_off, Py_ssize_t first, Py_ssize_t height, PairTile *t
) noexcept nogil:
    """Set the norms and factors of a tile's tokens."""
    cdef:
        Py_ssize_t i
        const u16 *token
    for i in range(height):
        t.factors[i], t.norms[i] = 1, doc.norms[first + i]
    if not far_off:
        return
    set_rounding(KEEP)
    for i in range(height):
        if t.norms[i] == 0:
            token = doc.tokens + (first + i) * doc.dim
            t.factors[i] = power_for(half_peak(token, doc.dim))
            t.norms[i] = half_norm(token, doc.dim, t.factors[i])
    set_rounding(FLUSH)


cdef inline void expand_scaled(
    const u16 *halves, Py_ssize_t n, f32 factor, row *out
) noexcept nogil:
    """Write up to DEPTH elements times a power of two: bfloat16 again, but below its range."""
    cdef:
        u16[DEPTH] scaled
        Py_ssize_t k
    n = min(n, <Py_ssize_t>DEPTH)
    for k in range(n):
        scaled[k] = half(wide(halves[k]) * factor)
    expand_halves(scaled, n, out)


cdef inline void expand_halves(const u16 *halves, Py_ssize_t n, row *out) noexcept nogil:
    """Write n elements, and zeros behind them."""
    cdef:
        u16[HALVES] last
        Py_ssize_t k = 0
    while k + HALVES <= n:
        expand(halves + k, out + k)
        k += HALVES
    if k < n:
        memset(last, 0, sizeof(last))
        memcpy(last, halves + k, (n - k) * sizeof(u16))
        expand(last, out + k)


cdef inline void expand_row(const u8 *codes, Py_ssize_t n, row *out) noexcept nogil:
    cdef Py_ssize_t k = 0
    while k + CODES <= n:
        expand_codes(codes + k, CODES, out + k)
        k += CODES
    if k < n:
        expand_codes(codes + k, n - k, out + k)


cdef inline void copy_rows(
    const Halves *doc, Py_ssize_t first, Py_ssize_t height, Py_ssize_t start, Py_ssize_t depth,
    PairTile *t,
) noexcept nogil:
    """Copy dimensions start to start + depth of the tile's tokens, in range."""
    cdef:
        Py_ssize_t i, at
    for i in range(height):
        at = (first + i) * doc.dim + start
        if doc.codes:
            expand_row(doc.codes + at, depth, t.rows + i * DEPTH)
        elif t.factors[i] == 1:
            expand_halves(doc.tokens + at, depth, t.rows + i * DEPTH)
        else:
            set_rounding(KEEP)
            expand_scaled(doc.tokens + at, depth, t.factors[i], t.rows + i * DEPTH)
            set_rounding(FLUSH)


cdef inline void copy_tile(
    const Halves *doc, const u16 *query, Py_ssize_t first, Py_ssize_t height, PairTile *t
) noexcept nogil:
    """Add the dots of all blocks of dimensions but the last, which is copied and aimed at."""
    cdef:
        Py_ssize_t start = 0, depth = depth_of(doc.dim), size = 2 if doc.tokens else 1
        const char *source = <const char *>doc.tokens if doc.tokens else <const char *>doc.codes
    while True:
        depth = min(depth, doc.dim - start)
        copy_rows(doc, first, height, start, depth, t)
        aim(&t.step, t.rows, query + start * QUERY_LANES, (depth + 1) // 2, start > 0)
        fetch_next(&t.step, source + first * doc.dim * size, height, doc.dim, start, size)
        start += depth
        if start >= doc.dim:
            return
        add_pairs(height, &t.step)


cdef inline f64 sum_block(
    const Halves *doc, bint far_off, const u16 *query, Py_ssize_t lanes
) noexcept nogil:
    """The sum of the best cosines of one query block."""
    cdef:
        PairTile t
        f32[QUERY_LANES] best
        Py_ssize_t done = 0, first, height, lane
        bint in_place = is_in_place(doc) and not far_off
    t.step.lanes, t.step.sums, t.rows = <int>lanes, t.sums, <row *>aligned(<f32 *>t.room)
    for lane in range(QUERY_LANES):
        best[lane] = -INFINITY
    while done < doc.count:
        height = tile_height(doc.count - done, doc.count)
        first = min(done, doc.count - height)
        if in_place:
            aim(&t.step, doc.tokens + first * DEPTH, query, DEPTH // 2, False)
            fetch_rows(&t.step, doc.tokens + (first + height) * DEPTH, 2 * DEPTH, 2 * DEPTH)
            finish_pairs(height, &t.step, doc.norms + first, best)
        else:
            begin(doc, far_off, first, height, &t)
            copy_tile(doc, query, first, height, &t)
            finish_pairs(height, &t.step, t.norms, best)
        done = first + height
    return sum_best(best, lanes)


cdef inline f32 score_halves(
    const Halves *doc, const u16 *packed, Py_ssize_t num_query
) noexcept nogil:
    cdef:
        f64 total = 0
        Py_ssize_t done = 0, block = (doc.dim + 1) // 2 * LINE
        bint far_off = is_far_off(doc)
        u32 before = get_rounding()
    set_rounding(FLUSH)
    while done < num_query:
        total += sum_block(
            doc, far_off, packed + done // QUERY_LANES * block,
            min(<Py_ssize_t>QUERY_LANES, num_query - done),
        )
        done += QUERY_LANES
    set_rounding(before)
    return <f32>total
