"""Which tokens matter: scores, selection of the best, and coverage of all by some.

Coverage is decided in whole numbers, so that every level keeps the same tokens.
"""
from libc.float cimport FLT_MAX
from libc.math cimport frexpf, ldexpf, logf, sqrt
from libc.stdint cimport int32_t
from libc.string cimport memcpy, memset
from cgcython.kernels._coverage cimport MOST_TOKENS, Cover, cover, lay_out, squares_of
from cgcython.kernels._door cimport agree
from cgcython.kernels._types cimport f32, f64, i64, u8, u32
from cgcython.kernels._vector cimport (
    LANES, bits, floats, load, load16, max_u, mul_add16, set16, set_all_u, store, store_u, sum16,
    v16, vf, vu,
)

cdef extern from "_tokens.h" nogil:
    vf from_int "cg_from_int"(vu v)

cdef enum:
    CHUNK = 128


cdef f32 tokens_magnitude(const f32 *token, Py_ssize_t dim) noexcept nogil:
    return <f32>min(sqrt(squares_of(token, dim)), <f64>FLT_MAX)


cdef f32 tokens_max_abs(const f32 *token, Py_ssize_t dim) noexcept nogil:
    cdef:
        vu most = set_all_u(0)
        u32[16] lanes
        f32[16] last
        f32 peak
        u32 highest = 0
        Py_ssize_t k = 0, i
    while k + LANES <= dim:
        most = max_u(most, bits(load(token + k)) & <u32>0x7FFFFFFF)
        k += LANES
    if k < dim:
        memset(last, 0, sizeof(last))
        memcpy(last, token + k, (dim - k) * sizeof(f32))
        most = max_u(most, bits(load(last)) & <u32>0x7FFFFFFF)
    store_u(lanes, most)
    for i in range(LANES):
        highest = max(highest, lanes[i])
    memcpy(&peak, &highest, sizeof(peak))
    return peak


cdef inline vf ln(vf x) noexcept nogil:
    """The natural logarithm of normal numbers, within a unit in the last place; finite at 0."""
    cdef:
        # x is m * 2**e with m between 2/3 and 4/3.
        vu power = (bits(x) - set_all_u(0x3F2AAAAB)) & <u32>0xFF800000U
        vf e = from_int(power) * <f32>1.1920929e-07
        vf f = floats(bits(x) - power) - <f32>1
        vf s = f * f
        vf even = s * <f32>-0.130310059 + <f32>-0.121483512
        vf odd = s * <f32>0.140869141 + <f32>0.139814854
    even = even * s + <f32>-0.166846126
    odd = odd * s + <f32>0.200120345
    even = even * s + <f32>-0.249996200
    even = odd * f + even
    even = even * f + <f32>0.333331972
    even = even * f + <f32>-0.5
    return e * <f32>0.693147182 + (even * s + f)


cdef void add_sizes(
    const f32 *values, Py_ssize_t n, f32 factor, v16 *sums, v16 *weighted
) noexcept nogil:
    """Add |x| and |x| ln |x| of up to CHUNK values times a factor to sixteen lanes each."""
    cdef:
        f32[CHUNK] sizes
        f32[CHUNK] logs
        Py_ssize_t k = 0, end = (n + 15) // 16 * 16
        vf size
    memset(sizes, 0, end * sizeof(f32))
    memcpy(sizes, values, n * sizeof(f32))
    while k < end:
        size = floats(bits(load(sizes + k) * factor) & <u32>0x7FFFFFFF)
        store(sizes + k, size)
        store(logs + k, ln(size))
        k += LANES
    for k in range(end // 16):
        sums[0] = mul_add16(load16(sizes + 16 * k), set16(1), sums[0])
        weighted[0] = mul_add16(load16(sizes + 16 * k), load16(logs + 16 * k), weighted[0])


cdef f32 factor_of(f32 peak) noexcept nogil:
    """The power of two that brings a peak between 1 and 2, as far as floats reach."""
    cdef int exponent
    frexpf(peak, &exponent)
    return ldexpf(1, min(126, 1 - exponent))


cdef f32 tokens_entropy(const f32 *token, Py_ssize_t dim) noexcept nogil:
    """-sum p ln p of p = |x| / S is ln S - (sum |x| ln |x|) / S: one pass."""
    cdef:
        f32 peak = tokens_max_abs(token, dim), factor, total
        v16 sums = set16(0), weighted = set16(0)
        Py_ssize_t k = 0
    if peak == 0:
        return 0
    factor = factor_of(peak)
    while k < dim:
        add_sizes(token + k, min(<Py_ssize_t>CHUNK, dim - k), factor, &sums, &weighted)
        k += CHUNK
    total = sum16(sums)
    return max(logf(total) - sum16(weighted) / total, <f32>0)


cdef inline int32_t key_of(f32 score) noexcept nogil:
    """A whole number in the order of the scores; adding 0 makes -0.0 equal to 0.0."""
    cdef int32_t key
    score = score + 0
    memcpy(&key, &score, sizeof(key))
    return key ^ ((key >> 31) & 0x7FFFFFFF)


cdef Py_ssize_t count_from(const f32 *scores, Py_ssize_t n, int32_t key) noexcept nogil:
    """How many scores have this key or a higher one."""
    cdef:
        Py_ssize_t i
        int32_t count = 0
    for i in range(n):
        count += key_of(scores[i]) >= key
    return count


cdef int32_t key_of_kth(const f32 *scores, Py_ssize_t n, Py_ssize_t k) noexcept nogil:
    """The highest key that at least k scores reach, by bisection."""
    cdef:
        Py_ssize_t i, count
        i64 low = key_of(scores[0]), high = low, middle
    for i in range(n):
        low = min(low, <i64>key_of(scores[i]))
        high = max(high, <i64>key_of(scores[i]))
    high += 1
    while high - low > 1:
        middle = (low + high) >> 1
        count = count_from(scores, n, <int32_t>middle)
        if count == k:
            return <int32_t>middle
        if count > k:
            low = middle
        else:
            high = middle
    return <int32_t>low


cdef void tokens_select_top(
    const f32 *scores, Py_ssize_t n, u32 *kept, Py_ssize_t k
) noexcept nogil:
    """Write the ascending positions of the k best scores; ties keep the lower position."""
    cdef:
        Py_ssize_t i, place = 0, ties
        int32_t key, last
        bint tie
    if k == 0:
        return
    last = key_of_kth(scores, n, k)
    ties = k - (count_from(scores, n, last + 1) if last < 0x7FFFFFFF else 0)
    for i in range(n):
        if place == k:
            return
        kept[place] = <u32>i
        key = key_of(scores[i])
        tie = key == last and ties > 0
        ties -= tie
        place += tie or key > last


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


def coverage_scratch(Py_ssize_t tokens, Py_ssize_t dim):
    """Return how many bytes `coverage` needs as scratch."""
    cdef Cover c
    return lay_out(&c, tokens, dim, NULL)


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
        Py_ssize_t i, at = 0, k = kept.shape[0], n = values.shape[0], dim = values.shape[1]
    agree("gains", gains.shape[0], "kept", k)
    if k > n:
        raise ValueError(f"kept holds {k}, values holds {n} rows")
    if n > MOST_TOKENS:
        raise ValueError(f"values holds {n} rows, coverage takes {MOST_TOKENS}")
    if scratch.shape[0] < lay_out(&c, n, dim, NULL):
        raise ValueError(f"scratch holds {scratch.shape[0]} bytes, see coverage_scratch")
    if k == 0:
        return
    with nogil:
        lay_out(&c, n, dim, &scratch[0])
        cover(&values[0, 0], &c, k)
        for i in range(n):
            if c.gains[i] >= 0:
                kept[at], gains[at] = <u32>i, <f32>c.gains[i] * <f32>(1.0 / 32768)
                at += 1
