"""The best rows for many queries: these meet a tile of codes as whole numbers, decoded once.

What passes is estimated as for one query, where the level has that, before it is scored.
"""
from libc.float cimport FLT_MAX
from libc.math cimport INFINITY, NAN, fabs, frexp, ldexp, sqrt
from libc.stdint cimport uint16_t as u16
from libc.string cimport memcpy, memset
from cgcython.kernels.inner.simd.compiler cimport fetch, first_one
from cgcython.kernels.inner.e4m3.one cimport ESTIMATES_ROWS, is_possible
from cgcython.kernels.inner.e4m3.query cimport (
    TOGETHER, WIDEST, Query, Rows, add_all, bar_of, length_of, rounding_of,
)
from cgcython.kernels.inner.found cimport Found
from cgcython.kernels.inner.integers.tiles cimport CODES_TILE, DIMS, TOKEN_LANES, LINE, i8
from cgcython.kernels.inner.simd.vector cimport VECTOR_BYTES, load_c, store_c, vc
from cgcython.kernels.inner.types cimport f32, f64, i32, u8, u32

cdef extern from "inner/e4m3/best.h" nogil:
    enum:
        CHUNK "CG_CODES_CHUNK"
        SCREENED "CG_SCREENED"  # lanes at once
    const f64 WHOLE_STEP "CG_WHOLE_STEP"
    vc whole_numbers "cg_whole_numbers"(vc codes)
    ctypedef struct Block "cg_block":
        const i8 *numbers
        Py_ssize_t groups
        int lanes
        const i32 *bias
        const f32 *slopes
        const f32 *blurs
        const f32 *reach
        const f32 *least
    void screen_lanes "cg_screen_lanes"(
        Py_ssize_t n, const Block *block, int lane, const u8 *rows, const f32 *factors,
        const f32 *lengths, u32 *passed,
    )

cdef enum:
    MOST_BLOCKS = 8     # of 32 queries each
    MOST = MOST_BLOCKS * TOKEN_LANES
    TILE_ROOM = CODES_TILE * WIDEST
    # Of a packed query: up, length, what whole numbers keep and lose, their step and their sum,
    # what an estimate of one row keeps and loses.
    MEASURES = 8


cdef struct Lanes:          # of a block, see cg_block
    i32[TOKEN_LANES] bias
    f32[TOKEN_LANES] slopes
    f32[TOKEN_LANES] blurs
    f32[TOKEN_LANES] reach
    f32[TOKEN_LANES] least


cdef struct Many:
    Py_ssize_t count
    Query[MOST] queries     # as one row is estimated
    const u16 *halves       # [count, width]
    Py_ssize_t width
    Found[MOST] found
    f64[MOST] units         # scores per unit of a screen, which keep float32 in its range
    bint[MOST] full
    f64 row_unit            # the same, of the factors of rows
    Lanes[MOST_BLOCKS] lanes
    Block[MOST_BLOCKS] blocks


cdef struct Tile:
    u8[TILE_ROOM] numbers
    f32[CODES_TILE] factors
    f32[CODES_TILE] lengths


cdef inline void read_query(
    const f64 *measures, const f32 *laid, Py_ssize_t dim, bint cosine, Many *many, Py_ssize_t i
) noexcept nogil:
    """Set how a query is scored, and what its lane needs to be screened."""
    cdef:
        Query *q = &many.queries[i]
        Lanes *lanes = &many.lanes[i // TOKEN_LANES]
        Py_ssize_t lane = i % TOKEN_LANES
        f64 up = measures[0] / 256 if cosine else 1, more = up * (1 + 1e-6)
    q.laid, q.up, q.length, q.kept, q.lost = (
        laid, measures[0], measures[1], measures[6], measures[7]
    )
    many.units[i] = 1 if cosine else measures[0] / 256 * many.row_unit
    lanes.bias[lane] = <i32>(-128 * measures[5])
    lanes.slopes[lane] = <f32>(measures[4] * WHOLE_STEP * up)
    lanes.blurs[lane] = <f32>(measures[2] * WHOLE_STEP / 2 * sqrt(<f64>dim) * more)
    lanes.reach[lane] = <f32>((rounding_of(dim) * q.length + measures[3]) * more)
    lanes.least[lane] = -INFINITY


cdef inline void set_least(Many *many, Py_ssize_t i) noexcept nogil:
    cdef f64 bar = bar_of(&many.found[i]) / many.units[i]
    many.lanes[i // TOKEN_LANES].least[i % TOKEN_LANES] = (
        <f32>INFINITY if many.full[i] else <f32>(bar - fabs(bar) * 1e-6 - 2.0**-120)
    )


cdef inline void read_dims(const u8 *codes, Py_ssize_t ahead, u8 *numbers) noexcept nogil:
    """Write DIMS codes as whole numbers, and ask for those that come `ahead` bytes later."""
    cdef Py_ssize_t i = 0
    while i < DIMS:
        fetch(codes + ahead + i)
        store_c(numbers + i, whole_numbers(load_c(codes + i)))
        i += VECTOR_BYTES


cdef inline void read_row(const u8 *codes, Py_ssize_t dim, u8 *numbers) noexcept nogil:
    """Write a row as whole numbers, CHUNK bytes from each DIMS to the next."""
    cdef:
        u8[DIMS] last
        Py_ssize_t k = 0
    while k + DIMS <= dim:
        read_dims(codes + k, 2 * CODES_TILE * dim, numbers)
        numbers += CHUNK
        k += DIMS
    if k < dim:
        memset(last, 0, DIMS)
        memcpy(last, codes + k, dim - k)
        read_dims(last, 0, numbers)


cdef inline void read_tile(
    const Rows *rows, const Many *many, Py_ssize_t first, Py_ssize_t height, Tile *tile
) noexcept nogil:
    cdef:
        Py_ssize_t i
        f64 factor
    for i in range(height):
        read_row(rows.codes + (first + i) * rows.dim, rows.dim, tile.numbers + i * DIMS)
        factor = rows.factors[first + i] / many.row_unit
        # The bounds are of products times a factor that is not negative: else all are possible.
        tile.factors[i] = <f32>factor if factor >= 0 else <f32>NAN
        tile.lengths[i] = 1 if rows.cosine else <f32>(
            length_of(rows.inverse_norms[first + i]) * factor
        )


cdef inline void screen_tile(
    Py_ssize_t height, const Block *block, const Tile *tile, u32 *passed
) noexcept nogil:
    """Write for each row one bit for each lane whose score with it may reach the least."""
    cdef int lane = 0
    memset(passed, 0, height * sizeof(u32))
    while lane < block.lanes:
        screen_lanes(height, block, lane, tile.numbers, tile.factors, tile.lengths, passed)
        lane += SCREENED


cdef inline void add_passed(
    Many *many, const Rows *rows, Py_ssize_t block, Py_ssize_t row, u32 passed
) noexcept nogil:
    """Score a row for some queries of a block."""
    cdef:
        Py_ssize_t i
        f64 before
    if many.blocks[block].lanes < TOKEN_LANES:
        passed &= (<u32>1 << many.blocks[block].lanes) - 1
    while passed:
        i = block * TOKEN_LANES + first_one(passed)
        passed &= passed - 1
        before = many.found[i].least
        if ESTIMATES_ROWS and not is_possible(
            &many.queries[i], many.halves + i * many.width, rows, row, &many.found[i]
        ):
            continue
        if not add_all(&many.queries[i], rows, row, 1, &many.found[i]):
            many.full[i] = True
        if many.full[i] or many.found[i].least != before:
            set_least(many, i)


cdef inline void screen_all(Many *many, const Rows *rows) noexcept nogil:
    cdef:
        Tile tile
        u32[CODES_TILE] passed
        Py_ssize_t first = 0, height, block, i
    for i in range(many.count):
        if many.found[i].least == -INFINITY:
            first = min(<Py_ssize_t>TOGETHER, rows.count)  # all are scored: they tell what is high
    for i in range(many.count):
        many.full[i] = not add_all(&many.queries[i], rows, 0, first, &many.found[i])
        set_least(many, i)
    while first < rows.count:
        height = rows.count - first
        height = CODES_TILE if height >= CODES_TILE else 4 if height >= 4 else 1
        read_tile(rows, many, first, height, &tile)
        for block in range((many.count + TOKEN_LANES - 1) // TOKEN_LANES):
            screen_tile(height, &many.blocks[block], &tile, passed)
            for i in range(height):
                if passed[i]:
                    add_passed(many, rows, block, first + i, passed[i])
        first += height


cdef inline f64 largest_power(const Rows *rows) noexcept nogil:
    """Return a power of two near the largest factor of a row."""
    cdef:
        f32 largest = 0
        int power = 0
        Py_ssize_t i
    for i in range(rows.count):
        if fabs(rows.factors[i]) <= FLT_MAX:
            largest = max(largest, <f32>fabs(rows.factors[i]))
    frexp(largest, &power)
    return ldexp(1, power)


cdef inline void begin_many(
    const f32 *laid, const u16 *halves, Py_ssize_t width, const i8 *numbers, const f64 *measures,
    Py_ssize_t count, const Rows *rows, Many *many,
) noexcept nogil:
    cdef:
        Py_ssize_t i, block, groups = (rows.dim + 3) // 4
        Lanes *lanes
    memset(many.lanes, 0, sizeof(many.lanes))
    many.halves, many.width = halves, width
    many.count, many.row_unit = count, 1 if rows.cosine else largest_power(rows)
    for i in range(count):
        read_query(
            measures + i * MEASURES, laid + i * width, rows.dim, rows.cosine, many, i
        )
    for block in range((count + TOKEN_LANES - 1) // TOKEN_LANES):
        lanes = &many.lanes[block]
        many.blocks[block].numbers = numbers + block * groups * LINE
        many.blocks[block].groups = groups
        many.blocks[block].lanes = <int>min(<Py_ssize_t>TOKEN_LANES, count - block * TOKEN_LANES)
        many.blocks[block].bias, many.blocks[block].slopes = lanes.bias, lanes.slopes
        many.blocks[block].blurs, many.blocks[block].reach = lanes.blurs, lanes.reach
        many.blocks[block].least = lanes.least
