"""Late interaction: the sum over query tokens of the best cosine with a document's tokens.

A query is packed once as [blocks, dim, 32 lanes] of unit tokens; documents stay where they lie
and are read a tile of tokens at a time. Their inverse norms multiply the dots afterwards. A token
without direction has NaN there, which a maximum passes over.
"""
cimport numpy as np
from cgcython.kernels.inner.maxsim.alignments cimport align_block
from cgcython.kernels.inner.maxsim.document_door cimport check_documents, check_query
from cgcython.kernels.inner.door cimport agree, check_buffers, plain_matrix
from cgcython.kernels.inner.maxsim.lists cimport list_matrix
from cgcython.kernels.inner.maxsim.tiles cimport (
    PAIR_TOKENS, Document, code_norm, score_document, score_pair,
)
from cgcython.kernels.inner.types cimport f32, i64, u8
from cgcython.kernels.inner.maxsim.unit_tokens cimport (
    DEPTH, QUERY_LANES, inverse_lengths, pack_lanes,
)

np.import_array()


cdef bint maxsim_inverse_norms(
    const f32 *tokens, Py_ssize_t count, Py_ssize_t dim, f32 *norms
) noexcept nogil:
    """Write 1 / length of each token, and return whether all are in the plain range."""
    return inverse_lengths(tokens, count, dim, norms)


cdef Py_ssize_t maxsim_pack_query(
    const f32 *tokens, Py_ssize_t count, Py_ssize_t dim, f32 *packed
) noexcept nogil:
    """Write unit tokens as [blocks, dim, 32 lanes]; return where a value is not finite, or -1."""
    cdef Py_ssize_t i = 0, found
    while i < count:
        found = pack_lanes(
            tokens + i * dim, min(<Py_ssize_t>QUERY_LANES, count - i), dim, packed + i * dim
        )
        if found >= 0:
            return i * dim + found
        i += QUERY_LANES
    return -1


cdef void maxsim_inverse_norms_codes(
    const u8 *codes, Py_ssize_t count, Py_ssize_t dim, f32 *norms
) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(count):
        norms[i] = code_norm(codes + i * dim, dim)


cdef f32 maxsim_score(
    const f32 *packed, Py_ssize_t num_query, const f32 *tokens, const f32 *norms,
    Py_ssize_t count, Py_ssize_t dim,
) noexcept nogil:
    cdef Document doc
    doc.tokens, doc.codes, doc.norms, doc.count, doc.dim = tokens, NULL, norms, count, dim
    return score_document(&doc, packed, num_query)


cdef f32 maxsim_score_codes(
    const f32 *packed, Py_ssize_t num_query, const u8 *codes, Py_ssize_t count, Py_ssize_t dim
) noexcept nogil:
    cdef Document doc
    doc.tokens, doc.codes, doc.norms, doc.count, doc.dim = NULL, codes, NULL, count, dim
    return score_document(&doc, packed, num_query)


def pack_query(
    const f32[:, ::1] tokens,       # IN
    f32[:, :, ::1] packed,          # OUT
):
    """Write unit query tokens as [blocks, dim, 32], zeros where there is none.

    Returns the flat index of the first non-finite value, or -1.
    """
    cdef Py_ssize_t found = -1, count = tokens.shape[0], dim = tokens.shape[1]
    check_buffers(1, packed, tokens)
    agree("packed", packed.shape[0], "query in blocks", (count + QUERY_LANES - 1) // QUERY_LANES)
    check_query(&packed.shape[0], count, dim, QUERY_LANES)
    if packed.size:
        with nogil:
            found = maxsim_pack_query(&tokens[0, 0], count, dim, &packed[0, 0, 0])
    return found


def inverse_norms(
    const f32[:, ::1] values,       # IN
    f32[::1] out,                   # OUT
):
    """Write 1 / length of each token: NaN for one without direction, 0 where that overflows."""
    check_buffers(1, out, values)
    agree("out", out.shape[0], "values", values.shape[0])
    if out.shape[0]:
        with nogil:
            maxsim_inverse_norms(&values[0, 0], values.shape[0], values.shape[1], &out[0])


def inverse_norms_codes(
    const u8[:, ::1] codes,         # IN
    f32[::1] out,                   # OUT
):
    """Write 1 / length of each token of E4M3 codes: NaN for zero tokens and those with a NaN."""
    check_buffers(1, out, codes)
    agree("out", out.shape[0], "codes", codes.shape[0])
    if out.shape[0]:
        with nogil:
            maxsim_inverse_norms_codes(&codes[0, 0], codes.shape[0], codes.shape[1], &out[0])


def score(
    const f32[:, :, ::1] packed,    # IN
    Py_ssize_t num_query,
    const f32[:, ::1] values,       # IN
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
    check_query(&packed.shape[0], num_query, dim, QUERY_LANES)
    check_documents(starts, counts, sums, values.shape[0], 1)
    agree("norms", norms.shape[0], "values", values.shape[0])
    with nogil:
        for i in range(starts.shape[0]):
            sums[i] = maxsim_score(
                &packed[0, 0, 0], num_query, &values[starts[i], 0], &norms[starts[i]],
                counts[i], dim,
            )


def score_codes(
    const f32[:, :, ::1] packed,    # IN
    Py_ssize_t num_query,
    const u8[::1] data,             # IN
    const i64[::1] starts,          # IN
    const i64[::1] counts,          # IN
    f32[::1] sums,                  # OUT
):
    """Write the same sums for tokens kept as E4M3 codes; `starts` are positions of bytes."""
    cdef Py_ssize_t i, dim = packed.shape[1]
    check_buffers(1, sums, packed, data, starts, counts)
    check_query(&packed.shape[0], num_query, dim, QUERY_LANES)
    check_documents(starts, counts, sums, data.shape[0], dim)
    with nogil:
        for i in range(starts.shape[0]):
            sums[i] = maxsim_score_codes(
                &packed[0, 0, 0], num_query, &data[starts[i]], counts[i], dim
            )


def align(
    const f32[:, :, ::1] packed,    # IN
    Py_ssize_t num_query,
    const f32[:, ::1] values,       # IN
    const f32[::1] norms,           # IN
    i64[::1] best,                  # OUT
    f32[::1] cosines,               # OUT
):
    """Write the best row for each query token (lowest on ties) and its cosine, or -1 and 0."""
    cdef:
        Py_ssize_t i, lanes, dim = values.shape[1]
        Document doc
    check_buffers(2, best, cosines, packed, values, norms)
    check_query(&packed.shape[0], num_query, dim, QUERY_LANES)
    agree("best", best.shape[0], "query", num_query)
    agree("cosines", cosines.shape[0], "query", num_query)
    agree("norms", norms.shape[0], "values", values.shape[0])
    if num_query == 0:
        return
    with nogil:
        doc.tokens, doc.codes, doc.norms = &values[0, 0], NULL, &norms[0]
        doc.count, doc.dim = values.shape[0], dim
        for i in range(packed.shape[0]):
            lanes = min(<Py_ssize_t>QUERY_LANES, num_query - i * QUERY_LANES)
            if lanes > 0:
                align_block(
                    &doc, &packed[i, 0, 0], lanes, &best[i * QUERY_LANES], &cosines[i * QUERY_LANES]
                )


def matrix_of(values):
    """Return the float32 matrix of a list of lists of numbers, or of a list of float32 vectors.

    Returns None where a closer look is needed: at other types, rows of several lengths, nothing.
    """
    return list_matrix(values)


def pair(query, document):
    """Return the sum over query tokens of the best cosine of two matrices of 128 dimensions.

    Lists are read as `matrix_of` reads them. Returns None where a closer look is needed: other
    types, shapes or magnitudes.
    """
    cdef:
        Py_ssize_t num_query, count, dim, other
        object rows = query, others = document
        const f32 *wanted = plain_matrix(rows, &num_query, &dim)
        const f32 *tokens = plain_matrix(others, &count, &other)
        f32 total = 0
        bint done
    if wanted == NULL:
        rows = list_matrix(query)
        wanted = plain_matrix(rows, &num_query, &dim)
    if wanted == NULL or dim != DEPTH:
        return None
    if tokens == NULL:
        others = list_matrix(document)
        tokens = plain_matrix(others, &count, &other)
    if tokens == NULL or other != dim or count > PAIR_TOKENS:
        return None
    with nogil:
        done = score_pair(wanted, num_query, tokens, count, &total)
    return total if done else None
