"""Sparse vectors: three byte layouts and dot products of rows.

The layouts are defined bit by bit in `reference/sparse.py`: canonical pairs, and the compact
Elias-Fano strings whose length follows from nnz and dimension.
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.math cimport sqrt
from libc.stdint cimport uint64_t as u64
from libc.string cimport memcpy, memset
cimport numpy as np
from cgcython.kernels._types cimport f32, i64, u8, u32
from cgcython.kernels._vector cimport LANES

np.import_array()

cdef extern from "Python.h":
    const Py_ssize_t PY_SSIZE_T_MAX

cdef extern from "_sparse.h" nogil:
    ctypedef u32 v8 "cg_v8"
    u32 read32 "cg_read32"(const u8 *p)
    u64 read64 "cg_read64"(const u8 *p)
    void write32 "cg_write32"(u8 *p, u32 v)
    void write64 "cg_write64"(u8 *p, u64 v)
    v8 load8 "cg_load8"(const u32 *p)
    void store8 "cg_store8"(u32 *p, v8 v)
    v8 load8_bytes "cg_load8_bytes"(const u8 *p)
    v8 count8 "cg_count8"(u32 first)
    v8 shifts8 "cg_shifts8"(u32 width)
    v8 unpack8 "cg_unpack8"(u64 fields, v8 shifts, u32 width)
    u64 pack8 "cg_pack8"(v8 values, v8 shifts, u32 width)
    u64 pack_bits "cg_pack_bits"(const u8 *p)
    void round_halves "cg_round_halves"(const f32 *p, u8 *to)
    void widen_halves "cg_widen_halves"(const u8 *p, f32 *to)
    ctypedef float f4 "cg_f4"
    f4 load4 "cg_load4"(const f32 *p)
    void store4 "cg_store4"(f32 *p, f4 v)
    f4 gather4 "cg_gather4"(const f32 *query, const u32 *indices)
    bint any_above16 "cg_any_above16"(const u32 *indices, u32 last)
    void prefetch "__builtin_prefetch"(const void *p)
    int leading_zeros "__builtin_clzll"(u64 v)
    int trailing_zeros "__builtin_ctzll"(u64 v)
    int popcount "__builtin_popcountll"(u64 v)

cdef enum:
    CANONICAL_LAYOUT = 0
    F16_LAYOUT = 1
    F32_LAYOUT = 2

cdef enum:
    OK = 0
    LENGTH = 1
    COUNT = 2
    PADDING = 3
    INDEX = 4
    WEIGHT = 5

# The places of ones in each byte, so that a byte of a bitmap becomes indices in one step.
cdef u8[256][8] PLACES
cdef enum:
    BLOCK = 4096  # bits of a bitmap that are made at once
    ROWS = 64     # rows that meet a part of a query together
    PART = 4096   # values in such a part: 16 KB
    AHEAD = 64    # non-zeros


def _fill_places():
    cdef int byte, bit, rank
    for byte in range(256):
        rank = 0
        for bit in range(8):
            if byte >> bit & 1:
                PLACES[byte][rank] = bit
                rank += 1


_fill_places()
CANONICAL, COMPACT_F16, COMPACT_F32 = CANONICAL_LAYOUT, F16_LAYOUT, F32_LAYOUT
SOUND, BAD_LENGTH, BAD_COUNT = OK, LENGTH, COUNT
BAD_PADDING, BAD_INDEX, BAD_WEIGHT = PADDING, INDEX, WEIGHT


cdef inline u32 low_bits_of(u64 nnz, u64 dimension) noexcept nogil:
    return 63 - leading_zeros(dimension // nnz)


cdef inline Py_ssize_t low_bytes_of(Py_ssize_t nnz, u32 low_bits) noexcept nogil:
    return (nnz * low_bits + 7) >> 3


cdef inline Py_ssize_t high_bits_of(
    Py_ssize_t nnz, Py_ssize_t dimension, u32 low_bits
) noexcept nogil:
    return nnz + ((dimension - 1) >> low_bits) + 1


cdef Py_ssize_t sparse_size(Py_ssize_t nnz, Py_ssize_t dimension, int layout) noexcept nogil:
    cdef u32 low_bits
    if layout == CANONICAL_LAYOUT:
        return 4 + 8 * nnz
    if nnz == 0:
        return 0
    low_bits = low_bits_of(nnz, dimension)
    return (
        low_bytes_of(nnz, low_bits) + ((high_bits_of(nnz, dimension, low_bits) + 7) >> 3)
        + nnz * (2 if layout == F16_LAYOUT else 4)
    )


cdef inline u32 bits_of(const f32 *weight) noexcept nogil:
    return read32(<const u8 *>weight)


# Checking --------------------------------------------------------------------------------------

cdef int check_indices(const u32 *indices, Py_ssize_t nnz, Py_ssize_t dimension) noexcept nogil:
    cdef Py_ssize_t i
    cdef int wrong = 0
    for i in range(1, nnz):
        wrong |= indices[i] <= indices[i - 1]
    if wrong or (nnz and indices[nnz - 1] >= dimension):
        return INDEX
    return OK


cdef int check_weights(const f32 *weights, Py_ssize_t nnz) noexcept nogil:
    cdef Py_ssize_t i
    cdef int wrong = 0
    for i in range(nnz):
        wrong |= (bits_of(&weights[i]) & 0x7FFFFFFF) >= 0x7F800000
    return WEIGHT if wrong else OK


cdef bint fit_half(const f32 *weights, Py_ssize_t nnz) noexcept nogil:
    cdef Py_ssize_t i
    cdef u32 size, misfit = 0
    for i in range(nnz):
        size = bits_of(&weights[i]) & 0x7FFFFFFF
        # From 2**-14 up to, not including, 65520, which would round to infinity.
        misfit |= (size - <u32>0x38800000 >= <u32>(0x477FF000 - 0x38800000)) & (size != 0)
    return not misfit


cdef int sparse_check(
    const u32 *indices, const f32 *weights, Py_ssize_t nnz, Py_ssize_t dimension, int layout
) noexcept nogil:
    cdef int status = check_indices(indices, nnz, dimension)
    if status == OK:
        status = check_weights(weights, nnz)
    if status == OK and layout == F16_LAYOUT and not fit_half(weights, nnz):
        status = WEIGHT
    return status


# Writing: arguments are checked before ---------------------------------------------------------

cdef void write_pairs(
    const u32 *indices, const f32 *weights, Py_ssize_t nnz, u8 *data
) noexcept nogil:
    cdef Py_ssize_t i
    write32(data, <u32>nnz)
    for i in range(nnz):
        write32(data + 4 + 8 * i, indices[i])
        write32(data + 8 + 8 * i, bits_of(&weights[i]))


cdef void write_low(const u32 *indices, Py_ssize_t nnz, u32 low_bits, u8 *low) noexcept nogil:
    cdef:
        Py_ssize_t i = 0
        u64 pending = 0, mask = (<u64>1 << low_bits) - 1
        u32 filled = 0
        v8 shifts = shifts8(low_bits)
    if low_bits <= 8:
        # Eight fields fill low_bits bytes; what is written beyond them is overwritten next.
        while i + 8 <= nnz:
            write64(low, pack8(load8(indices + i), shifts, low_bits))
            low += low_bits
            i += 8
    while i < nnz:
        pending |= (indices[i] & mask) << filled
        filled += low_bits
        i += 1
        if filled >= 32:
            write32(low, <u32>pending)
            low += 4
            pending >>= 32
            filled -= 32
    memcpy(low, &pending, (filled + 7) >> 3)


cdef void write_high(
    const u32 *indices, Py_ssize_t nnz, u32 low_bits, u8 *high, Py_ssize_t num_bytes
) noexcept nogil:
    """A byte for each bit first: bits of one byte set one after another would wait for it."""
    cdef:
        u8[BLOCK] bits
        Py_ssize_t i = 0, k, start = 0
        u64 place, word
    while start < num_bytes:
        memset(bits, 0, BLOCK)
        while i < nnz:
            place = (indices[i] >> low_bits) + <u64>i - 8 * start
            if place >= BLOCK:
                break
            bits[place] = 1
            i += 1
        for k in range(0, min(BLOCK, 8 * (num_bytes - start)), 64):
            word = pack_bits(bits + k)
            memcpy(high + start + (k >> 3), &word, min(8, num_bytes - start - (k >> 3)))
        start += BLOCK >> 3


cdef void write_halves(const f32 *weights, Py_ssize_t nnz, u8 *data) noexcept nogil:
    cdef:
        Py_ssize_t i = 0
        f32[16] last
        u8[32] halves
    while i + LANES <= nnz:
        round_halves(weights + i, data + 2 * i)
        i += LANES
    if i < nnz:
        memset(last, 0, sizeof(last))
        memcpy(last, weights + i, 4 * (nnz - i))
        round_halves(last, halves)
        memcpy(data + 2 * i, halves, 2 * (nnz - i))


cdef void sparse_write(
    const u32 *indices, const f32 *weights, Py_ssize_t nnz, Py_ssize_t dimension, int layout,
    u8 *data
) noexcept nogil:
    cdef u32 low_bits
    cdef Py_ssize_t num_bytes
    if layout == CANONICAL_LAYOUT:
        write_pairs(indices, weights, nnz, data)
        return
    if nnz == 0:
        return
    low_bits = low_bits_of(nnz, dimension)
    write_low(indices, nnz, low_bits, data)
    data += low_bytes_of(nnz, low_bits)
    num_bytes = (high_bits_of(nnz, dimension, low_bits) + 7) >> 3
    write_high(indices, nnz, low_bits, data, num_bytes)
    data += num_bytes
    if layout == F16_LAYOUT:
        write_halves(weights, nnz, data)
    else:
        memcpy(data, weights, 4 * nnz)


# Reading: hostile bytes give a status and stay inside the arrays --------------------------------

cdef int read_pairs(
    const u8 *data, Py_ssize_t nnz, u32 *indices, f32 *weights
) noexcept nogil:
    cdef Py_ssize_t i
    if read32(data) != <u64>nnz:
        return COUNT
    for i in range(nnz):
        indices[i] = read32(data + 4 + 8 * i)
        memcpy(&weights[i], data + 8 + 8 * i, 4)
    return OK


cdef inline u64 read_some(const u8 *data, Py_ssize_t num_bytes) noexcept nogil:
    """At most eight bytes, zeros beyond them."""
    cdef u64 word = 0
    if num_bytes >= 8:
        return read64(data)
    memcpy(&word, data, num_bytes)
    return word


cdef Py_ssize_t count_ones(const u8 *high, Py_ssize_t num_bytes) noexcept nogil:
    cdef Py_ssize_t i = 0, ones = 0
    while i < num_bytes:
        ones += popcount(read_some(high + i, num_bytes - i))
        i += 8
    return ones


cdef inline bint padding_is_zero(const u8 *bits, Py_ssize_t num_bits) noexcept nogil:
    return num_bits & 7 == 0 or bits[num_bits >> 3] >> (num_bits & 7) == 0


cdef void read_high(const u8 *high, Py_ssize_t nnz, u32 *places) noexcept nogil:
    """Where the first nnz ones are."""
    cdef:
        Py_ssize_t i = 0, rank = 0
        u32 byte
    # Eight places are stored for each byte, as many as it has ones are kept.
    while rank + 8 <= nnz:
        store8(places + rank, load8_bytes(PLACES[high[i]]) + <u32>(8 * i))
        rank += popcount(high[i])
        i += 1
    while rank < nnz:
        byte = high[i]
        while byte:
            places[rank] = <u32>(8 * i + trailing_zeros(byte))
            rank += 1
            byte &= byte - 1
        i += 1


cdef void join(const u8 *low, Py_ssize_t nnz, u32 low_bits, u32 *indices) noexcept nogil:
    """Turn places of ones into indices."""
    cdef:
        Py_ssize_t i = 0, place, num_bytes = low_bytes_of(nnz, low_bits)
        u32 mask = (<u32>1 << low_bits) - 1
        v8 shifts = shifts8(low_bits), high
    if low_bits <= 8:
        # At least sixteen bytes of weights follow, so eight can be read anywhere here.
        while i + 8 <= nnz:
            high = (load8(indices + i) - count8(<u32>i)) << low_bits
            store8(indices + i, high | unpack8(read64(low + (i >> 3) * low_bits), shifts, low_bits))
            i += 8
    while i < nnz:
        place = i * low_bits
        indices[i] = (indices[i] - <u32>i) << low_bits | (
            read_some(low + (place >> 3), num_bytes - (place >> 3)) >> (place & 7) & mask
        )
        i += 1


cdef int check_halves(const u8 *data, Py_ssize_t nnz) noexcept nogil:
    cdef Py_ssize_t i
    cdef int wrong = 0
    for i in range(nnz):
        wrong |= data[2 * i + 1] & 0x7C == 0x7C
    return WEIGHT if wrong else OK


cdef void read_halves(const u8 *data, Py_ssize_t nnz, f32 *weights) noexcept nogil:
    cdef:
        Py_ssize_t i = 0
        f32[16] last
        u8[32] halves
    while i + LANES <= nnz:
        widen_halves(data + 2 * i, weights + i)
        i += LANES
    if i < nnz:
        memset(halves, 0, sizeof(halves))
        memcpy(halves, data + 2 * i, 2 * (nnz - i))
        widen_halves(halves, last)
        memcpy(weights + i, last, 4 * (nnz - i))


cdef int read_compact(
    const u8 *data, Py_ssize_t nnz, Py_ssize_t dimension, int layout, u32 *indices, f32 *weights
) noexcept nogil:
    cdef:
        u32 low_bits = low_bits_of(nnz, dimension)
        Py_ssize_t high_bits = high_bits_of(nnz, dimension, low_bits)
        Py_ssize_t num_bytes = (high_bits + 7) >> 3
        const u8 *high = data + low_bytes_of(nnz, low_bits)
        const u8 *tail = high + num_bytes
    if not (padding_is_zero(data, nnz * low_bits) and padding_is_zero(high, high_bits)):
        return PADDING
    # The count bounds all that follows.
    if count_ones(high, num_bytes) != nnz:
        return COUNT
    if layout == F16_LAYOUT:
        if check_halves(tail, nnz) != OK:
            return WEIGHT
        read_halves(tail, nnz, weights)
    else:
        memcpy(weights, tail, 4 * nnz)
    read_high(high, nnz, indices)
    join(data, nnz, low_bits, indices)
    return OK


cdef int sparse_read(
    const u8 *data, Py_ssize_t length, Py_ssize_t nnz, Py_ssize_t dimension, int layout,
    u32 *indices, f32 *weights
) noexcept nogil:
    cdef int status = OK
    if nnz > dimension or length != sparse_size(nnz, dimension, layout):
        return LENGTH
    if layout == CANONICAL_LAYOUT:
        status = read_pairs(data, nnz, indices, weights)
    elif nnz:
        status = read_compact(data, nnz, dimension, layout, indices, weights)
    if status == OK:
        status = check_indices(indices, nnz, dimension)
    return status if status != OK else check_weights(weights, nnz)


# Scoring ---------------------------------------------------------------------------------------

cdef Py_ssize_t add_until(
    const f32 *query, u32 last, const u32 *indices, const f32 *weights, Py_ssize_t start,
    Py_ssize_t nnz, u32 bound, f32 *sums
) noexcept nogil:
    """Add products to sixteen sums, in groups of sixteen whose first index is below the bound.

    Returns where it stopped, or -1 at an index above the last.
    """
    cdef Py_ssize_t i = start
    cdef f4 a = load4(sums), b = load4(sums + 4), c = load4(sums + 8), d = load4(sums + 12)
    while i + 16 <= nnz and indices[i] <= bound:
        prefetch(indices + i + AHEAD)
        prefetch(weights + i + AHEAD)
        if any_above16(indices + i, last):
            return -1
        a += gather4(query, indices + i) * load4(weights + i)
        b += gather4(query, indices + i + 4) * load4(weights + i + 4)
        c += gather4(query, indices + i + 8) * load4(weights + i + 8)
        d += gather4(query, indices + i + 12) * load4(weights + i + 12)
        i += 16
    store4(sums, a)
    store4(sums + 4, b)
    store4(sums + 8, c)
    store4(sums + 12, d)
    return i


cdef bint add_rest(
    const f32 *query, u32 last, const u32 *indices, const f32 *weights, Py_ssize_t nnz, f32 *sums
) noexcept nogil:
    """As add_until, for the last fewer than sixteen; whether all indices are within."""
    cdef Py_ssize_t lane
    for lane in range(nnz):
        if indices[lane] > last:
            return False
        sums[lane] += query[indices[lane]] * weights[lane]
    return True


cdef inline f32 total(f32 *sums) noexcept nogil:
    """The sum of sixteen, always in this order, so that every level rounds alike."""
    cdef int lane, width = 8
    while width:
        for lane in range(width):
            sums[lane] += sums[lane + width]
        width >>= 1
    return sums[0]


cdef bint sparse_dot(
    const f32 *query, Py_ssize_t dimension, const u32 *indices, const f32 *weights,
    Py_ssize_t nnz, f32 *dot
) noexcept nogil:
    """Whether all indices lie within the query; only then is the product written."""
    cdef i64[2] indptr = [0, nnz]
    return dot_some(query, dimension, indptr, indices, weights, 1, dot)


cdef bint dot_some(
    const f32 *query, Py_ssize_t dimension, const i64 *indptr, const u32 *indices,
    const f32 *weights, Py_ssize_t num_rows, f32 *out
) noexcept nogil:
    """At most ROWS rows, together through one part of the query after another.

    A part stays in the first cache while it meets all rows; the query as a whole does not fit.
    """
    cdef:
        f32[ROWS][16] sums
        i64[ROWS] done
        Py_ssize_t row, start, bound = 0
        u32 last = <u32>(dimension - 1)
    if dimension == 0:
        memset(out, 0, num_rows * sizeof(f32))
        return indptr[0] == indptr[num_rows]
    memset(sums, 0, num_rows * sizeof(sums[0]))
    memset(done, 0, num_rows * sizeof(done[0]))
    while bound <= last:
        # The last part takes all that is left, and so the rows need not ascend.
        bound = bound + PART if bound + 2 * PART <= last and num_rows > 1 else dimension
        for row in range(num_rows):
            start = indptr[row]
            done[row] = add_until(
                query, last, indices + start, weights + start, done[row],
                indptr[row + 1] - start, <u32>(bound - 1), sums[row],
            )
            if done[row] < 0:
                return False
    for row in range(num_rows):
        start = indptr[row] + done[row]
        if not add_rest(
            query, last, indices + start, weights + start, indptr[row + 1] - start, sums[row]
        ):
            return False
        out[row] = total(sums[row])
    return True


# Doors -----------------------------------------------------------------------------------------

cdef bint is_size(Py_ssize_t nnz, Py_ssize_t dimension, int layout) noexcept nogil:
    return 0 <= nnz <= dimension < <Py_ssize_t>1 << 32 and 0 <= layout <= 2


cdef int require_size(Py_ssize_t nnz, Py_ssize_t dimension, int layout) except -1:
    if not is_size(nnz, dimension, layout):
        raise ValueError(f"no layout {layout} of {nnz} non-zeros among {dimension}")
    return 0


cdef int require_rows(
    const i64[::1] indptr, Py_ssize_t length, Py_ssize_t num_rows
) except -1:
    cdef Py_ssize_t row
    cdef bint ascend
    if indptr.shape[0] != num_rows + 1:
        raise ValueError(f"{indptr.shape[0]} row edges, {num_rows} rows")
    ascend = indptr[0] >= 0 and indptr[num_rows] <= length
    for row in range(num_rows):
        ascend &= indptr[row] <= indptr[row + 1]
    if not ascend:
        raise ValueError(f"row edges must ascend from 0 to {length}")
    return 0


cdef int require_layouts(
    const i64[::1] indptr, Py_ssize_t dimension, const u8[::1] layouts
) except -1:
    cdef Py_ssize_t row
    for row in range(layouts.shape[0]):
        require_size(indptr[row + 1] - indptr[row], dimension, layouts[row])
    return 0


def size(Py_ssize_t nnz, Py_ssize_t dimension, int layout):
    """Return the bytes that nnz of `dimension` values take."""
    require_size(nnz, dimension, layout)
    return sparse_size(nnz, dimension, layout)


def encode(
    const u32[::1] indices,  # IN
    const f32[::1] weights,  # IN
    Py_ssize_t dimension,
    int layout,
    u8[::1] data,            # OUT
):
    """Write the bytes of one vector; return whether its indices, weights and layout are sound."""
    cdef Py_ssize_t nnz = indices.shape[0]
    require_size(nnz, dimension, layout)
    if weights.shape[0] != nnz or data.shape[0] != sparse_size(nnz, dimension, layout):
        raise ValueError(f"{nnz} indices, {weights.shape[0]} weights, {data.shape[0]} bytes")
    if sparse_check(&indices[0], &weights[0], nnz, dimension, layout) != OK:
        return False
    sparse_write(&indices[0], &weights[0], nnz, dimension, layout, &data[0])
    return True


def decode(
    const u8[::1] data,      # IN
    Py_ssize_t dimension,
    int layout,
    u32[::1] indices,        # OUT
    f32[::1] weights,        # OUT
):
    """Read the bytes of one vector and return SOUND, or what is wrong; then both are undefined."""
    cdef Py_ssize_t nnz = indices.shape[0]
    if weights.shape[0] != nnz:
        raise ValueError(f"indices holds {nnz}, weights holds {weights.shape[0]}")
    require_size(min(nnz, dimension), dimension, layout)
    return sparse_read(
        &data[0], data.shape[0], nnz, dimension, layout, &indices[0], &weights[0]
    )


cdef bint is_plain(object array, int kind):
    """A one-dimensional contiguous aligned native array of this kind."""
    return (
        np.PyArray_Check(array)
        and np.PyArray_TYPE(<np.ndarray>array) == kind
        and np.PyArray_NDIM(<np.ndarray>array) == 1
        and np.PyArray_ISCARRAY_RO(<np.ndarray>array)
    )


def encode_vector(object indices, object weights, Py_ssize_t dimension, int layout):
    """Return the bytes of one vector, or None when it takes a closer look to say why not."""
    cdef:
        Py_ssize_t nnz
        u32 *places
        f32 *values
        object data
    if not (is_plain(indices, np.NPY_UINT32) and is_plain(weights, np.NPY_FLOAT32)):
        return None
    nnz = np.PyArray_DIM(<np.ndarray>indices, 0)
    if np.PyArray_DIM(<np.ndarray>weights, 0) != nnz or nnz > dimension:
        return None
    require_size(nnz, dimension, layout)
    places = <u32 *>np.PyArray_DATA(<np.ndarray>indices)
    values = <f32 *>np.PyArray_DATA(<np.ndarray>weights)
    if sparse_check(places, values, nnz, dimension, layout) != OK:
        return None
    data = PyBytes_FromStringAndSize(NULL, sparse_size(nnz, dimension, layout))
    sparse_write(places, values, nnz, dimension, layout, <u8 *>PyBytes_AS_STRING(data))
    return data


def decode_vector(bytes data not None, Py_ssize_t nnz, Py_ssize_t dimension, int layout):
    """Return new (indices, weights), or None when the bytes are not those of such a vector."""
    cdef:
        np.npy_intp length = nnz
        object indices, weights
    if not is_size(nnz, dimension, layout) or len(data) != sparse_size(nnz, dimension, layout):
        return None
    indices = np.PyArray_EMPTY(1, &length, np.NPY_UINT32, 0)
    weights = np.PyArray_EMPTY(1, &length, np.NPY_FLOAT32, 0)
    if sparse_read(
        <const u8 *>PyBytes_AS_STRING(data), len(data), nnz, dimension, layout,
        <u32 *>np.PyArray_DATA(<np.ndarray>indices), <f32 *>np.PyArray_DATA(<np.ndarray>weights),
    ) != OK:
        return None
    return indices, weights


def fits_half(
    const i64[::1] indptr,   # IN
    const f32[::1] weights,  # IN
    u8[::1] fits,            # OUT
):
    """Write 1 for each row whose weights all fit in f16 at full precision, else 0."""
    cdef Py_ssize_t row
    require_rows(indptr, weights.shape[0], fits.shape[0])
    with nogil:
        for row in range(fits.shape[0]):
            fits[row] = fit_half(&weights[0] + indptr[row], indptr[row + 1] - indptr[row])


def measure_rows(
    const i64[::1] indptr,   # IN
    Py_ssize_t dimension,
    const u8[::1] layouts,   # IN
    i64[::1] offsets,        # OUT
):
    """Write where the bytes of each row begin, and where the last one ends."""
    cdef Py_ssize_t row, num_rows = layouts.shape[0]
    require_rows(indptr, PY_SSIZE_T_MAX, num_rows)
    require_layouts(indptr, dimension, layouts)
    if offsets.shape[0] != num_rows + 1:
        raise ValueError(f"{offsets.shape[0]} row edges, {num_rows} rows")
    offsets[0] = 0
    for row in range(num_rows):
        offsets[row + 1] = offsets[row] + sparse_size(
            indptr[row + 1] - indptr[row], dimension, layouts[row]
        )


def encode_rows(
    const i64[::1] indptr,   # IN
    const u32[::1] indices,  # IN
    const f32[::1] weights,  # IN
    Py_ssize_t dimension,
    const u8[::1] layouts,   # IN
    u8[::1] data,            # OUT
    const i64[::1] offsets,  # IN
):
    """Write the bytes of all rows; return the first row that is not sound, or -1."""
    cdef Py_ssize_t row, start, nnz, num_rows = layouts.shape[0]
    require_rows(indptr, min(indices.shape[0], weights.shape[0]), num_rows)
    require_rows(offsets, data.shape[0], num_rows)
    require_layouts(indptr, dimension, layouts)
    for row in range(num_rows):
        nnz = indptr[row + 1] - indptr[row]
        if offsets[row + 1] - offsets[row] != sparse_size(nnz, dimension, layouts[row]):
            raise ValueError(f"row {row} has {offsets[row + 1] - offsets[row]} bytes")
    with nogil:
        for row in range(num_rows):
            start, nnz = indptr[row], indptr[row + 1] - indptr[row]
            if sparse_check(
                &indices[0] + start, &weights[0] + start, nnz, dimension, layouts[row]
            ) != OK:
                with gil:
                    return row
            sparse_write(
                &indices[0] + start, &weights[0] + start, nnz, dimension, layouts[row],
                &data[0] + offsets[row],
            )
    return -1


def decode_rows(
    const u8[::1] data,      # IN
    const i64[::1] offsets,  # IN
    const u8[::1] layouts,   # IN
    Py_ssize_t dimension,
    const i64[::1] indptr,   # IN
    u32[::1] indices,        # OUT
    f32[::1] weights,        # OUT
):
    """Read the bytes of all rows; return the first damaged row, or -1."""
    cdef Py_ssize_t row, start, nnz, num_rows = layouts.shape[0]
    require_rows(indptr, min(indices.shape[0], weights.shape[0]), num_rows)
    require_rows(offsets, data.shape[0], num_rows)
    with nogil:
        for row in range(num_rows):
            start, nnz = indptr[row], indptr[row + 1] - indptr[row]
            if not is_size(nnz, dimension, layouts[row]) or sparse_read(
                &data[0] + offsets[row], offsets[row + 1] - offsets[row], nnz, dimension,
                layouts[row], &indices[0] + start, &weights[0] + start,
            ) != OK:
                with gil:
                    return row
    return -1


def dot_rows(
    const f32[::1] query,    # IN
    const i64[::1] indptr,   # IN
    const u32[::1] indices,  # IN
    const f32[::1] weights,  # IN
    f32[::1] out,            # OUT
):
    """Write the dot product of a dense query with each row."""
    cdef:
        Py_ssize_t row = 0, num_rows = out.shape[0]
        bint inside = True
    require_rows(indptr, min(indices.shape[0], weights.shape[0]), num_rows)
    with nogil:
        while inside and row < num_rows:
            inside = dot_some(
                &query[0], query.shape[0], &indptr[row], &indices[0], &weights[0],
                min(ROWS, num_rows - row), &out[row],
            )
            row += ROWS
    if not inside:
        raise ValueError(f"an index of a row is beyond the query's {len(query)}")


def norms(
    const i64[::1] indptr,   # IN
    const f32[::1] weights,  # IN
    f32[::1] out,            # OUT
):
    """Write the Euclidean length of each row."""
    cdef Py_ssize_t row, i
    cdef double total
    require_rows(indptr, weights.shape[0], out.shape[0])
    with nogil:
        for row in range(out.shape[0]):
            total = 0
            for i in range(indptr[row], indptr[row + 1]):
                total += <double>weights[i] * weights[i]
            out[row] = <f32>sqrt(total)
