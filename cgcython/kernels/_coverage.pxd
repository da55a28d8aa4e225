"""Greedy facility location on cosines in whole numbers: every level keeps the same tokens."""
from libc.math cimport rint, sqrt
from libc.stdint cimport int16_t, int32_t, uint16_t
from libc.string cimport memcpy, memset
from cgcython.kernels._types cimport f32, f64, u8

cdef extern from "_tokens.h" nogil:
    enum:
        BLOCK "CG_BLOCK"
        ROWS "CG_ROWS"
    void cosines_of "cg_cosines"(
        const int32_t *rows, const int32_t *columns, Py_ssize_t pairs, uint16_t *out,
        Py_ssize_t stride,
    )

cdef enum:
    ALIGN = 64
    UNIT = 32767            # a unit token's length in whole numbers of 16 bits
    CHUNK = 64              # values rounded side by side, an even number
    MOST_TOKENS = 32767     # so that their cosines add up to 31 bits


cdef inline f64 squares_of(const f32 *token, Py_ssize_t dim) noexcept nogil:
    """The sum of squares in sixteen lanes, then halved; every square is exact in float64."""
    cdef:
        f64[16] lanes
        Py_ssize_t k = 0, i, half = 8
    memset(lanes, 0, sizeof(lanes))
    while k + 16 <= dim:
        for i in range(16):
            lanes[i] += <f64>token[k + i] * token[k + i]
        k += 16
    for i in range(dim - k):
        lanes[i] += <f64>token[k + i] * token[k + i]
    while half:
        for i in range(half):
            lanes[i] += lanes[i + half]
        half //= 2
    return lanes[0]


cdef struct Cover:
    Py_ssize_t n
    Py_ssize_t dim
    Py_ssize_t pairs    # of dimensions
    Py_ssize_t stride   # n in whole blocks
    int16_t *tokens     # [stride / BLOCK, pairs, BLOCK, 2] in units of 1 / UNIT
    uint16_t *cosines   # [stride, stride], -1 to 1 as 0 to 65535
    uint16_t *best      # the best cosine of each token with a kept one
    int32_t *bounds     # what a token would have added when last asked: it can only fall
    u8 *asked           # whether that was in this round
    u8 *is_zero
    int32_t *gains      # of kept tokens, -1 for others


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
    c.n, c.dim, c.pairs, c.stride = n, dim, (dim + 1) // 2, (n + BLOCK - 1) // BLOCK * BLOCK
    at = place(<void **>&c.tokens, memory, at, 2 * c.stride * c.pairs * sizeof(int16_t))
    at = place(<void **>&c.cosines, memory, at, c.stride * c.stride * sizeof(uint16_t))
    at = place(<void **>&c.best, memory, at, c.stride * sizeof(uint16_t))
    at = place(<void **>&c.bounds, memory, at, (n + 63) // 64 * 64 * sizeof(int32_t))
    at = place(<void **>&c.gains, memory, at, c.stride * sizeof(int32_t))
    at = place(<void **>&c.asked, memory, at, c.stride)
    at = place(<void **>&c.is_zero, memory, at, c.stride)
    return at + ALIGN


cdef inline void round_tokens(const f32 *values, Cover *c) noexcept nogil:
    """Write tokens at length UNIT, rounded, in the order cosines are computed in."""
    cdef:
        Py_ssize_t i
        f64 squares
    memset(c.tokens, 0, 2 * c.stride * c.pairs * sizeof(int16_t))
    memset(c.is_zero, 1, c.stride)
    for i in range(c.n):
        squares = squares_of(values + i * c.dim, c.dim)
        c.is_zero[i] = squares == 0
        if squares > 0:
            round_token(
                values + i * c.dim, UNIT / sqrt(squares), c.dim,
                c.tokens + 2 * (i // BLOCK * BLOCK * c.pairs + i % BLOCK),
            )


cdef inline void round_token(
    const f32 *values, f64 scale, Py_ssize_t dim, int16_t *token
) noexcept nogil:
    """Round some values side by side, then put pairs where their block has them."""
    cdef:
        int16_t[CHUNK] rounded
        Py_ssize_t k, width, start = 0
    while start < dim:
        width = min(<Py_ssize_t>CHUNK, dim - start)
        for k in range(width):
            rounded[k] = <int16_t><int32_t>rint(values[start + k] * scale)
        if width % 2:
            rounded[width] = 0
        for k in range((width + 1) // 2):
            memcpy(token + (start // 2 + k) * 2 * BLOCK, rounded + 2 * k, 2 * sizeof(int16_t))
        start += CHUNK


cdef inline void fill_cosines(Cover *c) noexcept nogil:
    """Write all cosines in units of 2**-15, shifted up by one; 0 where a zero token is."""
    cdef:
        Py_ssize_t i, j = 0
        const int32_t *tokens = <const int32_t *>c.tokens
    while j < c.stride:
        i = 0
        while i < c.n:
            cosines_of(
                tokens + i // BLOCK * BLOCK * c.pairs + i % BLOCK, tokens + j * c.pairs, c.pairs,
                c.cosines + i * c.stride + j, c.stride,
            )
            i += ROWS
        j += BLOCK
    for i in range(c.n):
        if c.is_zero[i]:
            memset(c.cosines + i * c.stride, 0, c.stride * sizeof(uint16_t))
    for j in range(c.stride):
        if c.is_zero[j]:
            for i in range(c.n):
                c.cosines[i * c.stride + j] = 0


cdef inline int32_t added_by(const Cover *c, Py_ssize_t i) noexcept nogil:
    cdef:
        int32_t total = 0
        Py_ssize_t j
        const uint16_t *row = c.cosines + i * c.stride
    for j in range(c.stride):
        total += <int32_t>max(row[j], c.best[j]) - c.best[j]
    return total


cdef inline Py_ssize_t most_promising(const Cover *c) noexcept nogil:
    """The lowest position of the highest bound; kept tokens have -1."""
    cdef:
        Py_ssize_t i, start, found = 0
        int32_t highest = -1, here
        const int32_t *bounds
    for start in range(0, c.n, 64):
        here, bounds = -1, c.bounds + start
        for i in range(64):
            here = max(here, bounds[i])
        if here > highest:
            highest, found = here, start
    while c.bounds[found] != highest:
        found += 1
    return found


cdef inline Py_ssize_t next_pick(Cover *c) noexcept nogil:
    """Return the token that adds most, asking only those whose bound is still the highest."""
    cdef Py_ssize_t i = most_promising(c)
    while not c.asked[i]:
        c.bounds[i] = added_by(c, i)
        c.asked[i] = 1
        i = most_promising(c)
    return i


cdef inline void keep(Cover *c, Py_ssize_t pick) noexcept nogil:
    cdef:
        Py_ssize_t j
        const uint16_t *row = c.cosines + pick * c.stride
    for j in range(c.stride):
        c.best[j] = max(c.best[j], row[j])
    memset(c.asked, 0, c.n)
    c.gains[pick] = c.bounds[pick]
    c.bounds[pick] = -1


cdef inline void cover(const f32 *values, Cover *c, Py_ssize_t k) noexcept nogil:
    """Set the gains of the k kept tokens."""
    cdef Py_ssize_t i, _
    round_tokens(values, c)
    fill_cosines(c)
    memset(c.best, 0, c.stride * sizeof(uint16_t))
    for i in range(c.n):
        c.bounds[i], c.gains[i], c.asked[i] = 0x7FFFFFFF, -1, 0
    for i in range(c.n, (c.n + 63) // 64 * 64):
        c.bounds[i] = -1
    for _ in range(k):
        keep(c, next_pick(c))
