"""Greedy facility location on cosines in whole numbers: every level keeps the same tokens."""
from libc.math cimport rint, sqrt
from libc.stdint cimport int16_t, int32_t, uint16_t, uint32_t
from libc.string cimport memcpy, memset
from cgcython.kernels.inner.simd.compiler cimport first_one
from cgcython.kernels.inner.types cimport f32, f64, u8

cdef extern from "inner/tokens/tile.h" nogil:
    enum:
        TOKENS "CG_TOKENS"
        HALF "CG_LANES"
        TILE_TOKENS "CG_ROWS"
        TOGETHER "CG_TOGETHER"
    void cosines_of "cg_cosines"(
        const int32_t *rows, const int32_t *columns, Py_ssize_t pairs, uint16_t *out,
        Py_ssize_t stride,
    )
    void mirror "cg_mirror"(const uint16_t *block, uint16_t *out, Py_ssize_t stride)
    uint32_t rises "cg_words_above"(const uint16_t *row, const uint16_t *best)
    Py_ssize_t highest "cg_highest"(const uint32_t *worth, Py_ssize_t n)
    void lower "cg_lower"(
        uint32_t *worth, Py_ssize_t n, const uint16_t *cosines, const Py_ssize_t *tokens,
        const uint16_t *before, const uint16_t *after,
    )

cdef enum:
    ALIGN = 64
    UNIT = 32767            # a unit token's length in whole numbers of 16 bits
    ROUNDED = 64              # values rounded side by side, an even number
    MOST_TOKENS = 32767     # so that their cosines add up to 31 bits


cdef inline f64 dot_of(const f32 *a, const f32 *b, Py_ssize_t dim) noexcept nogil:
    """The sum of products in sixteen lanes, then halved; every product is exact in float64."""
    cdef:
        f64[16] lanes
        Py_ssize_t k = 0, i, half = 8
    memset(lanes, 0, sizeof(lanes))
    while k + 16 <= dim:
        for i in range(16):
            lanes[i] += <f64>a[k + i] * b[k + i]
        k += 16
    for i in range(dim - k):
        lanes[i] += <f64>a[k + i] * b[k + i]
    while half:
        for i in range(half):
            lanes[i] += lanes[i + half]
        half //= 2
    return lanes[0]


cdef inline f64 squares_of(const f32 *token, Py_ssize_t dim) noexcept nogil:
    return dot_of(token, token, dim)


cdef struct Cover:
    Py_ssize_t n
    Py_ssize_t dim
    Py_ssize_t pairs    # of dimensions
    Py_ssize_t stride   # n in whole blocks
    int16_t *tokens     # [stride / TOKENS, pairs, TOKENS, 2] in units of 1 / UNIT
    uint16_t *cosines   # [stride, stride], -1 to 1 as 0 to 65535
    uint16_t *best      # the best cosine of each token with a kept one
    uint32_t *worth     # what each token would add, plus 1; 0 for kept tokens and behind the last
    int32_t *gains      # of kept tokens, -1 for others


cdef struct Risen:
    Py_ssize_t count    # of tokens that a kept one covers better than those before
    Py_ssize_t[TOGETHER] tokens
    uint16_t[TOGETHER] before
    uint16_t[TOGETHER] after


cdef inline Py_ssize_t place(
    void **array, u8 *memory, Py_ssize_t at, Py_ssize_t size
) noexcept nogil:
    """Put an array at an aligned position and return where it ends."""
    at = (at + ALIGN - 1) // ALIGN * ALIGN
    array[0] = memory + at
    return at + size


cdef inline Py_ssize_t lay_out(Cover *c, Py_ssize_t n, Py_ssize_t dim, u8 *memory) noexcept nogil:
    """Place the arrays one behind the other and return the bytes they take."""
    cdef Py_ssize_t at = -(<Py_ssize_t>memory) & (ALIGN - 1)
    memory, at = memory + at, 0
    c.n, c.dim, c.pairs, c.stride = n, dim, (dim + 1) // 2, (n + TOKENS - 1) // TOKENS * TOKENS
    at = place(<void **>&c.tokens, memory, at, 2 * c.stride * c.pairs * sizeof(int16_t))
    at = place(<void **>&c.cosines, memory, at, c.stride * c.stride * sizeof(uint16_t))
    at = place(<void **>&c.best, memory, at, c.stride * sizeof(uint16_t))
    at = place(<void **>&c.worth, memory, at, c.stride * sizeof(uint32_t))
    at = place(<void **>&c.gains, memory, at, c.stride * sizeof(int32_t))
    return at + ALIGN


cdef inline void round_tokens(const f32 *values, Cover *c) noexcept nogil:
    """Write tokens at length UNIT, rounded, in the order cosines are computed in; 0 stays 0.

    Notes zero tokens by a worth of 0; all others have 1.
    """
    cdef:
        Py_ssize_t i, size = 2 * TOKENS * c.pairs
        f64 squares
    memset(c.tokens + (c.stride // TOKENS - 1) * size, 0, size * sizeof(int16_t))
    for i in range(c.n):
        squares = squares_of(values + i * c.dim, c.dim)
        c.worth[i] = squares > 0
        round_token(
            values + i * c.dim, UNIT / sqrt(squares) if squares > 0 else 0, c.dim,
            c.tokens + i // TOKENS * size + 2 * (i % TOKENS),
        )


cdef inline void round_token(
    const f32 *values, f64 scale, Py_ssize_t dim, int16_t *token
) noexcept nogil:
    """Round some values side by side, then put pairs where their block has them."""
    cdef:
        int16_t[ROUNDED] rounded
        Py_ssize_t k, width, start = 0
    while start < dim:
        width = min(<Py_ssize_t>ROUNDED, dim - start)
        for k in range(width):
            rounded[k] = <int16_t><int32_t>rint(values[start + k] * scale)
        if width % 2:
            rounded[width] = 0
        for k in range((width + 1) // 2):
            memcpy(token + (start // 2 + k) * 2 * TOKENS, rounded + 2 * k, 2 * sizeof(int16_t))
        start += ROUNDED


cdef inline void fill_cosines(Cover *c) noexcept nogil:
    """Write all cosines in units of 2**-15, shifted up by one; 0 where a zero token is."""
    cdef:
        Py_ssize_t i, j = 0
        const int32_t *tokens = <const int32_t *>c.tokens
    while j < c.stride:
        i = 0
        while i < min(c.n, j + TOKENS):
            cosines_of(
                tokens + i // TOKENS * TOKENS * c.pairs + i % TOKENS, tokens + j * c.pairs, c.pairs,
                c.cosines + i * c.stride + j, c.stride,
            )
            i += TILE_TOKENS
        i = 0
        while i < j:
            mirror(c.cosines + i * c.stride + j, c.cosines + j * c.stride + i, c.stride)
            i += TOKENS
        j += TOKENS
    for i in range(c.n):
        if c.worth[i] == 0:
            memset(c.cosines + i * c.stride, 0, c.stride * sizeof(uint16_t))
            for j in range(c.n):
                c.cosines[j * c.stride + i] = 0


cdef inline void settle(Cover *c, Risen *risen) noexcept nogil:
    """Lower what each token would add by what the kept ones now cover."""
    cdef Py_ssize_t i
    for i in range(risen.count, TOGETHER):
        risen.tokens[i], risen.before[i], risen.after[i] = 0, 0, 0
    lower(c.worth, c.stride, c.cosines, risen.tokens, risen.before, risen.after)
    risen.count = 0


cdef inline void raise_to(
    Cover *c, Risen *risen, Py_ssize_t j, uint16_t cosine
) noexcept nogil:
    """Set the best cosine of one token; what that takes from others is settled some at a time."""
    risen.tokens[risen.count] = j
    risen.before[risen.count], risen.after[risen.count] = c.best[j], cosine
    risen.count += 1
    c.best[j] = cosine
    if risen.count == TOGETHER:
        settle(c, risen)


cdef inline void begin(Cover *c) noexcept nogil:
    """Set what each token would add when none is kept: the sum of its cosines."""
    cdef:
        Py_ssize_t j
        Risen risen
    risen.count = 0
    memset(c.best, 0, c.n * sizeof(uint16_t))
    memset(c.worth, 0, c.stride * sizeof(uint32_t))
    for j in range(c.n):
        raise_to(c, &risen, j, 0xFFFF)
        c.best[j] = 0
        c.gains[j] = -1
    settle(c, &risen)
    for j in range(c.n):
        c.worth[j] = 1 - c.worth[j]
    for j in range(c.n, c.stride):
        c.worth[j], c.best[j] = 0, 0xFFFF


cdef inline void keep(Cover *c, Py_ssize_t pick) noexcept nogil:
    """Keep a token, and take from all others what it covers of what they would."""
    cdef:
        Py_ssize_t j = 0
        const uint16_t *row = c.cosines + pick * c.stride
        uint32_t better
        Risen risen
    risen.count = 0
    c.gains[pick] = <int32_t>(c.worth[pick] - 1)
    while j < c.stride:
        better = rises(row + j, c.best + j)
        while better:
            raise_to(c, &risen, j + first_one(better), row[j + first_one(better)])
            better &= better - 1
        j += HALF
    settle(c, &risen)
    c.worth[pick] = 0
    memset(c.worth + c.n, 0, (c.stride - c.n) * sizeof(uint32_t))


cdef inline void cover(const f32 *values, Cover *c, Py_ssize_t k) noexcept nogil:
    """Set the gains of the k kept tokens."""
    cdef Py_ssize_t _
    round_tokens(values, c)
    fill_cosines(c)
    begin(c)
    for _ in range(k):
        keep(c, highest(c.worth, c.stride))
