"""A document screened in whole numbers: what may be best is finished in float32."""
from libc.math cimport INFINITY
from libc.string cimport memcpy
from cgcython.kernels.inner.simd.compiler cimport fetch_second, first_one, ones
from cgcython.kernels.inner.integers.tiles cimport (
    CODES_TILE, DIMS, GROUPS, TOKEN_LANES, LINE, Codes, CodesTile, Query, add_bytes, begin_tile,
    codes_height, earlier, i8, widen_rows,
)
from cgcython.kernels.inner.maxsim.tiles cimport Document
from cgcython.kernels.inner.types cimport f32, f64, i32, i64, u8, u32

cdef extern from "inner/integers/screen.h" nogil:
    enum:
        CHAINS "CG_CHAINS"
        PAYS "CG_SCREEN_PAYS"
    ctypedef struct Reach "cg_reach":
        const f32 *bounds
        const f32 *slopes
        f32 *lower
        f32 *upper
    void estimate "cg_estimate"(
        Py_ssize_t n, int keep, int lanes, const u8 *rows, const i8 *query, Py_ssize_t groups,
        const i32 *before, Py_ssize_t step, const Reach *reach,
    )
    u32 reaching "cg_reaching"(const f32 *upper, const f32 *least)
    void near_dots "cg_near_dots"(
        const f32 *row, const f32 *query, Py_ssize_t dim, u32 lanes, f32 *dots
    )
    void exact_dots "cg_exact_dots"(
        const f32 **rows, const f32 **query, Py_ssize_t dim, f32 *dots
    )

cdef enum:
    SCREENED = 512             # tokens screened before any of them is finished
    MOST = SCREENED * TOKEN_LANES // 4
    FEWEST = 16             # tokens for which a screen pays


cdef struct Screened:
    Document plain
    const u8 *codes
    const f32 *bounds       # [count, 2]: step and radius of each token


cdef struct QueryBlock:
    Query numbers
    const f32 *rows         # [32, dim], the packed lanes as rows
    Py_ssize_t lanes
    f32[TOKEN_LANES] steps        # 0 for a lane without direction
    f32[TOKEN_LANES] alphas       # how far an estimate may be off, in steps: alpha + beta * radius
    f32[TOKEN_LANES] betas


cdef struct Estimates:
    f32[SCREENED * TOKEN_LANES] upper
    f32[TOKEN_LANES] lower


cdef struct Screen:
    Screened doc
    QueryBlock query
    Py_ssize_t start        # of the chunk
    f32[MOST] near          # dots of the pairs found, close to what MaxSim computes
    u32[SCREENED] lanes        # in which a token may be best
    i32[SCREENED] tokens       # those with such lanes
    Py_ssize_t found
    Py_ssize_t pairs
    f32[TOKEN_LANES] best
    i64[TOKEN_LANES] where


cdef struct Chains:
    const f32 *rows[CHAINS]
    const f32 *query[CHAINS]
    i64 tokens[CHAINS]
    Py_ssize_t lanes[CHAINS]
    int held


cdef inline f32 slack_of(Py_ssize_t dim) noexcept nogil:
    """More than a float32 sum of `dim` products and all steps around it can be off."""
    return <f32>((2 * dim + 64) * 2.0**-24)


cdef inline void read_block(
    const i8 *block, Py_ssize_t groups, const f32 *rows, Py_ssize_t lanes, QueryBlock *q
) noexcept nogil:
    q.numbers.lines, q.numbers.groups, q.numbers.second = block, groups, 0
    q.rows, q.lanes, q.numbers.lanes = rows, lanes, <int>lanes
    block += groups * LINE
    memcpy(q.numbers.sums, block, LINE)
    memcpy(q.numbers.norms, block + LINE, LINE)
    memcpy(q.steps, block + 2 * LINE, LINE)
    memcpy(q.alphas, block + 3 * LINE, LINE)
    memcpy(q.betas, block + 4 * LINE, LINE)


cdef inline void estimate_tokens(
    const Screened *doc, const QueryBlock *q, Py_ssize_t start, Py_ssize_t count, bint keep,
    f32 *lower, f32 *upper,
) noexcept nogil:
    """Raise lower, and write or raise upper, by the estimates of some tokens."""
    cdef:
        Codes codes
        CodesTile t
        Reach reach
        Py_ssize_t done = 0, first, height, line
    codes.codes, codes.count = doc.codes + start * doc.plain.dim, count
    codes.width, codes.bits = doc.plain.dim, 8
    begin_tile(&codes, &q.numbers, &t)
    reach.slopes, reach.lower = q.betas, lower
    while done < count:
        height = codes_height(count - done, count)
        first = min(done, count - height)
        widen_rows(&codes, first, height, 0, t.rows)
        line = 0
        while q.numbers.groups - line > GROUPS:
            add_bytes(
                height, False, q.numbers.lanes, t.rows, q.numbers.lines + line * LINE, GROUPS, 0,
                earlier(&t, line), TOKEN_LANES if line else 0, t.sums,
            )
            line += GROUPS
            widen_rows(&codes, first, height, line * 4, t.rows)
        reach.bounds = doc.bounds + 2 * (start + first)
        reach.upper = upper + first * TOKEN_LANES if keep else upper
        estimate(
            height, keep, q.numbers.lanes, t.rows,
            q.numbers.lines + line * LINE, q.numbers.groups - line,
            earlier(&t, line), TOKEN_LANES if line else 0, &reach,
        )
        done = first + height


cdef inline void ask_for(const Screened *doc, Py_ssize_t token) noexcept nogil:
    """Fetch a token that will be read soon: hardware does not foresee which."""
    cdef:
        const f32 *row = doc.plain.tokens + token * doc.plain.dim
        Py_ssize_t k
    for k in range(0, doc.plain.dim, 16):
        fetch_second(row + k)


cdef inline bint find_pairs(
    const Estimates *e, Py_ssize_t count, Py_ssize_t most, Screen *s
) noexcept nogil:
    """List the tokens that may be best in some lane; return False when that is too many."""
    cdef:
        f32[TOKEN_LANES] least
        Py_ssize_t i, lane
        u32 lanes
    for lane in range(TOKEN_LANES):
        least[lane] = INFINITY
        if lane < s.query.lanes and s.query.steps[lane] > 0:
            least[lane] = e.lower[lane] - 2 * s.query.alphas[lane]
    s.found = s.pairs = 0
    for i in range(count):
        lanes = reaching(e.upper + i * TOKEN_LANES, least)
        if lanes:
            ask_for(&s.doc, s.start + i)
            s.tokens[s.found], s.lanes[s.found] = <i32>i, lanes
            s.found += 1
            s.pairs += ones(lanes)
            if s.pairs > most:
                return False
    return True


cdef inline void flush(Chains *c, Screen *s) noexcept nogil:
    """Finish the pairs held, in the order they came in."""
    cdef:
        f32[CHAINS] dots
        f32 cosine
        int i
    for i in range(c.held, CHAINS):
        c.rows[i], c.query[i] = c.rows[0], c.query[0]
    exact_dots(c.rows, c.query, s.doc.plain.dim, dots)
    for i in range(c.held):
        cosine = dots[i] * s.doc.plain.norms[c.tokens[i]]
        if cosine > s.best[c.lanes[i]]:
            s.best[c.lanes[i]], s.where[c.lanes[i]] = cosine, c.tokens[i]
    c.held = 0


cdef inline void near_cosines(Screen *s, f32 *highest) noexcept nogil:
    """Write the cosines of all pairs, up to rounding, and the highest of each lane."""
    cdef:
        Py_ssize_t i, token, pair = 0, lane, dim = s.doc.plain.dim
        u32 lanes
    for lane in range(TOKEN_LANES):
        highest[lane] = s.best[lane]
    for i in range(s.found):
        token, lanes = s.start + s.tokens[i], s.lanes[i]
        near_dots(s.doc.plain.tokens + token * dim, s.query.rows, dim, lanes, s.near + pair)
        while lanes:
            lane = first_one(lanes)
            s.near[pair] *= s.doc.plain.norms[token]
            highest[lane] = max(highest[lane], s.near[pair])
            lanes &= lanes - 1
            pair += 1


cdef inline void finish_pairs(Screen *s) noexcept nogil:
    """Raise best to MaxSim's own cosines of the pairs within rounding of the highest."""
    cdef:
        Chains c
        f32[TOKEN_LANES] highest
        f32 slack = 2 * slack_of(s.doc.plain.dim)
        Py_ssize_t i, token, pair = 0, lane
        u32 lanes
    near_cosines(s, highest)
    c.held = 0
    for i in range(s.found):
        token, lanes = s.start + s.tokens[i], s.lanes[i]
        while lanes:
            lane = first_one(lanes)
            lanes &= lanes - 1
            if s.near[pair] >= highest[lane] - slack:
                c.rows[c.held] = s.doc.plain.tokens + token * s.doc.plain.dim
                c.query[c.held] = s.query.rows + lane * s.doc.plain.dim
                c.tokens[c.held], c.lanes[c.held] = token, lane
                c.held += 1
                if c.held == CHAINS:
                    flush(&c, s)
            pair += 1
    if c.held:
        flush(&c, s)


cdef inline bint is_plain(const Screened *doc) noexcept nogil:
    """Whether all lengths are in the range in which MaxSim reads tokens as they are."""
    cdef:
        Py_ssize_t i
        bint plain = True
    for i in range(doc.plain.count):
        plain &= doc.plain.norms[i] != 0
    return plain


cdef inline void begin_block(const Screened *doc, Screen *s, Estimates *e) noexcept nogil:
    """Get ready for a document and the block of query tokens that s.query holds."""
    cdef Py_ssize_t lane
    s.doc, s.start = doc[0], 0
    for lane in range(TOKEN_LANES):
        s.best[lane], s.where[lane], e.lower[lane] = -INFINITY, -1, -INFINITY


cdef inline bint screen_chunk(Estimates *e, Py_ssize_t most, Screen *s) noexcept nogil:
    """Find what the chunk at s.start has to finish; return False where that is too much."""
    cdef Py_ssize_t count = min(<Py_ssize_t>SCREENED, s.doc.plain.count - s.start)
    estimate_tokens(&s.doc, &s.query, s.start, count, True, e.lower, e.upper)
    return find_pairs(e, count, min(most, <Py_ssize_t>MOST), s)


cdef inline Py_ssize_t most_pairs(const Screen *s) noexcept nogil:
    """How many pairs cost what MaxSim costs."""
    return s.doc.plain.count * s.query.lanes // 4


cdef inline bint screen_block(
    const Screened *doc, Screen *s, Estimates *e, Py_ssize_t *finished
) noexcept nogil:
    """Find the best cosine of each lane, bit for bit MaxSim's; False where MaxSim is as fast."""
    cdef Py_ssize_t left
    begin_block(doc, s, e)
    left = most_pairs(s)
    while s.start < doc.plain.count:
        if not screen_chunk(e, left, s):
            return False
        finish_pairs(s)
        left -= s.pairs
        finished[0] += s.pairs
        s.start += SCREENED
    return True


cdef inline f64 sum_found(const Screen *s) noexcept nogil:
    cdef:
        f64 total = 0
        Py_ssize_t lane
    for lane in range(s.query.lanes):
        if s.best[lane] > -INFINITY:
            total += s.best[lane]
    return total


cdef inline void bound_block(
    const Screened *doc, const QueryBlock *q, f64 *lower, f64 *upper
) noexcept nogil:
    """Add to both what the block's lanes score at least and at most."""
    cdef:
        f32[TOKEN_LANES] low, high
        Py_ssize_t lane
        f64 step
    for lane in range(TOKEN_LANES):
        low[lane] = high[lane] = -INFINITY
    estimate_tokens(doc, q, 0, doc.plain.count, False, low, high)
    for lane in range(q.lanes):
        step = q.steps[lane]
        if step > 0 and high[lane] > -INFINITY:
            lower[0] += (low[lane] - q.alphas[lane]) * step
            upper[0] += (high[lane] + q.alphas[lane]) * step
