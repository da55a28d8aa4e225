"""Documents of small integers scored a tile of tokens at a time, decoded to bytes on the way."""
from libc.math cimport INFINITY
from libc.string cimport memcpy, memset
from cgcython.kernels.inner.simd.compiler cimport fetch
from cgcython.kernels.inner.types cimport f32, f64, i32, i64, u8

cdef extern from *:
    ctypedef signed char i8 "int8_t"

cdef extern from "inner/integers/tile.h" nogil:
    enum:
        TOKEN_LANES "CG_INTEGER_LANES"
        DIMS "CG_DIMS"
        LINE "CG_QUERY_LINE"
        CODES_TILE "CG_CODES_TILE"
    Py_ssize_t codes_height "cg_codes_height"(Py_ssize_t left, Py_ssize_t count)
    void add_bytes "cg_add_bytes"(
        Py_ssize_t n, int small, int lanes, const u8 *rows, const i8 *query, Py_ssize_t groups,
        Py_ssize_t second, const i32 *before, Py_ssize_t step, i32 *sums,
    )
    void finish_bytes "cg_finish_bytes"(
        Py_ssize_t n, int small, int lanes, const u8 *rows, const i8 *query, Py_ssize_t groups,
        Py_ssize_t second, const i32 *before, Py_ssize_t step, const f32 *norms, f32 *best,
    )
    void widen8 "cg_widen8"(const u8 *codes, u8 *row)
    void widen4 "cg_widen4"(const u8 *codes, u8 *row)
    void widen2 "cg_widen2"(const u8 *codes, u8 *row)
    void widen1 "cg_widen1"(const u8 *codes, u8 *row)

cdef enum:
    GROUPS = DIMS // 4  # lines of a query that meet one tile


cdef struct Codes:
    const u8 *codes
    const f32 *norms    # inverse
    Py_ssize_t count
    Py_ssize_t width    # bytes of a token
    int bits            # of a value


cdef struct Query:
    const i8 *lines     # [planes, groups, 32 lanes, 4]: signed bytes, or high and then low bytes
    Py_ssize_t groups
    Py_ssize_t second   # bytes from the first plane to the second, 0 where there is none
    int lanes           # of TOKEN_LANES that hold a token
    i32[TOKEN_LANES] sums     # of each lane's numbers
    f32[TOKEN_LANES] norms    # inverse, 0 for a token without direction


cdef struct CodesTile:
    i32[CODES_TILE * TOKEN_LANES] sums
    i32[TOKEN_LANES] bias
    u8[CODES_TILE * DIMS] rows


cdef inline Py_ssize_t groups_of(Py_ssize_t dim) noexcept nogil:
    """Lines of four dimensions; pairs of them, so that sign codes end with a line."""
    return 2 * ((dim + 7) // 8)


cdef inline void read_query(
    const i8 *block, Py_ssize_t lines, Py_ssize_t groups, Py_ssize_t lanes, Query *q
) noexcept nogil:
    """Find the parts of a packed block: the planes, then each lane's sum and inverse norm."""
    q.lines, q.groups, q.lanes = block, groups, <int>lanes
    q.second = groups * LINE if lines > groups + 2 else 0
    memcpy(q.sums, block + (lines - 2) * LINE, sizeof(q.sums))
    memcpy(q.norms, block + (lines - 1) * LINE, sizeof(q.norms))


cdef inline int offset_of(int bits) noexcept nogil:
    """What decoding to unsigned bytes adds to a value."""
    return 128 if bits == 8 else (1 << bits) - 1


cdef inline void widen(const u8 *codes, Py_ssize_t width, int bits, u8 *row) noexcept nogil:
    """Decode up to DIMS values; what lies behind them meets zeros of the query."""
    cdef u8[DIMS] last
    if width < bits * DIMS // 8:
        memset(last, 0, sizeof(last))
        memcpy(last, codes, width)
        codes = last
    if bits == 8:
        widen8(codes, row)
    elif bits == 4:
        widen4(codes, row)
    elif bits == 2:
        widen2(codes, row)
    else:
        widen1(codes, row)


cdef inline void widen_rows(
    const Codes *doc, Py_ssize_t first, Py_ssize_t height, Py_ssize_t start, u8 *rows
) noexcept nogil:
    """Decode a tile's dimensions from `start` on, and ask for the bytes two tiles ahead."""
    cdef:
        Py_ssize_t i, skip = start * doc.bits // 8, left = doc.width - skip, line
        Py_ssize_t wanted = min(left, <Py_ssize_t>doc.bits * DIMS // 8)
        const u8 *codes
    for i in range(height):
        codes = doc.codes + (first + i) * doc.width + skip
        for line in range(0, wanted, 64):
            fetch(codes + 2 * CODES_TILE * doc.width + line)
        widen(codes, left, doc.bits, rows + i * DIMS)


cdef inline void begin_tile(const Codes *doc, const Query *q, CodesTile *t) noexcept nogil:
    cdef Py_ssize_t lane
    for lane in range(TOKEN_LANES):
        t.bias[lane] = -offset_of(doc.bits) * q.sums[lane]


cdef inline const i32 *earlier(const CodesTile *t, Py_ssize_t line) noexcept nogil:
    """Where the sums of the lines before this one are: in front of the first, the bias."""
    if line:
        return t.sums
    return t.bias


cdef inline Py_ssize_t add_blocks(
    const Codes *doc, const Query *q, Py_ssize_t first, Py_ssize_t height, CodesTile *t
) noexcept nogil:
    """Sum all blocks of dimensions but the last, which is decoded; return its first line."""
    cdef Py_ssize_t done = 0
    widen_rows(doc, first, height, 0, t.rows)
    while q.groups - done > GROUPS:
        add_bytes(
            height, doc.bits < 8, q.lanes, t.rows, q.lines + done * LINE, GROUPS, q.second,
            earlier(t, done), TOKEN_LANES if done else 0, t.sums,
        )
        done += GROUPS
        widen_rows(doc, first, height, done * 4, t.rows)
    return done


cdef inline void best_products(const Codes *doc, const Query *q, f32 *best) noexcept nogil:
    """Write the best dot x norm of each lane; -inf without a match."""
    cdef:
        CodesTile t
        Py_ssize_t done = 0, first, height, line, lane
    begin_tile(doc, q, &t)
    for lane in range(TOKEN_LANES):
        best[lane] = -INFINITY
    while done < doc.count:
        height = codes_height(doc.count - done, doc.count)
        first = min(done, doc.count - height)
        line = add_blocks(doc, q, first, height, &t)
        finish_bytes(
            height, doc.bits < 8, q.lanes, t.rows, q.lines + line * LINE, q.groups - line, q.second,
            earlier(&t, line), TOKEN_LANES if line else 0, doc.norms + first, best,
        )
        done = first + height


cdef inline f64 sum_products(const Codes *doc, const Query *q) noexcept nogil:
    cdef:
        f32[TOKEN_LANES] best
        f64 total = 0
        Py_ssize_t lane
    best_products(doc, q, best)
    for lane in range(q.lanes):
        if best[lane] > -INFINITY:
            total += <f64>best[lane] * q.norms[lane]
    return total


cdef inline void align_products(
    const Codes *doc, const Query *q, i64 *best, f32 *cosines
) noexcept nogil:
    """Write the best token and its cosine for each lane; -1 and 0 without a match."""
    cdef:
        CodesTile t
        f32[TOKEN_LANES] highest
        f32 product
        Py_ssize_t i, line, lane
    begin_tile(doc, q, &t)
    for lane in range(q.lanes):
        best[lane], highest[lane] = -1, -INFINITY
    for i in range(doc.count):
        line = add_blocks(doc, q, i, 1, &t)
        add_bytes(
            1, doc.bits < 8, q.lanes, t.rows, q.lines + line * LINE, q.groups - line, q.second,
            earlier(&t, line), TOKEN_LANES if line else 0, t.sums,
        )
        for lane in range(q.lanes):
            product = <f32>t.sums[lane] * doc.norms[i]
            if product > highest[lane]:
                best[lane], highest[lane] = i, product
    for lane in range(q.lanes):
        if best[lane] < 0 or q.norms[lane] == 0:
            best[lane], highest[lane] = -1, 0
        cosines[lane] = <f32>(<f64>highest[lane] * q.norms[lane])
