"""Sign codes: one bit per value, most significant bit first, padding zero."""
from cpython.bytes cimport (
    PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE,
)
from libc.string cimport memcpy, memset
cimport numpy as np
from cgcython.kernels.inner.door cimport (
    agree, check_buffers, in_bytes, is_unmasked, plain_out, plain_vector, require_apart, vector_out,
)
from cgcython.kernels.inner.finite cimport LARGEST, first_nonfinite
from cgcython.kernels.inner.heap cimport best_first, rise, sink
from cgcython.kernels.inner.types cimport f32, i32, i64, u8, u32, u64
from cgcython.kernels.inner.simd.vector cimport set_all, set_all_u, top_u, vf, vu

cdef extern from "inner/bits.h" nogil:
    u64 turn_bytes "cg_turn_bytes"(u64 bits)
    u64 at_least64 "cg_at_least64"(const f32 *values, vf threshold, vu *peak)
    void signs64 "cg_signs64"(u64 bits, f32 *values)
    u64 count_differing "cg_hamming"(const u8 *a, const u8 *b, Py_ssize_t n)

np.import_array()

cdef enum:
    SCAN = 256  # codes whose distances are known before any of them is looked at


cdef bint bits_pack(const f32 *values, Py_ssize_t n, f32 threshold, u8 *packed) noexcept nogil:
    """Write the bits; return whether all values are finite."""
    cdef:
        Py_ssize_t i = 0
        u64 bits
        f32[64] last
        vf least = set_all(threshold)
        vu peak = set_all_u(0)
    while i + 64 <= n:
        bits = turn_bytes(at_least64(values + i, least, &peak))
        memcpy(packed + i // 8, &bits, 8)
        i += 64
    if i < n:
        memset(last, 0, sizeof(last))
        memcpy(last, values + i, (n - i) * sizeof(f32))
        bits = turn_bytes(at_least64(last, least, &peak) & ((<u64>1 << (n - i)) - 1))
        memcpy(packed + i // 8, &bits, (n - i + 7) // 8)
    return top_u(peak) <= LARGEST


cdef void bits_unpack(const u8 *packed, Py_ssize_t n, f32 *values) noexcept nogil:
    cdef:
        Py_ssize_t i = 0
        u64 bits = 0
        f32[64] last
    while i + 64 <= n:
        memcpy(&bits, packed + i // 8, 8)
        signs64(turn_bytes(bits), values + i)
        i += 64
    if i < n:
        memcpy(&bits, packed + i // 8, (n - i + 7) // 8)
        signs64(turn_bytes(bits), last)
        memcpy(values + i, last, (n - i) * sizeof(f32))


cdef u64 bits_hamming(const u8 *a, const u8 *b, Py_ssize_t n) noexcept nogil:
    return count_differing(a, b, n)


cdef void bits_hamming_rows(
    const u8 *query, const u8 *codes, Py_ssize_t n, Py_ssize_t width, u32 *distances
) noexcept nogil:
    cdef Py_ssize_t i
    # Without prefetches: the processor reads ahead, and they take 15 % of the bandwidth from it.
    if width == 128:  # the length is a constant to the compiler here: nothing is left to loop over
        for i in range(n):
            distances[i] = <u32>count_differing(query, codes + i * 128, 128)
    else:
        for i in range(n):
            distances[i] = <u32>count_differing(query, codes + i * width, width)


cdef void bits_agreement_rows(
    const u8 *query, const u8 *codes, Py_ssize_t n, Py_ssize_t width, Py_ssize_t num_bits, f32 *out
) noexcept nogil:
    cdef:
        Py_ssize_t start = 0, i, rows
        u32[SCAN] distances
    while start < n:
        rows = min(<Py_ssize_t>SCAN, n - start)
        bits_hamming_rows(query, codes + start * width, rows, width, distances)
        for i in range(rows):
            out[start + i] = 1 - <f32>distances[i] / <f32>num_bits
        start += rows


cdef void bits_hamming_topk(
    const u8 *query, const u8 *codes, Py_ssize_t n, Py_ssize_t width, Py_ssize_t k,
    i64 *ids, i32 *ranks
) noexcept nogil:
    """Find the nearest k; their ranks are -1 - distance."""
    cdef:
        Py_ssize_t start = 0, i, rows
        u32[SCAN] distances
        u32 nearest
    while start < n and k:
        rows = min(SCAN, n - start)
        bits_hamming_rows(query, codes + start * width, rows, width, distances)
        nearest = distances[0]
        for i in range(rows):
            nearest = min(nearest, distances[i])
        # Later ids lose ties, so only what is nearer than the worst can enter.
        if start < k or ~<i32>nearest > ranks[0]:
            for i in range(rows):
                if start + i < k:
                    rise(ranks, ids, start + i, ~<i32>distances[i], start + i)
                elif ~<i32>distances[i] > ranks[0]:
                    sink(ranks, ids, k, ~<i32>distances[i], start + i)
        start += rows
    best_first(ranks, ids, k)


cdef inline bint span(object data, const u8 **start, Py_ssize_t *length) noexcept:
    """Find the bytes of the two usual kinds of object."""
    if PyBytes_CheckExact(data):
        start[0], length[0] = <const u8 *>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data)
        return True
    if is_unmasked(data) and np.PyArray_ISCARRAY_RO(data):
        if np.PyArray_TYPE(data) == np.NPY_UINT8 and np.PyArray_NDIM(data) == 1:
            start[0], length[0] = <const u8 *>np.PyArray_DATA(data), np.PyArray_DIM(data, 0)
            return True
    return False


cdef object hamming_any(object a, object b):
    """Return the distance of two objects of any kind that shows its bytes."""
    if hasattr(a, "mask") or hasattr(b, "mask"):
        raise ValueError("a masked array shows the bytes that it masks")
    cdef const u8[::1] left = memoryview(a).cast("B"), right = memoryview(b).cast("B")
    agree("a", left.shape[0], "b", right.shape[0])
    return bits_hamming(&left[0], &right[0], left.shape[0])


cdef inline int check_width(Py_ssize_t width, Py_ssize_t num_bits) except -1:
    if num_bits < 0 or width != in_bytes(num_bits):
        raise ValueError(f"a row of packed holds {width} bytes for {num_bits} bits")
    return 0


def pack_vector(object values, Py_ssize_t dim, f32 threshold, object out=None):
    """Return one vector's bits, value >= threshold: new bytes, or `out`, a plain u8 array.

    Returns None where a closer look at either is needed.
    """
    cdef:
        const f32 *data = plain_vector(values, dim)
        u8 *place = NULL
    if data is NULL:
        return None
    if out is None:
        out = PyBytes_FromStringAndSize(NULL, (dim + 7) // 8)
        place = <u8 *>PyBytes_AS_STRING(out)
    else:
        place = plain_out(out, (dim + 7) // 8)
        if place is NULL:
            return None
        require_apart("out", place, (dim + 7) // 8, "values", data, dim * sizeof(f32))
    return out if bits_pack(data, dim, threshold, place) else None


def pack_rows(
    const f32[:, ::1] values,   # IN
    f32 threshold,
    u8[:, ::1] packed,          # OUT
):
    """Write each row's bits, value >= threshold; return the first non-finite index, or -1."""
    cdef Py_ssize_t i, n = values.shape[0], dim = values.shape[1], bad = -1
    check_buffers(1, packed, values)
    agree("packed", packed.shape[0], "values", n)
    check_width(packed.shape[1], dim)
    with nogil:
        for i in range(n):
            if not bits_pack(&values[i, 0], dim, threshold, &packed[i, 0]):
                bad = i * dim + first_nonfinite(&values[i, 0], dim)
                break
    return bad


def unpack_vector(bytes packed not None, Py_ssize_t num_bits, out=None):
    """Return +1 for each set bit and -1 for each other, as a new array or in `out`.

    Returns None where `out` is no plain, writable float32 array of num_bits.
    """
    check_width(PyBytes_GET_SIZE(packed), num_bits)
    values = vector_out(out, num_bits)
    if values is not None:
        bits_unpack(
            <const u8 *>PyBytes_AS_STRING(packed), num_bits, <f32 *>np.PyArray_DATA(values)
        )
    return values


def unpack_rows(
    const u8[:, ::1] packed,    # IN
    f32[:, ::1] values,         # OUT
):
    """Write +1 for each set bit and -1 for each other."""
    cdef Py_ssize_t i, n = packed.shape[0], dim = values.shape[1]
    check_buffers(1, values, packed)
    agree("values", values.shape[0], "packed", n)
    check_width(packed.shape[1], dim)
    with nogil:
        for i in range(n):
            bits_unpack(&packed[i, 0], dim, &values[i, 0])


def hamming(object a, object b):
    """Return the number of bits in which two byte strings of equal length differ."""
    cdef:
        const u8 *left = NULL
        const u8 *right = NULL
        Py_ssize_t n = 0, m = 0
    if not (span(a, &left, &n) and span(b, &right, &m)):
        return hamming_any(a, b)
    agree("a", n, "b", m)
    return <Py_ssize_t>bits_hamming(left, right, n)


def hamming_rows(
    const u8[::1] query,        # IN
    const u8[:, ::1] codes,     # IN
    u32[::1] distances,         # OUT
):
    """Write the Hamming distance of the query to each row of codes."""
    cdef Py_ssize_t n = codes.shape[0], width = codes.shape[1]
    check_buffers(1, distances, query, codes)
    agree("a row of codes", width, "query", query.shape[0])
    agree("distances", distances.shape[0], "codes", n)
    with nogil:
        bits_hamming_rows(&query[0], &codes[0, 0], n, width, &distances[0])


def agreement_rows(
    const u8[::1] query,        # IN
    const u8[:, ::1] codes,     # IN
    Py_ssize_t num_bits,
    f32[::1] out,               # OUT
):
    """Write the fraction of num_bits in which the query and each row of codes agree."""
    cdef Py_ssize_t n = codes.shape[0], width = codes.shape[1]
    check_buffers(1, out, query, codes)
    agree("a row of codes", width, "query", query.shape[0])
    agree("out", out.shape[0], "codes", n)
    if num_bits < 1 or width != in_bytes(num_bits):
        raise ValueError(f"a row of codes holds {width} bytes for {num_bits} bits")
    with nogil:
        bits_agreement_rows(&query[0], &codes[0, 0], n, width, num_bits, &out[0])


def hamming_topk(
    const u8[::1] query,        # IN
    const u8[:, ::1] codes,     # IN
    i64[::1] ids,               # OUT
    u32[::1] distances,         # OUT
):
    """Write the nearest rows of codes by (distance, index), ascending."""
    cdef:
        Py_ssize_t i, n = codes.shape[0], width = codes.shape[1], k = ids.shape[0]
        i32 *ranks = <i32 *>&distances[0]
    check_buffers(2, ids, distances, query, codes)
    agree("distances", distances.shape[0], "ids", k)
    agree("a row of codes", width, "query", query.shape[0])
    if k > n:
        raise ValueError(f"ids holds {k}, codes holds {n}")
    with nogil:
        bits_hamming_topk(&query[0], &codes[0, 0], n, width, k, &ids[0], ranks)
        for i in range(k):
            distances[i] = ~ranks[i]


def padding_is_zero(const u8[:, ::1] packed, Py_ssize_t num_bits):
    """Return whether every bit after the first num_bits of each row is 0."""
    cdef Py_ssize_t i, n = packed.shape[0]
    check_buffers(0, packed)
    check_width(packed.shape[1], num_bits)
    if num_bits % 8:
        for i in range(n):
            if packed[i, num_bits // 8] & (0xFF >> num_bits % 8):
                return False
    return True
