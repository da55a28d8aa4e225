"""Sign codes: one bit per value, most significant bit first, padding zero."""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.math cimport isfinite
from libc.string cimport memset
cimport numpy as np
from cgcython.kernels._door cimport agree, plain_vector, vector_out
from cgcython.kernels._types cimport f32, i64, u8, u32, u64

np.import_array()

cdef extern from *:
    int popcount "__builtin_popcount"(unsigned int) nogil


cdef bint bits_pack(const f32 *values, Py_ssize_t n, f32 threshold, u8 *packed) noexcept nogil:
    """Write the bits of n values; return whether all are finite."""
    cdef:
        Py_ssize_t i
        bint finite = True
    memset(packed, 0, (n + 7) // 8)
    for i in range(n):
        packed[i // 8] |= (values[i] >= threshold) << (7 - i % 8)
        finite = finite and isfinite(values[i])
    return finite


cdef void bits_unpack(const u8 *packed, Py_ssize_t n, f32 *values) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        values[i] = 2 * (packed[i // 8] >> (7 - i % 8) & 1) - 1


cdef u64 bits_hamming(const u8 *a, const u8 *b, Py_ssize_t n) noexcept nogil:
    cdef:
        Py_ssize_t i
        u64 distance = 0
    for i in range(n):
        distance += popcount(a[i] ^ b[i])
    return distance


cdef inline int check_width(Py_ssize_t width, Py_ssize_t num_bits) except -1:
    if num_bits < 0 or width != (num_bits + 7) // 8:
        raise ValueError(f"a row of packed holds {width} bytes for {num_bits} bits")
    return 0


def pack_vector(object values, Py_ssize_t dim, f32 threshold):
    """Return one vector's bits, value >= threshold, or None where a closer look is needed."""
    cdef const f32 *data = plain_vector(values, dim)
    if data is NULL:
        return None
    packed = PyBytes_FromStringAndSize(NULL, (dim + 7) // 8)
    return packed if bits_pack(data, dim, threshold, <u8 *>PyBytes_AS_STRING(packed)) else None


def pack_rows(
    const f32[:, ::1] values,   # IN
    f32 threshold,
    u8[:, ::1] packed,          # OUT
):
    """Write each row's bits, value >= threshold; return the first non-finite index, or -1."""
    cdef Py_ssize_t i, k, n = values.shape[0], dim = values.shape[1]
    agree("packed", packed.shape[0], "values", n)
    check_width(packed.shape[1], dim)
    with nogil:
        for i in range(n):
            if not bits_pack(&values[i, 0], dim, threshold, &packed[i, 0]):
                for k in range(dim):
                    if not isfinite(values[i, k]):
                        with gil:
                            return i * dim + k
    return -1


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
    agree("values", values.shape[0], "packed", n)
    check_width(packed.shape[1], dim)
    with nogil:
        for i in range(n):
            bits_unpack(&packed[i, 0], dim, &values[i, 0])


def hamming(object a, object b):
    """Return the number of bits in which two byte strings of equal length differ."""
    cdef const u8[::1] left = memoryview(a).cast("B"), right = memoryview(b).cast("B")
    agree("a", left.shape[0], "b", right.shape[0])
    return bits_hamming(&left[0], &right[0], left.shape[0]) if left.shape[0] else 0


def hamming_rows(
    const u8[::1] query,        # IN
    const u8[:, ::1] codes,     # IN
    u32[::1] distances,         # OUT
):
    """Write the Hamming distance of the query to each row of codes."""
    cdef Py_ssize_t i, n = codes.shape[0], width = codes.shape[1]
    agree("a row of codes", width, "query", query.shape[0])
    agree("distances", distances.shape[0], "codes", n)
    with nogil:
        for i in range(n):
            distances[i] = <u32>bits_hamming(&query[0], &codes[i, 0], width)


def hamming_topk(
    const u8[::1] query,        # IN
    const u8[:, ::1] codes,     # IN
    i64[::1] ids,               # OUT
    u32[::1] distances,         # OUT
):
    """Write the nearest rows of codes by (distance, index), ascending."""
    cdef:
        Py_ssize_t i, j, n = codes.shape[0], width = codes.shape[1], k = ids.shape[0], held = 0
        u32 distance
    agree("distances", distances.shape[0], "ids", k)
    agree("a row of codes", width, "query", query.shape[0])
    if k > n:
        raise ValueError(f"ids holds {k}, codes holds {n}")
    if k == 0:
        return
    with nogil:
        for i in range(n):
            distance = <u32>bits_hamming(&query[0], &codes[i, 0], width)
            if held == k:
                if distance >= distances[k - 1]:
                    continue
                held -= 1
            j = held
            while j and distances[j - 1] > distance:
                distances[j], ids[j] = distances[j - 1], ids[j - 1]
                j -= 1
            distances[j], ids[j] = distance, i
            held += 1


def padding_is_zero(const u8[:, ::1] packed, Py_ssize_t num_bits):
    """Return whether every bit after the first num_bits of each row is 0."""
    cdef Py_ssize_t i, n = packed.shape[0]
    check_width(packed.shape[1], num_bits)
    if num_bits % 8:
        for i in range(n):
            if packed[i, num_bits // 8] & (0xFF >> num_bits % 8):
                return False
    return True
