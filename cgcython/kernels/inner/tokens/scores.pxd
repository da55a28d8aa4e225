"""What makes a token important: its length, its largest magnitude, the entropy of its values."""
from libc.float cimport FLT_MAX
from libc.math cimport sqrt, sqrtf
from libc.string cimport memcpy, memset
from cgcython.kernels.inner.tokens.coverage cimport squares_of
from cgcython.kernels.inner.types cimport f32, f64, u32
from cgcython.kernels.inner.simd.vector cimport (
    LANES, bits, load, load16, load16_part, max_f, max_u, set16, set_all, set_all_u, store, sum16,
    top_u, v16, vf, vu,
)

cdef extern from "inner/tokens/scores.h" nogil:
    f32 LEAST_SQUARES "CG_LEAST_SQUARES", LEAST_SUM "CG_LEAST_SUM", MOST_SUM "CG_MOST_SUM"
    vf log2 "cg_log2"(vf x)
    v16 add_squares16 "cg_add_squares16"(v16 x, v16 sums)
    void add_sizes16 "cg_add_sizes16"(v16 x, f32 factor, v16 *sums, v16 *weighted)

cdef enum:
    SOME = 64  # tokens whose logarithms are taken together, a multiple of LANES


cdef inline f32 magnitude_of(const f32 *token, Py_ssize_t dim) noexcept nogil:
    """Return the length of a token, at most the largest float; extreme ones by float64."""
    cdef:
        v16 sums = set16(0)
        Py_ssize_t k = 0
        f32 total
    while k + 16 <= dim:
        sums = add_squares16(load16(token + k), sums)
        k += 16
    if k < dim:
        sums = add_squares16(load16_part(token + k, dim - k), sums)
    total = sum16(sums)
    if LEAST_SQUARES <= total <= FLT_MAX:
        return sqrtf(total)
    return <f32>min(sqrt(squares_of(token, dim)), <f64>FLT_MAX)


cdef inline u32 largest_bits(const f32 *token, Py_ssize_t dim) noexcept nogil:
    """Return the bits of the largest magnitude within a token."""
    cdef:
        vu most = set_all_u(0)
        f32[16] last
        Py_ssize_t k = 0
    while k + LANES <= dim:
        most = max_u(most, bits(load(token + k)) & <u32>0x7FFFFFFF)
        k += LANES
    if k < dim:
        memset(last, 0, sizeof(last))
        memcpy(last, token + k, (dim - k) * sizeof(f32))
        most = max_u(most, bits(load(last)) & <u32>0x7FFFFFFF)
    return top_u(most)


cdef inline f32 float_of(u32 bits_of_float) noexcept nogil:
    cdef f32 value
    memcpy(&value, &bits_of_float, sizeof(value))
    return value


cdef inline f32 max_abs_of(const f32 *token, Py_ssize_t dim) noexcept nogil:
    return float_of(largest_bits(token, dim))


cdef inline void add_up(
    const f32 *token, Py_ssize_t dim, f32 factor, f32 *total, f32 *weighted
) noexcept nogil:
    """Write the sums of |x| and of |x| log2 |x| of the values times a factor."""
    cdef:
        v16 sums = set16(0), logs = set16(0)
        Py_ssize_t k = 0
    while k + 16 <= dim:
        add_sizes16(load16(token + k), factor, &sums, &logs)
        k += 16
    if k < dim:
        add_sizes16(load16_part(token + k, dim - k), factor, &sums, &logs)
    total[0], weighted[0] = sum16(sums), sum16(logs)


cdef inline void add_up_scaled(
    const f32 *token, Py_ssize_t dim, f32 *total, f32 *weighted
) noexcept nogil:
    """Write the sums by the power of two that brings the peak near 1."""
    cdef int power = 254 - <int>(largest_bits(token, dim) >> 23)
    add_up(token, dim, float_of(<u32>max(1, power) << 23), total, weighted)
    if total[0] == 0:
        total[0] = 1


cdef inline void entropies_of(
    const f32 *tokens, Py_ssize_t n, Py_ssize_t dim, f32 *out
) noexcept nogil:
    """Write -sum p ln p of p = |x| / S, which is ln S - (sum |x| ln |x|) / S, of up to SOME."""
    cdef:
        f32[SOME] totals
        f32[SOME] weighted
        f32[SOME] found
        Py_ssize_t i
        vf total
    for i in range(n):
        add_up(tokens + i * dim, dim, 1, &totals[i], &weighted[i])
        if not LEAST_SUM <= totals[i] <= MOST_SUM:
            add_up_scaled(tokens + i * dim, dim, &totals[i], &weighted[i])
    for i in range(n, (n + LANES - 1) // LANES * LANES):
        totals[i] = weighted[i] = 1
    i = 0
    while i < n:
        total = load(totals + i)
        total = log2(total) - load(weighted + i) / total
        store(found + i, max_f(total * <f32>0.693147182, set_all(0)))
        i += LANES
    memcpy(out, found, n * sizeof(f32))
