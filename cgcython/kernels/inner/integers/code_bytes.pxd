"""Documents of E4M3 tokens as bytes, some tokens at a time, for the tiles of small integers."""
from libc.math cimport INFINITY, NAN, sqrt
from cgcython.kernels.inner.integers.tiles cimport (
    TOKEN_LANES, LINE, Codes, Query, best_products, i8, read_query,
)
from cgcython.kernels.inner.types cimport f32, f64, i64, u8

cdef extern from "inner/integers/code_bytes.h" nogil:
    enum:
        PAYS "CG_CODE_BYTES_PAY"
    void bytes_of_codes "cg_bytes_of_codes"(const u8 *codes, Py_ssize_t n, u8 *bytes)
    u8 byte_of_code "cg_byte_of_code"(u8 code)

cdef enum:
    CODE_ROOM = 12288        # bytes of tokens at a time: they stay in the first cache


cdef inline i64 units_of(u8 code) noexcept nogil:
    """The value of a code in units of 2**-9, the least that is not 0."""
    cdef i64 size = code & 0x7F
    if size >= 8:
        size = (8 + size % 8) << (size // 8 - 1)
    return -size if code & 0x80 else size


cdef inline void measure_token(
    const u8 *codes, Py_ssize_t dim, f32 *norm, f32 *distance
) noexcept nogil:
    """Write one over the length of a token's bytes, and how far its direction is from theirs."""
    cdef:
        i64 value, byte, squares = 0, byte_squares = 0, products = 0
        bint finite = True
        Py_ssize_t k
        f64 cosine
    for k in range(dim):
        value, byte = units_of(codes[k]), <i8>byte_of_code(codes[k])
        finite &= codes[k] & 0x7F != 0x7F
        squares += value * value
        byte_squares += byte * byte
        products += value * byte
    if squares == 0 or not finite:
        norm[0], distance[0] = <f32>NAN, 0
    elif byte_squares == 0:     # estimates of 0 are off by 1 at most
        norm[0], distance[0] = 0, 1
    else:
        cosine = <f64>products / (sqrt(<f64>squares) * sqrt(<f64>byte_squares))
        norm[0] = <f32>(1 / sqrt(<f64>byte_squares))
        distance[0] = <f32>(sqrt(2 * max(0.0, 1 - cosine)) * (1 + 1e-6))


cdef inline void best_of_codes(
    const u8 *codes, const f32 *norms, Py_ssize_t count, Py_ssize_t dim, const Query *q, f32 *best
) noexcept nogil:
    """Write the best dot x norm of each lane; -inf without a match."""
    cdef:
        u8[CODE_ROOM] bytes
        f32[TOKEN_LANES] some
        Codes part
        Py_ssize_t done = 0, lane, most = CODE_ROOM // max(dim, 1)
    for lane in range(TOKEN_LANES):
        best[lane] = -INFINITY
    part.codes, part.width, part.bits = bytes, dim, 8
    while done < count:
        part.norms, part.count = norms + done, min(most, count - done)
        bytes_of_codes(codes + done * dim, part.count * dim, bytes)
        best_products(&part, q, some)
        for lane in range(TOKEN_LANES):
            best[lane] = max(best[lane], some[lane])
        done += part.count


cdef inline f32 score_of_codes(
    const i8 *packed, Py_ssize_t lines, Py_ssize_t num_query, const u8 *codes, const f32 *norms,
    Py_ssize_t count, Py_ssize_t dim,
) noexcept nogil:
    """Return a document's sum over query tokens of the best cosine."""
    cdef:
        Query query
        f32[TOKEN_LANES] best
        f64 total = 0
        Py_ssize_t done = 0, lane
    while done < num_query:
        read_query(
            packed + done // TOKEN_LANES * lines * LINE, lines, lines - 2,
            min(<Py_ssize_t>TOKEN_LANES, num_query - done), &query,
        )
        best_of_codes(codes, norms, count, dim, &query, best)
        for lane in range(query.lanes):
            if best[lane] > -INFINITY:
                total += <f64>best[lane] * query.norms[lane]
        done += TOKEN_LANES
    return <f32>total
