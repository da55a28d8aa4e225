"""Late interaction on tokens of 8, 4, 2 or 1 bit a value, scored where they lie.

int8 codes are signed bytes; 4 and 2 bits are odd levels 2c - 15 and 2c - 3, the first value in the
lowest bits; signs are the first value in the highest bit, as kernels.bits packs them. A cosine does
not depend on a token's scale, so only decoding asks for it.

The query becomes whole numbers once: `packed` is int8 [blocks, lines, 128]. Lines of four
dimensions x 32 lanes hold signed bytes (one plane), or high and then low bytes of 16-bit numbers
(two planes: a float query); the last two lines hold each lane's sum and inverse length. Dots are
exact and the few float steps behind them are the same everywhere: all levels return the same bits.

Error: let e be |q - q~| / |q|, where q~ is the query token that was packed. A cosine differs from
the float query's by at most e / sqrt(1 - e**2 / 2), since the sine of the angle between q and q~ is
at most e. Rounding gives e <= sqrt(dim) * peak / (2 * limit * |q|), limit 127 for one plane and
32512 for two (less beyond 516 dimensions: dots stay below 2**31); float32 steps add 1e-6.
"""
from libc.math cimport NAN, sqrt
cimport numpy as np
from cgcython.kernels.inner.maxsim.document_door cimport check_documents
from cgcython.kernels.inner.door cimport agree, check_buffers
from cgcython.kernels.inner.finite cimport first_nonfinite
from cgcython.kernels.inner.integers.codes cimport (
    FINE, decode_token, encode8, encode_levels, squares_of, whole_numbers,
)
from cgcython.kernels.inner.integers.query cimport WIDEST, pack_block, peak_of
from cgcython.kernels.inner.integers.tiles cimport (
    TOKEN_LANES, LINE, Codes, Query, align_products, groups_of, i8, read_query, sum_products,
)
from cgcython.kernels.inner.types cimport f32, f64, i32, i64, u8

np.import_array()


cdef Py_ssize_t integers_pack_query(
    const f32 *tokens, Py_ssize_t count, Py_ssize_t dim, Py_ssize_t lines, i8 *packed
) noexcept nogil:
    """Write whole numbers as `packed`; return where a value is not finite, or -1."""
    cdef Py_ssize_t i = 0, groups = groups_of(dim), found = first_nonfinite(tokens, count * dim)
    while i < count and found < 0:
        pack_block(
            tokens + i * dim, min(<Py_ssize_t>TOKEN_LANES, count - i), dim, groups,
            2 if lines > groups + 2 else 1, packed + i // TOKEN_LANES * lines * LINE,
        )
        i += TOKEN_LANES
    return found


cdef f32 integers_score(
    const i8 *packed, Py_ssize_t lines, Py_ssize_t groups, Py_ssize_t num_query, const u8 *codes,
    int bits, const f32 *norms, Py_ssize_t count, Py_ssize_t width,
) noexcept nogil:
    """Return a document's sum over query tokens of the best cosine."""
    cdef:
        Codes doc
        Query query
        f64 total = 0
        Py_ssize_t done = 0
    doc.codes, doc.norms, doc.count, doc.width, doc.bits = codes, norms, count, width, bits
    while done < num_query:
        read_query(
            packed + done // TOKEN_LANES * lines * LINE, lines, groups,
            min(<Py_ssize_t>TOKEN_LANES, num_query - done), &query,
        )
        total += sum_products(&doc, &query)
        done += TOKEN_LANES
    return <f32>total


cdef Py_ssize_t integers_encode(
    const f32 *values, Py_ssize_t count, Py_ssize_t dim, int bits, u8 *codes, f32 *scales
) noexcept nogil:
    """Write codes and scales; return where a value is not finite, or -1."""
    cdef:
        i32[WIDEST] numbers
        f32 peak
        Py_ssize_t i, found, width = (dim * bits + 7) // 8
    for i in range(count):
        found = first_nonfinite(values + i * dim, dim)
        if found >= 0:
            return i * dim + found
        peak = peak_of(values + i * dim, dim)
        if bits == 8:
            scales[i] = encode8(values + i * dim, dim, peak, codes + i * width)
        else:
            whole_numbers(values + i * dim, dim, peak, FINE, numbers)
            scales[i] = encode_levels(numbers, dim, peak, bits, codes + i * width)
    return -1


cdef int check_bits(int bits, Py_ssize_t dim) except -1:
    if bits not in (8, 4, 2, 1):
        raise ValueError(f"bits is {bits}, expected 8, 4, 2 or 1")
    if not 0 <= dim <= WIDEST:
        raise ValueError(f"a token holds {dim}, expected up to {WIDEST}")
    return 0


cdef int check_rows(
    const u8[:, ::1] codes, int bits, Py_ssize_t dim, Py_ssize_t count, Py_ssize_t others
) except -1:
    check_bits(bits, dim)
    agree("codes", codes.shape[0], "values", count)
    agree("scales", others, "values", count)
    agree("a row of codes", codes.shape[1], "a token", (dim * bits + 7) // 8)
    return 0


cdef Py_ssize_t check_query(
    const i8[:, :, ::1] packed, Py_ssize_t num_query, Py_ssize_t width, int bits
) except -1:
    """Return the lines of a plane."""
    cdef Py_ssize_t groups = 2 * ((width + bits - 1) // bits)
    agree("a line of packed", packed.shape[2], "the lanes", LINE)
    if packed.shape[1] not in (groups + 2, 2 * groups + 2):
        raise ValueError(
            f"a block of packed holds {packed.shape[1]} lines, tokens ask for {groups + 2}"
        )
    if not 0 <= num_query <= packed.shape[0] * TOKEN_LANES:
        held = packed.shape[0] * TOKEN_LANES
        raise ValueError(f"query has {num_query} tokens, packed holds {held}")
    return groups


def lines(Py_ssize_t dim, Py_ssize_t planes):
    """Return the lines of a packed block for one plane, or for the two of a float query."""
    if planes not in (1, 2):
        raise ValueError(f"planes is {planes}, expected 1 or 2")
    check_bits(8, dim)
    return planes * groups_of(dim) + 2


def pack_query(
    const f32[:, ::1] tokens,       # IN
    i8[:, :, ::1] packed,           # OUT
):
    """Write query tokens as whole numbers; the lines of `packed` decide on one plane or two.

    Returns the flat index of the first non-finite value, or -1.
    """
    cdef Py_ssize_t count = tokens.shape[0], dim = tokens.shape[1], found = -1
    check_buffers(1, packed, tokens)
    check_bits(8, dim)
    agree("packed", packed.shape[0], "query in blocks", (count + TOKEN_LANES - 1) // TOKEN_LANES)
    check_query(packed, count, dim, 8)
    if packed.shape[0]:
        with nogil:
            found = integers_pack_query(
                &tokens[0, 0], count, dim, packed.shape[1], &packed[0, 0, 0]
            )
    return found


def encode_rows(
    const f32[:, ::1] values,       # IN
    int bits,
    u8[:, ::1] codes,               # OUT
    f32[::1] scales,                # OUT
):
    """Write each token's codes of 8, 4 or 2 bits and the scale that decodes them.

    Returns the flat index of the first non-finite value, or -1.
    """
    cdef Py_ssize_t found = -1, count = values.shape[0], dim = values.shape[1]
    check_buffers(2, codes, scales, values)
    check_rows(codes, bits, dim, count, scales.shape[0])
    if bits == 1:
        raise ValueError("signs are packed by kernels.bits")
    if count and dim:
        with nogil:
            found = integers_encode(&values[0, 0], count, dim, bits, &codes[0, 0], &scales[0])
    return found


def decode_rows(
    const u8[:, ::1] codes,         # IN
    int bits,
    const f32[::1] scales,          # IN
    f32[:, ::1] values,             # OUT
):
    """Write each code's whole number times its token's scale."""
    cdef Py_ssize_t i, dim = values.shape[1]
    check_buffers(1, values, codes, scales)
    check_rows(codes, bits, dim, values.shape[0], scales.shape[0])
    with nogil:
        for i in range(values.shape[0]):
            decode_token(&codes[i, 0], codes.shape[1], dim, bits, scales[i], &values[i, 0])


def inverse_norms(
    const u8[:, ::1] codes,         # IN
    int bits,
    Py_ssize_t dim,
    const f32[::1] scales,          # IN, or None
    f32[::1] out,                   # OUT
):
    """Write 1 / length of each token's whole numbers; NaN where these, or the scale, are zero."""
    cdef:
        Py_ssize_t i
        i64 squares
        bint scaled = scales is not None
    if scaled:
        check_buffers(1, out, codes, scales)
    else:
        check_buffers(1, out, codes)
    check_rows(codes, bits, dim, out.shape[0], scales.shape[0] if scaled else out.shape[0])
    with nogil:
        for i in range(out.shape[0]):
            squares = squares_of(&codes[i, 0], codes.shape[1], dim, bits)
            if squares == 0 or (scaled and scales[i] == 0):
                out[i] = <f32>NAN
            else:
                out[i] = <f32>(1 / sqrt(<f64>squares))


def score(
    const i8[:, :, ::1] packed,     # IN
    Py_ssize_t num_query,
    const u8[:, ::1] codes,         # IN
    int bits,
    const f32[::1] norms,           # IN
    const i64[::1] starts,          # IN
    const i64[::1] counts,          # IN
    f32[::1] sums,                  # OUT
):
    """Write each document's sum over query tokens of the best cosine.

    A document is `counts` rows of `codes` from `starts` on; `norms` is what inverse_norms wrote.
    """
    cdef Py_ssize_t i, groups, width = codes.shape[1]
    check_buffers(1, sums, packed, codes, norms, starts, counts)
    check_bits(bits, 0)
    groups = check_query(packed, num_query, width, bits)
    check_documents(starts, counts, sums, codes.shape[0], 1)
    agree("norms", norms.shape[0], "codes", codes.shape[0])
    with nogil:
        for i in range(starts.shape[0]):
            sums[i] = integers_score(
                &packed[0, 0, 0], packed.shape[1], groups, num_query, &codes[starts[i], 0], bits,
                &norms[starts[i]], counts[i], width,
            )


def align(
    const i8[:, :, ::1] packed,     # IN
    Py_ssize_t num_query,
    const u8[:, ::1] codes,         # IN
    int bits,
    const f32[::1] norms,           # IN
    i64[::1] best,                  # OUT
    f32[::1] cosines,               # OUT
):
    """Write the best row for each query token (lowest on ties) and its cosine, or -1 and 0."""
    cdef:
        Py_ssize_t i = 0, lanes, groups
        Codes doc
        Query query
    check_buffers(2, best, cosines, packed, codes, norms)
    check_bits(bits, 0)
    groups = check_query(packed, num_query, codes.shape[1], bits)
    agree("best", best.shape[0], "query", num_query)
    agree("cosines", cosines.shape[0], "query", num_query)
    agree("norms", norms.shape[0], "codes", codes.shape[0])
    with nogil:
        doc.codes, doc.norms, doc.bits = &codes[0, 0], &norms[0], bits
        doc.count, doc.width = codes.shape[0], codes.shape[1]
        while i < num_query:
            lanes = min(<Py_ssize_t>TOKEN_LANES, num_query - i)
            read_query(&packed[i // TOKEN_LANES, 0, 0], packed.shape[1], groups, lanes, &query)
            align_products(&doc, &query, &best[i], &cosines[i])
            i += TOKEN_LANES
