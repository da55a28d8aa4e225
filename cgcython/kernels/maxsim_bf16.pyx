"""Late interaction on bfloat16: tokens of two bytes a value, and E4M3 codes, exact in it too.

The query is rounded to bfloat16 when it is packed, each value of its unit tokens by at most
2**-8 of itself, so that a cosine is off by at most 2**-8. All else is as exact as float32 sums.
Every level with FMA returns the same bits (see inner/maxsim/bf16.h).
"""
from libc.math cimport INFINITY, NAN
from libc.stdint cimport uint16_t as u16
from cgcython.kernels.inner.maxsim.document_door cimport check_documents, check_query
from cgcython.kernels.inner.door cimport agree, check_buffers
from cgcython.kernels.inner.maxsim.pair_tiles cimport (
    LINE, Halves, half_norm, half_peak, score_halves,
)
from cgcython.kernels.inner.simd.vector cimport (
    LANES, half, load, round_bf16, store_u, vu, wide,
)
from cgcython.kernels.inner.types cimport f32, i64, u8, u32
from cgcython.kernels.inner.maxsim.unit_tokens cimport DEPTH, QUERY_LANES, lay, measure


cdef Py_ssize_t maxsim_bf16_encode(const f32 *values, Py_ssize_t n, u16 *halves) noexcept nogil:
    """Round to bfloat16, ties to even; return where the result is not finite, or -1."""
    cdef:
        u16 peak = 0
        Py_ssize_t k
    for k in range(n):
        halves[k] = half(values[k])
        peak = max(peak, <u16>(halves[k] & 0x7FFF))
    if peak < 0x7F80:
        return -1
    for k in range(n):
        if halves[k] & 0x7F80 == 0x7F80:
            return k
    return -1


cdef void maxsim_bf16_decode(const u16 *halves, Py_ssize_t n, f32 *values) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(n):
        values[k] = wide(halves[k])


cdef void pair_lines(const f32 *even, const f32 *odd, u16 *pairs) noexcept nogil:
    """Write two lines of a query's numbers as one line of pairs; without `odd`, of one."""
    cdef:
        Py_ssize_t lane = 0
        vu pair
    while lane < QUERY_LANES:
        pair = round_bf16(load(even + lane)) >> 16
        if odd:
            pair = pair | round_bf16(load(odd + lane))
        store_u(<u32 *>(pairs + 2 * lane), pair)
        lane += LANES


cdef Py_ssize_t pack_block(
    const f32 *tokens, Py_ssize_t lanes, Py_ssize_t dim, u16 *packed
) noexcept nogil:
    cdef:
        f32[QUERY_LANES] norms
        f32[QUERY_LANES] factors
        f32[DEPTH * QUERY_LANES] lines
        Py_ssize_t start = 0, depth, k, found = measure(tokens, lanes, dim, norms, factors)
    if found >= 0:
        return found
    while start < dim:
        depth = min(<Py_ssize_t>DEPTH, dim - start)
        lay(tokens + start, lanes, dim, depth, norms, factors, lines)
        for k in range(0, depth, 2):
            pair_lines(
                lines + k * QUERY_LANES,
                lines + (k + 1) * QUERY_LANES if k + 1 < depth else NULL,
                packed + (start + k) // 2 * LINE,
            )
        start += DEPTH
    return -1


cdef Py_ssize_t maxsim_bf16_pack_query(
    const f32 *tokens, Py_ssize_t count, Py_ssize_t dim, u16 *packed
) noexcept nogil:
    """Write unit tokens as [blocks, pairs, 32 lanes of two]; return as pack_query does."""
    cdef Py_ssize_t i = 0, found, block = (dim + 1) // 2 * LINE
    while i < count:
        found = pack_block(
            tokens + i * dim, min(<Py_ssize_t>QUERY_LANES, count - i), dim,
            packed + i // QUERY_LANES * block,
        )
        if found >= 0:
            return i * dim + found
        i += QUERY_LANES
    return -1


cdef void maxsim_bf16_inverse_norms(
    const u16 *tokens, Py_ssize_t count, Py_ssize_t dim, f32 *norms
) noexcept nogil:
    cdef Py_ssize_t i
    cdef f32 peak
    for i in range(count):
        norms[i] = half_norm(tokens + i * dim, dim, 1)
        if norms[i] == 0:
            peak = half_peak(tokens + i * dim, dim)
            norms[i] = 0 if 0 < peak < INFINITY else <f32>NAN


cdef f32 maxsim_bf16_score(
    const u16 *packed, Py_ssize_t num_query, const u16 *tokens, const f32 *norms,
    Py_ssize_t count, Py_ssize_t dim,
) noexcept nogil:
    cdef Halves doc
    doc.tokens, doc.codes, doc.norms, doc.count, doc.dim = tokens, NULL, norms, count, dim
    return score_halves(&doc, packed, num_query)


cdef f32 maxsim_bf16_score_codes(
    const u16 *packed, Py_ssize_t num_query, const u8 *codes, const f32 *norms,
    Py_ssize_t count, Py_ssize_t dim,
) noexcept nogil:
    cdef Halves doc
    doc.tokens, doc.codes, doc.norms, doc.count, doc.dim = NULL, codes, norms, count, dim
    return score_halves(&doc, packed, num_query)


def encode(
    const f32[::1] values,          # IN
    u16[::1] halves,                # OUT
):
    """Write the nearest bfloat16 of each value, ties to even.

    Returns the index of the first that is not finite, rounded, or -1.
    """
    cdef Py_ssize_t found = -1
    check_buffers(1, halves, values)
    agree("halves", halves.shape[0], "values", values.shape[0])
    if values.shape[0]:
        with nogil:
            found = maxsim_bf16_encode(&values[0], values.shape[0], &halves[0])
    return found


def decode(
    const u16[::1] halves,          # IN
    f32[::1] values,                # OUT
):
    """Write each bfloat16 as a float32."""
    check_buffers(1, values, halves)
    agree("values", values.shape[0], "halves", halves.shape[0])
    if values.shape[0]:
        with nogil:
            maxsim_bf16_decode(&halves[0], halves.shape[0], &values[0])


def pack_query(
    const f32[:, ::1] tokens,       # IN
    u16[:, :, ::1] packed,          # OUT
):
    """Write unit query tokens, rounded, as [blocks, (dim + 1) // 2, 64]: 32 lanes of two values.

    Returns the flat index of the first non-finite value, or -1.
    """
    cdef Py_ssize_t found = -1, count = tokens.shape[0], dim = tokens.shape[1]
    check_buffers(1, packed, tokens)
    agree("packed", packed.shape[0], "query in blocks", (count + QUERY_LANES - 1) // QUERY_LANES)
    check_query(&packed.shape[0], count, (dim + 1) // 2, LINE)
    if packed.size:
        with nogil:
            found = maxsim_bf16_pack_query(&tokens[0, 0], count, dim, &packed[0, 0, 0])
    return found


def inverse_norms(
    const u16[:, ::1] values,       # IN
    f32[::1] out,                   # OUT
):
    """Write what maxsim.inverse_norms does for the same tokens as float32, bit for bit."""
    check_buffers(1, out, values)
    agree("out", out.shape[0], "values", values.shape[0])
    if out.shape[0]:
        with nogil:
            maxsim_bf16_inverse_norms(&values[0, 0], values.shape[0], values.shape[1], &out[0])


def score(
    const u16[:, :, ::1] packed,    # IN
    Py_ssize_t num_query,
    const u16[:, ::1] values,       # IN
    const f32[::1] norms,           # IN
    const i64[::1] starts,          # IN
    const i64[::1] counts,          # IN
    f32[::1] sums,                  # OUT
):
    """Write each document's sum over query tokens of the best cosine.

    A document is `counts` rows of `values` from `starts` on; `norms` is what inverse_norms wrote.
    """
    cdef Py_ssize_t i, dim = values.shape[1]
    check_buffers(1, sums, packed, values, norms, starts, counts)
    check_query(&packed.shape[0], num_query, (dim + 1) // 2, LINE)
    check_documents(starts, counts, sums, values.shape[0], 1)
    agree("norms", norms.shape[0], "values", values.shape[0])
    with nogil:
        for i in range(starts.shape[0]):
            sums[i] = maxsim_bf16_score(
                &packed[0, 0, 0], num_query, &values[starts[i], 0], &norms[starts[i]],
                counts[i], dim,
            )


def score_codes(
    const u16[:, :, ::1] packed,    # IN
    Py_ssize_t num_query,
    const u8[:, ::1] codes,         # IN
    const f32[::1] norms,           # IN
    const i64[::1] starts,          # IN
    const i64[::1] counts,          # IN
    f32[::1] sums,                  # OUT
):
    """Write the same sums for tokens kept as E4M3 codes; norms as maxsim.inverse_norms_codes."""
    cdef Py_ssize_t i, dim = codes.shape[1]
    check_buffers(1, sums, packed, codes, norms, starts, counts)
    check_query(&packed.shape[0], num_query, (dim + 1) // 2, LINE)
    check_documents(starts, counts, sums, codes.shape[0], 1)
    agree("norms", norms.shape[0], "codes", codes.shape[0])
    with nogil:
        for i in range(starts.shape[0]):
            sums[i] = maxsim_bf16_score_codes(
                &packed[0, 0, 0], num_query, &codes[starts[i], 0], &norms[starts[i]],
                counts[i], dim,
            )
