"""Ascending whole numbers as two bit strings: their low bits, and a bitmap of the others.

`reference/sparse.py` defines the strings bit by bit.
"""
from libc.stdint cimport uint64_t as u64
from libc.string cimport memcpy, memset
from cgcython.kernels.inner.simd.compiler cimport first_one, leading_zeros, ones as ones_of
from cgcython.kernels.inner.sparse.fields cimport (
    PLACES, count8, fields, fields_of, load8, pack8, pack_bits, read64,
    store8, store_places, unpack8, v8, write32, write64,
)
from cgcython.kernels.inner.types cimport u8, u32

cdef enum:
    BITMAP_BITS = 4096  # bits of a bitmap that are made at once


cdef inline u32 low_bits_of(u64 nnz, u64 dimension) noexcept nogil:
    return 63 - leading_zeros(dimension // nnz)


cdef inline Py_ssize_t low_bytes_of(Py_ssize_t nnz, u32 low_bits) noexcept nogil:
    return (nnz * low_bits + 7) >> 3


cdef inline Py_ssize_t high_bits_of(
    Py_ssize_t nnz, Py_ssize_t dimension, u32 low_bits
) noexcept nogil:
    return nnz + ((dimension - 1) >> low_bits) + 1


cdef inline void write_low(
    const u32 *indices, Py_ssize_t nnz, u32 low_bits, u8 *low
) noexcept nogil:
    cdef:
        Py_ssize_t i = 0
        u64 pending = 0, mask = (<u64>1 << low_bits) - 1
        u32 filled = 0
        fields where = fields_of(min(low_bits, <u32>8))
    if low_bits <= 8:
        # Eight fields fill low_bits bytes; what is written beyond them is overwritten next.
        while i + 8 <= nnz:
            write64(low, pack8(load8(indices + i), where, low_bits))
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


cdef inline u64 place_of(const u32 *indices, Py_ssize_t i, u32 low_bits) noexcept nogil:
    """Where the bitmap has the one of index i."""
    return (indices[i] >> low_bits) + <u64>i


cdef inline void write_high(
    const u32 *indices, Py_ssize_t nnz, u32 low_bits, u8 *high, Py_ssize_t num_bytes
) noexcept nogil:
    """A byte for each bit first: bits of one byte set one after another would wait for it."""
    cdef:
        u8[BITMAP_BITS] bits
        Py_ssize_t i = 0, k, start = 0, size
        u64 place, word
    while start < num_bytes:
        size = min(<Py_ssize_t>BITMAP_BITS, 8 * (num_bytes - start))
        memset(bits, 0, (size + 63) & ~<Py_ssize_t>63)
        # The last of eight lies within the block, and so do the others.
        while i + 8 <= nnz and place_of(indices, i + 7, low_bits) - 8 * start < BITMAP_BITS:
            for k in range(i, i + 8):
                bits[place_of(indices, k, low_bits) - 8 * start] = 1
            i += 8
        while i < nnz:
            place = place_of(indices, i, low_bits) - 8 * start
            if place >= BITMAP_BITS:
                break
            bits[place] = 1
            i += 1
        for k in range(0, size, 64):
            word = pack_bits(bits + k)
            memcpy(high + start + (k >> 3), &word, min(8, num_bytes - start - (k >> 3)))
        start += BITMAP_BITS >> 3


cdef inline u64 read_some(const u8 *data, Py_ssize_t num_bytes) noexcept nogil:
    """At most eight bytes, zeros beyond them."""
    cdef u64 word = 0
    if num_bytes >= 8:
        return read64(data)
    memcpy(&word, data, num_bytes)
    return word


cdef inline Py_ssize_t count_ones(const u8 *high, Py_ssize_t num_bytes) noexcept nogil:
    cdef Py_ssize_t i = 0, ones = 0
    while i < num_bytes:
        ones += ones_of(read_some(high + i, num_bytes - i))
        i += 8
    return ones


cdef inline bint padding_is_zero(const u8 *bits, Py_ssize_t num_bits) noexcept nogil:
    return num_bits & 7 == 0 or bits[num_bits >> 3] >> (num_bits & 7) == 0


cdef inline void read_high(const u8 *high, Py_ssize_t nnz, u32 *places) noexcept nogil:
    """Where the first nnz ones are."""
    cdef:
        Py_ssize_t i = 0, rank = 0
        u32 byte
    # As many ones as are stored at a time are left, and so are their bits.
    while rank + PLACES <= nnz:
        rank += store_places(places + rank, high + i, <u32>(8 * i))
        i += PLACES >> 3
    while rank < nnz:
        byte = high[i]
        while byte:
            places[rank] = <u32>(8 * i + first_one(byte))
            rank += 1
            byte &= byte - 1
        i += 1


cdef inline void join(const u8 *low, Py_ssize_t nnz, u32 low_bits, u32 *indices) noexcept nogil:
    """Turn places of ones into indices."""
    cdef:
        Py_ssize_t i = 0, place, num_bytes = low_bytes_of(nnz, low_bits)
        u32 mask = (<u32>1 << low_bits) - 1
        fields where = fields_of(min(low_bits, <u32>8))
        v8 high
    if low_bits <= 8:
        # At least sixteen bytes of weights follow, so eight can be read anywhere here.
        while i + 8 <= nnz:
            high = (load8(indices + i) - count8(<u32>i)) << low_bits
            store8(indices + i, high | unpack8(read64(low + (i >> 3) * low_bits), where, low_bits))
            i += 8
    while i < nnz:
        place = i * low_bits
        indices[i] = (indices[i] - <u32>i) << low_bits | (
            read_some(low + (place >> 3), num_bytes - (place >> 3)) >> (place & 7) & mask
        )
        i += 1
