"""Side copies of tokens, and queries with how far their estimates may be off."""
from libc.math cimport INFINITY, NAN, isnan, sqrt
from libc.string cimport memcpy
from cgcython.kernels.inner.integers.codes cimport encode8
from cgcython.kernels.inner.integers.query cimport pack_block, peak_of
from cgcython.kernels.inner.integers.tiles cimport TOKEN_LANES, LINE, groups_of, i8
from cgcython.kernels.inner.maxsim.screen_arrays cimport ScreenQuery
from cgcython.kernels.inner.maxsim.screen_tiles cimport QueryBlock, read_block, slack_of
from cgcython.kernels.inner.types cimport f32, f64, u8

cdef enum:
    EXTRA = 5               # lines behind the numbers: sums, norms, steps, alphas, betas


cdef inline void quantise(
    const f32 *token, Py_ssize_t dim, f32 norm, u8 *codes, f32 *bounds
) noexcept nogil:
    """Write a token's side copy: codes, and as bounds the step and the radius."""
    cdef:
        f64 off, squares = 0
        Py_ssize_t k
    bounds[0] = encode8(token, dim, peak_of(token, dim), codes) * norm
    for k in range(dim):
        off = <f64>token[k] * norm - <f64>bounds[0] * <signed char>codes[k]
        squares += off * off
    bounds[1] = <f32>(sqrt(squares) * (1 + 1e-6))
    if norm == 0:       # MaxSim brings such a token into range first
        bounds[0], bounds[1] = 0, INFINITY
    elif isnan(norm):
        bounds[0], bounds[1] = 0, NAN


cdef inline void reach_of(
    const f32 *token, Py_ssize_t dim, const i8 *lane, f32 *step, f32 *alpha, f32 *beta
) noexcept nogil:
    """Find how far the estimates of a lane may be off."""
    cdef:
        f64 off, offs = 0, squares = 0, radius, length
        Py_ssize_t k
    step[0] = peak_of(token, dim) / 127
    alpha[0] = beta[0] = 0
    if step[0] == 0:
        return
    for k in range(dim):
        off = token[k] - <f64>step[0] * lane[k // 4 * LINE + k % 4]
        offs += off * off
        squares += <f64>token[k] * token[k]
    radius, length = sqrt(offs), sqrt(squares)
    # The norms that make tokens unit ones are rounded: lengths stay below 1.0001.
    alpha[0] = <f32>((radius * 1.0001 + slack_of(dim)) / step[0] * (1 + 1e-6))
    beta[0] = <f32>((radius + length) / step[0] * (1 + 1e-6))


cdef inline void screen_pack(
    const f32 *packed, Py_ssize_t blocks, Py_ssize_t dim, f32 *rows, i8 *numbers
) noexcept nogil:
    """Write MaxSim's packed query as rows and as whole numbers with their bounds."""
    cdef:
        Py_ssize_t block, lane, k, groups = groups_of(dim)
        f32[TOKEN_LANES] steps, alphas, betas
        const f32 *row
        i8 *lines
    for block in range(blocks):
        lines = numbers + block * (groups + EXTRA) * LINE
        for lane in range(TOKEN_LANES):
            for k in range(dim):
                rows[(block * TOKEN_LANES + lane) * dim + k] = (
                    packed[(block * dim + k) * TOKEN_LANES + lane]
                )
        row = rows + block * TOKEN_LANES * dim
        pack_block(row, TOKEN_LANES, dim, groups, 1, lines)
        for lane in range(TOKEN_LANES):
            reach_of(
                row + lane * dim, dim, lines + 4 * lane, &steps[lane], &alphas[lane], &betas[lane]
            )
        lines += (groups + 2) * LINE
        memcpy(lines, steps, LINE)
        memcpy(lines + LINE, alphas, LINE)
        memcpy(lines + 2 * LINE, betas, LINE)


cdef inline void block_of(const ScreenQuery *query, Py_ssize_t first, QueryBlock *q) noexcept nogil:
    cdef Py_ssize_t groups = groups_of(query.dim)
    read_block(
        query.numbers + first // TOKEN_LANES * (groups + EXTRA) * LINE, groups,
        query.rows + first * query.dim, min(<Py_ssize_t>TOKEN_LANES, query.count - first), q,
    )
