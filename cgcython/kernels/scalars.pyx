"""Rows as codes of 8, 6, 4 or 2 bits of their turned values, with a scale each, and their scores.

A row is turned whole (see inner/whole_turn.pxd), so that no value sticks out; codes are even parts
of its range (inner/integers/scalar_codes.pxd). A query meets them as whole numbers
(inner/integers/scalar_query.pxd).
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
cimport numpy as np
from cgcython.kernels.inner.door cimport agree, check_buffers, plain_vector, vector_out
from cgcython.kernels.inner.finite cimport first_nonfinite
from cgcython.kernels.inner.integers.query cimport WIDEST
from cgcython.kernels.inner.integers.scalar_codes cimport (
    PADDING, Scale, decode_row, encode_row, level_squares, scalar_bytes,
)
from cgcython.kernels.inner.integers.scalar_query cimport RUNS, Run, lay_query, runs_of, score_some
from cgcython.kernels.inner.types cimport f32, f64, i8, i16, i32, i64, u8
from libc.math cimport sqrt
from libc.string cimport memset

np.import_array()


cdef Py_ssize_t scalars_encode_rows(
    const f32 *values, Py_ssize_t n, Py_ssize_t dim, int bits, f32 *scratch, u8 *codes,
    f32 *scales, i8 *powers
) noexcept nogil:
    cdef:
        Py_ssize_t i, width = scalar_bytes(dim, bits)
        i32 *numbers = <i32 *>(scratch + dim)
        Scale scale
    for i in range(n):
        if not encode_row(values + i * dim, dim, bits, scratch, numbers, codes + i * width, &scale):
            return i * dim + first_nonfinite(values + i * dim, dim)
        scales[i], powers[i] = scale.number, <i8>scale.power
    return -1


cdef void scalars_decode_rows(
    const u8 *codes, const f32 *scales, const i8 *powers, Py_ssize_t n, Py_ssize_t dim, int bits,
    f32 *values
) noexcept nogil:
    cdef:
        Py_ssize_t i, width = scalar_bytes(dim, bits)
        Scale scale
    for i in range(n):
        scale.number, scale.power = scales[i], powers[i]
        decode_row(codes + i * width, width, scale, dim, bits, values + i * dim)


cdef void scalars_inverse_norms(
    const u8 *codes, Py_ssize_t n, Py_ssize_t dim, int bits, f32 *out
) noexcept nogil:
    cdef Py_ssize_t i, width = scalar_bytes(dim, bits)
    for i in range(n):  # levels are odd: no length is 0
        out[i] = <f32>(1 / sqrt(<f64>level_squares(codes + i * width, width, dim, bits)))


cdef void scalars_score_rows(
    const i16 *packed, i64 total, f64 factor, const u8 *codes, const f32 *factors, Py_ssize_t n,
    Py_ssize_t dim, int bits, f32 *out
) noexcept nogil:
    cdef Run[RUNS] runs
    runs_of(dim, bits, runs)
    score_some(
        packed, total, factor, runs, bits, codes, n, scalar_bytes(dim, bits), factors, out
    )


cdef int check_bits(int bits, Py_ssize_t dim) except -1:
    if bits not in (8, 6, 4, 2):
        raise ValueError(f"bits is {bits}, expected 8, 6, 4 or 2")
    if dim < 0:
        raise ValueError(f"dim is {dim}, expected 0 or more")
    return 0


cdef int check_rows(
    const u8[:, ::1] codes, int bits, Py_ssize_t dim, str what, Py_ssize_t count
) except -1:
    check_bits(bits, dim)
    agree(what, count, "codes", codes.shape[0])
    agree("a row of codes", codes.shape[1], f"{dim} values", scalar_bytes(dim, bits))
    return 0


def scratch(Py_ssize_t dim):
    """Return how many numbers the scratch of a row holds."""
    check_bits(8, dim)
    return 2 * dim + PADDING


def encode_rows(
    const f32[:, ::1] values,   # IN
    int bits,
    f32[::1] room,              # OUT: scratch
    u8[:, ::1] codes,           # OUT
    f32[::1] scales,            # OUT
    i8[::1] powers,             # OUT
):
    """Write each row's codes, and its scale: an f16 number and the power of two that it is times.

    Returns the flat index of the first non-finite value, or -1.
    """
    cdef Py_ssize_t found = -1, n = values.shape[0], dim = values.shape[1]
    check_buffers(4, room, codes, scales, powers, values)
    check_rows(codes, bits, dim, "values", n)
    agree("scales", scales.shape[0], "values", n)
    agree("powers", powers.shape[0], "values", n)
    agree("room", room.shape[0], "the scratch of a row", scratch(dim))
    if n:
        with nogil:
            found = scalars_encode_rows(
                &values[0, 0], n, dim, bits, &room[0], &codes[0, 0], &scales[0], &powers[0]
            )
    return found


def decode_rows(
    const u8[:, ::1] codes,     # IN
    int bits,
    const f32[::1] scales,      # IN
    const i8[::1] powers,       # IN
    f32[:, ::1] values,         # OUT
):
    """Write each row's values, at most the largest float."""
    cdef Py_ssize_t n = codes.shape[0], dim = values.shape[1]
    check_buffers(1, values, codes, scales, powers)
    check_rows(codes, bits, dim, "values", values.shape[0])
    agree("scales", scales.shape[0], "codes", n)
    agree("powers", powers.shape[0], "codes", n)
    if n and dim:
        with nogil:
            scalars_decode_rows(
                &codes[0, 0], &scales[0], &powers[0], n, dim, bits, &values[0, 0]
            )


def encode_vector(object values, Py_ssize_t dim, int bits):
    """Return (codes, scale, power) of one vector, codes as bytes.

    Returns None where a closer look is needed: at what is no finite float32 array of up to 4096
    numbers.
    """
    cdef:
        const f32 *data = plain_vector(values, dim)
        f32[WIDEST] turned
        i32[WIDEST + PADDING] numbers
        Scale scale
    check_bits(bits, dim)
    if data is NULL or dim > WIDEST:
        return None
    codes = PyBytes_FromStringAndSize(NULL, scalar_bytes(dim, bits))
    if not encode_row(
        data, dim, bits, turned, numbers, <u8 *>PyBytes_AS_STRING(codes), &scale
    ):
        return None
    return codes, scale.number, scale.power


def decode_vector(bytes codes not None, Py_ssize_t dim, int bits, f32 scale, int power, out=None):
    """Return the values of one vector, as a new array or in `out`.

    Returns None where `out` is no plain, writable float32 array of so many values.
    """
    cdef Scale both
    check_bits(bits, dim)
    agree("codes", PyBytes_GET_SIZE(codes), f"{dim} values", scalar_bytes(dim, bits))
    if not -128 <= power <= 127:
        raise ValueError(f"power is {power}, expected -128 to 127")
    values = vector_out(out, dim)
    if values is not None and dim:
        both.number, both.power = scale, power
        decode_row(
            <const u8 *>PyBytes_AS_STRING(codes), PyBytes_GET_SIZE(codes), both, dim, bits,
            <f32 *>np.PyArray_DATA(values),
        )
    return values


def inverse_norms(
    const u8[:, ::1] codes,     # IN
    int bits,
    Py_ssize_t dim,
    f32[::1] out,               # OUT
):
    """Write one over the length of each row's levels, on which its scale has no effect."""
    check_buffers(1, out, codes)
    check_rows(codes, bits, dim, "out", out.shape[0])
    if out.shape[0] and dim:
        with nogil:
            scalars_inverse_norms(&codes[0, 0], out.shape[0], dim, bits, &out[0])


def packed_size(Py_ssize_t dim, int bits):
    """Return how many numbers a packed query holds."""
    cdef Run[RUNS] runs
    check_bits(bits, dim)
    return runs_of(dim, bits, runs)


def pack_query(
    const f32[::1] query,       # IN
    int bits,
    f32[::1] room,              # OUT: scratch
    i16[::1] packed,            # OUT
):
    """Write a query of finite values as whole numbers in the order in which rows of codes lie.

    Returns their sum, the sum of their squares, and what 1 of them is worth.
    """
    cdef:
        Py_ssize_t dim = query.shape[0]
        i64 total = 0, squares = 0
        f64 unit = 0
    check_buffers(2, room, packed, query)
    check_bits(bits, dim)
    agree("room", room.shape[0], "the scratch of a row", scratch(dim))
    agree("packed", packed.shape[0], "a query", packed_size(dim, bits))
    if dim == 0:
        return 0, 0, 0.0
    with nogil:
        memset(&packed[0], 0, packed.shape[0] * sizeof(i16))
        lay_query(
            &query[0], dim, bits, &room[0], <i32 *>(&room[0] + dim), &packed[0], &total, &squares,
            &unit,
        )
    return total, squares, unit


def score_rows(
    const i16[::1] packed,      # IN
    i64 total,
    f64 factor,
    const u8[:, ::1] codes,     # IN
    int bits,
    Py_ssize_t dim,
    const f32[::1] factors,     # IN
    f32[::1] out,               # OUT
):
    """Write the dot product of a packed query with each row's levels, times both factors.

    `total` is the sum that pack_query returned, `factors` those of rows: with inverse norms, and
    one over the query's length as `factor`, scores are cosines.
    """
    cdef Py_ssize_t n = codes.shape[0]
    check_buffers(1, out, packed, codes, factors)
    check_rows(codes, bits, dim, "out", out.shape[0])
    agree("factors", factors.shape[0], "codes", n)
    agree("packed", packed.shape[0], "a query", packed_size(dim, bits))
    if n:
        with nogil:
            scalars_score_rows(
                &packed[0], total, factor, &codes[0, 0], &factors[0], n, dim, bits, &out[0]
            )
