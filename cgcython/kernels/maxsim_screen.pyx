"""Late interaction with the results of `maxsim`, bit for bit, from a few of its dots.

A side copy holds each token d, times its inverse norm, as d~ = step * int8 codes and the radius
r = |d - d~|, rounded up: dim + 8 bytes a token. The query's unit tokens q are rounded likewise to
q~. By Cauchy-Schwarz

    |q.d - q~.d~| = |(q - q~).d~ + q.(d - d~)| <= |q - q~| (|d| + r) + |q| r,

and MaxSim's own float32 value is within (dim + 2) 2**-24 |q| |d| of q.d. So every cosine is known
up to alpha + beta * r (alpha and beta of the query token) from an exact dot of whole numbers. A
token that cannot reach the highest certain cosine is not the best. The others get a dot in float32
in any order, and those within rounding of the highest of these get MaxSim's own: sums in the order
of the dimensions. The best of them is MaxSim's, ties at the lowest index included.

When too many tokens remain, MaxSim takes the document, and soon the next ones without a screen; on
the levels v3 and v4, where whole numbers are no faster, it takes all that are scored.
"""
from libc.string cimport memset
from cgcython.kernels.inner.maxsim.document_door cimport check_documents
from cgcython.kernels.inner.door cimport agree, check_buffers
from cgcython.kernels.inner.integers.query cimport WIDEST
from cgcython.kernels.inner.integers.tiles cimport TOKEN_LANES, LINE, groups_of, i8
from cgcython.kernels.inner.maxsim.screen_query cimport EXTRA, block_of, quantise, screen_pack
from cgcython.kernels.inner.maxsim.screen_score cimport (
    Work, aim, bounds_of, screen_align, screen_end, screen_score,
)
from cgcython.kernels.inner.maxsim.screen_tiles cimport PAYS, Screen, Screened
from cgcython.kernels.inner.types cimport f32, i64, u8

cdef Py_ssize_t maxsim_screen_lines(Py_ssize_t dim) noexcept nogil:
    return groups_of(dim) + EXTRA


cdef void maxsim_screen_encode(
    const f32 *values, const f32 *norms, Py_ssize_t count, Py_ssize_t dim, u8 *codes, f32 *bounds
) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(count):
        quantise(values + i * dim, dim, norms[i], codes + i * dim, bounds + 2 * i)


cdef void maxsim_screen_pack_query(
    const f32 *packed, Py_ssize_t blocks, Py_ssize_t dim, f32 *rows, i8 *numbers
) noexcept nogil:
    screen_pack(packed, blocks, dim, rows, numbers)


cdef Py_ssize_t maxsim_screen_score(
    const ScreenQuery *query, const ScreenTokens *tokens, const i64 *starts, const i64 *counts,
    Py_ssize_t documents, f32 *sums
) noexcept nogil:
    cdef:
        Screened doc
        Screen[2] pair
        Work work
        Py_ssize_t i
    memset(&work, 0, sizeof(work))
    if query.count == 0:
        memset(sums, 0, documents * sizeof(f32))
        return 0
    block_of(query, 0, &pair[0].query)
    block_of(query, 0, &pair[1].query)
    for i in range(documents):
        aim(&doc, tokens, starts[i], counts[i], query.dim)
        screen_score(query, &doc, pair, &work, sums + i)
    screen_end(&pair[1 - work.turn], &work)
    return work.finished


cdef void maxsim_screen_bound(
    const ScreenQuery *query, const ScreenTokens *tokens, const i64 *starts, const i64 *counts,
    Py_ssize_t documents, f32 *lower, f32 *upper
) noexcept nogil:
    cdef:
        Screened doc
        Py_ssize_t i
    for i in range(documents):
        aim(&doc, tokens, starts[i], counts[i], query.dim)
        bounds_of(query, &doc, lower + i, upper + i)


cdef void maxsim_screen_align(
    const ScreenQuery *query, const ScreenTokens *tokens, Py_ssize_t count, i64 *best, f32 *cosines
) noexcept nogil:
    cdef Screened doc
    cdef Py_ssize_t i = 0
    aim(&doc, tokens, 0, count, query.dim)
    while i < query.count:
        screen_align(query, &doc, i, best + i, cosines + i)
        i += TOKEN_LANES


cdef int require_width(Py_ssize_t dim) except -1:
    if not 0 <= dim <= WIDEST:
        raise ValueError(f"a token holds {dim}, expected up to {WIDEST}")
    return 0


cdef int aim_query(
    const f32[:, :, ::1] packed, const f32[:, ::1] rows, const i8[:, :, ::1] numbers,
    Py_ssize_t num_query, ScreenQuery *query,
) except -1:
    cdef Py_ssize_t dim = packed.shape[1]
    require_width(dim)
    agree("a line of packed", packed.shape[2], "the lanes", TOKEN_LANES)
    agree("rows", rows.shape[0], "packed", packed.shape[0] * TOKEN_LANES)
    agree("a row", rows.shape[1], "a block of packed", dim)
    agree("numbers", numbers.shape[0], "packed", packed.shape[0])
    agree("a block of numbers", numbers.shape[1], "its lines", lines(dim))
    agree("a line of numbers", numbers.shape[2], "four dimensions of all lanes", LINE)
    if not 0 <= num_query <= packed.shape[0] * TOKEN_LANES:
        held = packed.shape[0] * TOKEN_LANES
        raise ValueError(f"query has {num_query} tokens, packed holds {held}")
    query.packed, query.rows, query.numbers = &packed[0, 0, 0], &rows[0, 0], &numbers[0, 0, 0]
    query.count, query.dim = num_query, dim
    return 0


cdef int aim_tokens(
    const f32[:, ::1] values, const f32[::1] norms, const u8[:, ::1] codes,
    const f32[:, ::1] bounds, Py_ssize_t dim, ScreenTokens *tokens,
) except -1:
    agree("a row of values", values.shape[1], "a query token", dim)
    agree("norms", norms.shape[0], "values", values.shape[0])
    agree("codes", codes.shape[0], "values", values.shape[0])
    agree("a row of codes", codes.shape[1], "a row of values", values.shape[1])
    agree("bounds", bounds.shape[0], "values", values.shape[0])
    agree("a row of bounds", bounds.shape[1], "step and radius", 2)
    tokens.values, tokens.norms = &values[0, 0], &norms[0]
    tokens.codes, tokens.bounds = &codes[0, 0], &bounds[0, 0]
    return 0


def pays():
    """Return whether whole numbers are faster than float32 at this level."""
    return bool(PAYS)


def lines(Py_ssize_t dim):
    """Return the lines of a block of `numbers`."""
    require_width(dim)
    return maxsim_screen_lines(dim)


def encode_rows(
    const f32[:, ::1] values,       # IN
    const f32[::1] norms,           # IN
    u8[:, ::1] codes,               # OUT
    f32[:, ::1] bounds,             # OUT
):
    """Write the side copy of tokens: int8 codes, and each one's step and radius.

    `norms` is what maxsim.inverse_norms wrote.
    """
    cdef ScreenTokens tokens
    cdef Py_ssize_t dim = values.shape[1]
    check_buffers(2, codes, bounds, values, norms)
    aim_tokens(values, norms, codes, bounds, dim, &tokens)
    with nogil:
        maxsim_screen_encode(
            tokens.values, tokens.norms, values.shape[0], dim, &codes[0, 0], &bounds[0, 0]
        )


def pack_query(
    const f32[:, :, ::1] packed,    # IN
    f32[:, ::1] rows,               # OUT
    i8[:, :, ::1] numbers,          # OUT
):
    """Write what maxsim.pack_query packed as rows, and as whole numbers with their bounds."""
    cdef ScreenQuery query
    check_buffers(2, rows, numbers, packed)
    aim_query(packed, rows, numbers, 0, &query)
    with nogil:
        maxsim_screen_pack_query(
            query.packed, packed.shape[0], query.dim, &rows[0, 0], &numbers[0, 0, 0]
        )


def score(
    const f32[:, :, ::1] packed,    # IN
    const f32[:, ::1] rows,         # IN
    const i8[:, :, ::1] numbers,    # IN
    Py_ssize_t num_query,
    const f32[:, ::1] values,       # IN
    const f32[::1] norms,           # IN
    const u8[:, ::1] codes,         # IN
    const f32[:, ::1] bounds,       # IN
    const i64[::1] starts,          # IN
    const i64[::1] counts,          # IN
    f32[::1] sums,                  # OUT
):
    """Write what maxsim.score writes, and return how many dots were computed in float32."""
    cdef:
        ScreenQuery query
        ScreenTokens tokens
        Py_ssize_t finished
    check_buffers(1, sums, packed, rows, numbers, values, norms, codes, bounds, starts, counts)
    aim_query(packed, rows, numbers, num_query, &query)
    aim_tokens(values, norms, codes, bounds, query.dim, &tokens)
    check_documents(starts, counts, sums, values.shape[0], 1)
    with nogil:
        finished = maxsim_screen_score(
            &query, &tokens, &starts[0], &counts[0], starts.shape[0], &sums[0]
        )
    return finished


def bound(
    const f32[:, :, ::1] packed,    # IN
    const f32[:, ::1] rows,         # IN
    const i8[:, :, ::1] numbers,    # IN
    Py_ssize_t num_query,
    const f32[:, ::1] values,       # IN
    const f32[::1] norms,           # IN
    const u8[:, ::1] codes,         # IN
    const f32[:, ::1] bounds,       # IN
    const i64[::1] starts,          # IN
    const i64[::1] counts,          # IN
    f32[::1] lower,                 # OUT
    f32[::1] upper,                 # OUT
):
    """Write between which two numbers each document's score lies; only codes are read for that.

    A document whose upper one is below the k-th highest lower one is not among the k best.
    """
    cdef:
        ScreenQuery query
        ScreenTokens tokens
    check_buffers(
        2, lower, upper, packed, rows, numbers, values, norms, codes, bounds, starts, counts
    )
    aim_query(packed, rows, numbers, num_query, &query)
    aim_tokens(values, norms, codes, bounds, query.dim, &tokens)
    check_documents(starts, counts, lower, values.shape[0], 1)
    agree("upper", upper.shape[0], "lower", lower.shape[0])
    with nogil:
        maxsim_screen_bound(
            &query, &tokens, &starts[0], &counts[0], starts.shape[0], &lower[0], &upper[0]
        )


def align(
    const f32[:, :, ::1] packed,    # IN
    const f32[:, ::1] rows,         # IN
    const i8[:, :, ::1] numbers,    # IN
    Py_ssize_t num_query,
    const f32[:, ::1] values,       # IN
    const f32[::1] norms,           # IN
    const u8[:, ::1] codes,         # IN
    const f32[:, ::1] bounds,       # IN
    i64[::1] best,                  # OUT
    f32[::1] cosines,               # OUT
):
    """Write what maxsim.align writes."""
    cdef:
        ScreenQuery query
        ScreenTokens tokens
    check_buffers(2, best, cosines, packed, rows, numbers, values, norms, codes, bounds)
    aim_query(packed, rows, numbers, num_query, &query)
    aim_tokens(values, norms, codes, bounds, query.dim, &tokens)
    agree("best", best.shape[0], "query", num_query)
    agree("cosines", cosines.shape[0], "query", num_query)
    with nogil:
        maxsim_screen_align(&query, &tokens, values.shape[0], &best[0], &cosines[0])
