"""Which tokens matter: scores, selection of the best, and coverage of all by some.

Coverage is decided in whole numbers, so that every level keeps the same tokens.
"""
from libc.float cimport FLT_MAX
from libc.math cimport fabs, log, rint, sqrt
from libc.stdint cimport int16_t, int32_t, uint16_t
from libc.string cimport memcpy, memset
from cgcython.kernels._door cimport agree
from cgcython.kernels._types cimport f32, f64, i64, u8, u32

cdef enum:
    ALIGN = 64
    UNIT = 32767    # a unit token's length in whole numbers of 16 bits


cdef f64 squares_of(const f32 *token, Py_ssize_t dim) noexcept nogil:
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


cdef f32 tokens_magnitude(const f32 *token, Py_ssize_t dim) noexcept nogil:
    return <f32>min(sqrt(squares_of(token, dim)), <f64>FLT_MAX)


cdef f32 tokens_max_abs(const f32 *token, Py_ssize_t dim) noexcept nogil:
    cdef:
        f32 peak = 0
        Py_ssize_t k
    for k in range(dim):
        peak = max(peak, <f32>fabs(token[k]))
    return peak


cdef f32 tokens_entropy(const f32 *token, Py_ssize_t dim) noexcept nogil:
    """-sum p ln p of p = |x| / S is ln S - (sum |x| ln |x|) / S: one pass."""
    cdef:
        f64 total = 0, weighted = 0, size
        Py_ssize_t k
    for k in range(dim):
        size = fabs(<f64>token[k])
        if size > 0:
            total += size
            weighted += size * log(size)
    return <f32>max(log(total) - weighted / total, <f64>0) if total > 0 else <f32>0


cdef void tokens_select_top(
    const f32 *scores, Py_ssize_t n, u32 *kept, Py_ssize_t k
) noexcept nogil:
    """Write the ascending positions of the k best scores; ties keep the lower position."""
    cdef:
        Py_ssize_t i, held = 0, lowest
        i64 j
    for i in range(n):
        if held < k:
            kept[held] = <u32>i
            held += 1
            continue
        lowest = 0
        for j in range(k):
            if scores[kept[j]] <= scores[kept[lowest]]:
                lowest = j
        if k and scores[i] > scores[kept[lowest]]:
            for j in range(lowest, k - 1):
                kept[j] = kept[j + 1]
            kept[k - 1] = <u32>i


def magnitude(
    const f32[:, ::1] values,   # IN
    f32[::1] out,               # OUT
):
    """Write the length of each token, at most the largest float."""
    cdef Py_ssize_t i
    agree("out", out.shape[0], "values", values.shape[0])
    with nogil:
        for i in range(out.shape[0]):
            out[i] = tokens_magnitude(&values[i, 0], values.shape[1])


def max_abs(
    const f32[:, ::1] values,   # IN
    f32[::1] out,               # OUT
):
    """Write the largest magnitude within each token."""
    cdef Py_ssize_t i
    agree("out", out.shape[0], "values", values.shape[0])
    with nogil:
        for i in range(out.shape[0]):
            out[i] = tokens_max_abs(&values[i, 0], values.shape[1])


def entropy(
    const f32[:, ::1] values,   # IN
    f32[::1] out,               # OUT
):
    """Write -sum p ln p of p = |x| / sum|x| for each token; 0 for a zero token."""
    cdef Py_ssize_t i
    agree("out", out.shape[0], "values", values.shape[0])
    with nogil:
        for i in range(out.shape[0]):
            out[i] = tokens_entropy(&values[i, 0], values.shape[1])


def select_top(
    const f32[::1] scores,      # IN
    u32[::1] kept,              # OUT
):
    """Write the ascending positions of the best scores; ties keep the lower position."""
    if kept.shape[0] > scores.shape[0]:
        raise ValueError(f"kept holds {kept.shape[0]}, scores holds {scores.shape[0]}")
    if kept.shape[0]:
        with nogil:
            tokens_select_top(&scores[0], scores.shape[0], &kept[0], kept.shape[0])


def gather(
    const f32[:, ::1] values,   # IN
    const u32[::1] kept,        # IN
    f32[:, ::1] out,            # OUT
):
    """Write the kept rows one after another."""
    cdef Py_ssize_t i, size = values.shape[1] * sizeof(f32)
    agree("out", out.shape[0], "kept", kept.shape[0])
    agree("a row of out", out.shape[1], "a row of values", values.shape[1])
    for i in range(kept.shape[0]):
        if kept[i] >= values.shape[0]:
            raise ValueError(f"kept names row {kept[i]} of {values.shape[0]}")
    with nogil:
        for i in range(kept.shape[0]):
            memcpy(&out[i, 0], &values[kept[i], 0], size)


cdef struct Cover:
    Py_ssize_t n
    Py_ssize_t dim
    int16_t *tokens     # [n, dim] in units of 1 / UNIT
    uint16_t *cosines   # [n, n], -1 to 1 as 0 to 65535
    uint16_t *best      # the best cosine of each token with a kept one
    i64 *bounds         # what a token would have added when last asked: it can only fall
    u8 *states          # 0 asked in an earlier round, 1 in this one, 2 kept


cdef Py_ssize_t rounded(Py_ssize_t size) noexcept nogil:
    return (size + ALIGN - 1) // ALIGN * ALIGN


cdef Py_ssize_t lay_out(Cover *c, u8 *memory) noexcept nogil:
    """Place the arrays one behind the other and return the bytes they take."""
    cdef Py_ssize_t at = 0
    c.tokens = <int16_t *>(memory + at)
    at += rounded(c.n * c.dim * sizeof(int16_t))
    c.cosines = <uint16_t *>(memory + at)
    at += rounded(c.n * c.n * sizeof(uint16_t))
    c.best = <uint16_t *>(memory + at)
    at += rounded(c.n * sizeof(uint16_t))
    c.bounds = <i64 *>(memory + at)
    at += rounded(c.n * sizeof(i64))
    c.states = memory + at
    return at + rounded(c.n)


def coverage_scratch(Py_ssize_t tokens, Py_ssize_t dim):
    """Return how many bytes `coverage` needs as scratch."""
    cdef Cover c
    c.n, c.dim = tokens, dim
    return lay_out(&c, NULL) + ALIGN


cdef void round_tokens(const f32 *values, Cover *c) noexcept nogil:
    cdef:
        Py_ssize_t i, k
        f64 squares, scale
    for i in range(c.n):
        squares = squares_of(values + i * c.dim, c.dim)
        scale = UNIT / sqrt(squares) if squares > 0 else 0
        for k in range(c.dim):
            c.tokens[i * c.dim + k] = <int16_t>rint(values[i * c.dim + k] * scale)


cdef int32_t dot(const int16_t *a, const int16_t *b, Py_ssize_t dim) noexcept nogil:
    cdef:
        int32_t total = 0
        Py_ssize_t k
    for k in range(dim):
        total += <int32_t>a[k] * b[k]
    return total


cdef void fill_cosines(Cover *c) noexcept nogil:
    """Write all cosines in units of 2**-15, shifted up by one; 0 where a zero token is."""
    cdef:
        Py_ssize_t i, j
        int32_t cosine
        bint zero
    for i in range(c.n):
        zero = dot(c.tokens + i * c.dim, c.tokens + i * c.dim, c.dim) == 0
        for j in range(i + 1):
            cosine = (dot(c.tokens + i * c.dim, c.tokens + j * c.dim, c.dim) >> 15) + 32768
            cosine = 0 if zero else min(max(cosine, <int32_t>0), <int32_t>65535)
            if c.cosines[j * c.n + j] == 0 and i != j:
                cosine = 0
            c.cosines[i * c.n + j] = c.cosines[j * c.n + i] = <uint16_t>cosine


cdef i64 added_by(const Cover *c, Py_ssize_t i) noexcept nogil:
    cdef:
        i64 total = 0
        Py_ssize_t j
        const uint16_t *row = c.cosines + i * c.n
    for j in range(c.n):
        total += row[j] - c.best[j] if row[j] > c.best[j] else 0
    return total


cdef Py_ssize_t most_promising(const Cover *c) noexcept nogil:
    cdef Py_ssize_t i, found = -1
    for i in range(c.n):
        if c.states[i] != 2 and (found < 0 or c.bounds[i] > c.bounds[found]):
            found = i
    return found


cdef Py_ssize_t next_pick(Cover *c) noexcept nogil:
    """Return the token that adds most, asking only those whose bound is still the highest."""
    cdef Py_ssize_t i = most_promising(c)
    while c.states[i] != 1:
        c.bounds[i] = added_by(c, i)
        c.states[i] = 1
        i = most_promising(c)
    return i


cdef void keep(Cover *c, Py_ssize_t pick) noexcept nogil:
    cdef:
        Py_ssize_t j
        const uint16_t *row = c.cosines + pick * c.n
    for j in range(c.n):
        c.best[j] = max(c.best[j], row[j])
        c.states[j] = 2 if c.states[j] == 2 else 0
    c.states[pick] = 2


def coverage(
    const f32[:, ::1] values,   # IN
    u32[::1] kept,              # OUT
    f32[::1] gains,             # OUT
    u8[::1] scratch,
):
    """Write the tokens that best cover all others, ascending, and what each one added.

    Greedy facility location: each pick adds most to the sum over tokens of the best cosine with
    a kept one, ties to the lower position.
    """
    cdef:
        Cover c
        Py_ssize_t i, place = 0, k = kept.shape[0]
        u8 *memory
    c.n, c.dim = values.shape[0], values.shape[1]
    agree("gains", gains.shape[0], "kept", k)
    if k > c.n:
        raise ValueError(f"kept holds {k}, values holds {c.n} rows")
    if scratch.shape[0] < lay_out(&c, NULL) + ALIGN:
        raise ValueError(f"scratch holds {scratch.shape[0]} bytes, see coverage_scratch")
    if k == 0:
        return
    with nogil:
        memory = <u8 *>rounded(<Py_ssize_t>&scratch[0])
        lay_out(&c, memory)
        memset(c.best, 0, c.n * sizeof(uint16_t))
        memset(c.states, 0, c.n)
        for i in range(c.n):
            c.bounds[i] = <i64>1 << 62
        round_tokens(&values[0, 0], &c)
        fill_cosines(&c)
        for i in range(k):
            keep(&c, next_pick(&c))
        for i in range(c.n):
            if c.states[i] == 2:
                kept[place], gains[place] = <u32>i, <f32>c.bounds[i] * <f32>(1.0 / 32768)
                place += 1
