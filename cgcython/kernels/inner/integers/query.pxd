"""Query tokens as whole numbers, 32 lanes side by side."""
from libc.math cimport sqrt
from libc.string cimport memcpy, memset
from cgcython.kernels.inner.finite cimport peak_bits
from cgcython.kernels.inner.integers.codes cimport whole_numbers
from cgcython.kernels.inner.integers.tiles cimport TOKEN_LANES, LINE, i8
from cgcython.kernels.inner.types cimport f32, f64, i32, i64, u32

cdef enum:
    WIDEST = 4096           # dimensions that fit a row of scratch
    NARROW = 127
    WIDE = 32512            # its high byte is 127


cdef inline f32 peak_of(const f32 *values, Py_ssize_t n) noexcept nogil:
    cdef:
        u32 bits = peak_bits(values, n)
        f32 peak
    memcpy(&peak, &bits, sizeof(peak))
    return peak


cdef inline f32 limit_of(Py_ssize_t dim, bint wide) noexcept nogil:
    """The largest whole number of a query."""
    return <f32>min(<i64>WIDE, 0x7FFFFFFF // (128 * max(dim, <Py_ssize_t>1))) if wide else NARROW


cdef inline void pack_numbers(
    const i32 *numbers, Py_ssize_t dim, Py_ssize_t second, i8 *lane
) noexcept nogil:
    """Write one token along a lane: bytes, or high bytes and `second` bytes on low bytes."""
    cdef:
        Py_ssize_t k, at
        i32 high
    for k in range(dim):
        at = k // 4 * LINE + k % 4
        high = (numbers[k] + 128) >> 8 if second else numbers[k]
        lane[at] = <i8>high
        if second:
            lane[at + second] = <i8>(numbers[k] - 256 * high)


cdef inline void pack_token(
    const f32 *token, Py_ssize_t dim, Py_ssize_t second, i8 *lane, i32 *total, f32 *norm
) noexcept nogil:
    cdef:
        i32[WIDEST] numbers
        i64 squares = 0
        Py_ssize_t k
    whole_numbers(token, dim, peak_of(token, dim), limit_of(dim, second > 0), numbers)
    pack_numbers(numbers, dim, second, lane)
    total[0] = 0
    for k in range(dim):
        total[0] += numbers[k]
        squares += <i64>numbers[k] * numbers[k]
    norm[0] = <f32>(1 / sqrt(<f64>squares)) if squares else <f32>0


cdef inline void pack_block(
    const f32 *tokens, Py_ssize_t lanes, Py_ssize_t dim, Py_ssize_t groups, Py_ssize_t planes,
    i8 *block,
) noexcept nogil:
    """Write the planes of up to 32 tokens, then a line of sums and one of inverse norms."""
    cdef:
        i32[TOKEN_LANES] sums
        f32[TOKEN_LANES] norms
        Py_ssize_t lane, second = groups * LINE if planes > 1 else 0
    memset(block, 0, planes * groups * LINE)
    memset(sums, 0, sizeof(sums))
    memset(norms, 0, sizeof(norms))
    for lane in range(lanes):
        pack_token(tokens + lane * dim, dim, second, block + 4 * lane, &sums[lane], &norms[lane])
    block += planes * groups * LINE
    memcpy(block, sums, sizeof(sums))
    memcpy(block + LINE, norms, sizeof(norms))
