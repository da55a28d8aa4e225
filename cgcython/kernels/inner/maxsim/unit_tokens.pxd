"""Token lengths at any finite magnitude, and queries packed as unit tokens."""
from libc.math cimport NAN, fabs, frexp, isfinite, isnan, ldexp, sqrtf
from libc.string cimport memset
from cgcython.kernels.inner.types cimport f32
from cgcython.kernels.inner.simd.vector cimport (
    f4, load4, load16, load16_part, mul_add16, set16, store4, sum16, transpose4, v16,
)

cdef extern from "inner/maxsim/tile.h" nogil:
    enum:
        DEPTH "CG_DEPTH"
        QUERY_LANES "CG_QUERY_LANES"
    # Squared lengths between these keep every product clear of overflow and of lost bits.
    const f32 SMALLEST "CG_SMALLEST"
    const f32 LARGEST "CG_LARGEST"


cdef inline v16 add_squares(const f32 *values, Py_ssize_t n, v16 squares) noexcept nogil:
    cdef:
        Py_ssize_t k = 0
        v16 part
    while k + 16 <= n:
        part = load16(values + k)
        squares = mul_add16(part, part, squares)
        k += 16
    if k < n:
        part = load16_part(values + k, n - k)
        squares = mul_add16(part, part, squares)
    return squares


cdef inline void invert(f32 *squares, Py_ssize_t n) noexcept nogil:
    """Turn squared lengths into 1 / length, or 0 where that needs a factor first."""
    cdef:
        Py_ssize_t i
        f32 inverse
    for i in range(n):
        inverse = 1 / sqrtf(squares[i])
        squares[i] = inverse if squares[i] >= SMALLEST and squares[i] <= LARGEST else <f32>0


cdef inline bint inverse_lengths(
    const f32 *tokens, Py_ssize_t count, Py_ssize_t dim, f32 *norms
) noexcept nogil:
    """Write 1 / length of each token, and return whether all are in the plain range."""
    cdef:
        Py_ssize_t i
        bint plain = True
    for i in range(count):
        norms[i] = sum16(add_squares(tokens + i * dim, dim, set16(0)))
    invert(norms, count)
    for i in range(count):
        if norms[i] == 0:
            plain = False
            norms[i] = 0 if peak_of(tokens + i * dim, dim) > 0 else <f32>NAN
    return plain


cdef inline f32 peak_of(const f32 *token, Py_ssize_t dim) noexcept nogil:
    """The largest magnitude; NaN when a value is not finite."""
    cdef:
        f32 peak = 0
        Py_ssize_t k
    for k in range(dim):
        if not isfinite(token[k]):
            return NAN
        peak = max(peak, <f32>fabs(token[k]))
    return peak


cdef inline f32 factor_of(const f32 *token, Py_ssize_t dim) noexcept nogil:
    return power_for(peak_of(token, dim))


cdef inline f32 power_for(f32 peak) noexcept nogil:
    """The power of two that brings a token's peak between 1 and 2 (2**-126 to 2**126)."""
    cdef int exponent
    frexp(peak, &exponent)
    return <f32>ldexp(1, min(126, max(-126, 1 - exponent)))


cdef inline f32 scaled_norm(
    const f32 *token, Py_ssize_t dim, f32 factor, f32 *block
) noexcept nogil:
    """1 / length of a token times a factor; block is scratch of DEPTH values."""
    cdef:
        Py_ssize_t start = 0, k, depth
        v16 squares = set16(0)
        f32 norm
    while start < dim:
        depth = min(<Py_ssize_t>DEPTH, dim - start)
        for k in range(depth):
            block[k] = token[start + k] * factor
        squares = add_squares(block, depth, squares)
        start += DEPTH
    norm = sum16(squares)
    invert(&norm, 1)
    return norm


cdef inline Py_ssize_t first_nonfinite(const f32 *values, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        if not isfinite(values[i]):
            return i
    return -1


cdef inline Py_ssize_t measure(
    const f32 *tokens, Py_ssize_t count, Py_ssize_t dim, f32 *norms, f32 *factors
) noexcept nogil:
    """Write what each token is multiplied with, norm after factor, to be of length 1 (or 0).

    Returns where a value is not finite, or -1.
    """
    cdef:
        f32[DEPTH] block
        Py_ssize_t i
    for i in range(count):
        factors[i] = 1
    if inverse_lengths(tokens, count, dim, norms):
        return -1
    for i in range(count):
        if isnan(norms[i]):
            norms[i] = 0
        elif norms[i] == 0:
            factors[i] = factor_of(tokens + i * dim, dim)
            norms[i] = scaled_norm(tokens + i * dim, dim, factors[i], block)
    return first_nonfinite(tokens, count * dim)


cdef inline void write_columns(
    const f32 *rows, Py_ssize_t dim, Py_ssize_t n, const f32 *factors, f32 *columns
) noexcept nogil:
    """Write n values of four rows, each times its factor, as columns QUERY_LANES apart."""
    cdef:
        f4 a, b, c, d
        Py_ssize_t i, k = 0
    while k + 4 <= n:
        a = load4(rows + k) * factors[0]
        b = load4(rows + dim + k) * factors[1]
        c = load4(rows + 2 * dim + k) * factors[2]
        d = load4(rows + 3 * dim + k) * factors[3]
        transpose4(&a, &b, &c, &d)
        store4(columns + k * QUERY_LANES, a)
        store4(columns + (k + 1) * QUERY_LANES, b)
        store4(columns + (k + 2) * QUERY_LANES, c)
        store4(columns + (k + 3) * QUERY_LANES, d)
        k += 4
    for k in range(n // 4 * 4, n):
        for i in range(4):
            columns[k * QUERY_LANES + i] = rows[i * dim + k] * factors[i]


cdef inline void lay(
    const f32 *tokens, Py_ssize_t lanes, Py_ssize_t dim, Py_ssize_t n, const f32 *norms,
    const f32 *factors, f32 *packed,
) noexcept nogil:
    """Write n values of up to 32 tokens side by side, each times its factor and its norm."""
    cdef Py_ssize_t i, k
    if lanes < QUERY_LANES:
        memset(packed, 0, n * QUERY_LANES * sizeof(f32))
    for i in range(0, lanes - 3, 4):
        write_columns(tokens + i * dim, dim, n, norms + i, packed + i)
    for i in range(lanes):
        if i >= lanes // 4 * 4 or factors[i] != 1:
            for k in range(n):
                packed[k * QUERY_LANES + i] = tokens[i * dim + k] * factors[i] * norms[i]


cdef inline Py_ssize_t pack_lanes(
    const f32 *tokens, Py_ssize_t lanes, Py_ssize_t dim, f32 *packed
) noexcept nogil:
    """Write up to 32 unit tokens side by side; return where a value is not finite, or -1."""
    cdef:
        f32[QUERY_LANES] norms
        f32[QUERY_LANES] factors
        Py_ssize_t found = measure(tokens, lanes, dim, norms, factors)
    if found < 0:
        lay(tokens, lanes, dim, dim, norms, factors, packed)
    return found
