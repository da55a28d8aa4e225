"""Dot products of sparse vectors, with a dense query and in pairs; and their rows by index."""
from libc.math cimport sqrt
cimport numpy as np
from cgcython.kernels.inner.door cimport agree, check_buffers
from cgcython.kernels.inner.sparse.postings cimport count_postings, place_postings
from cgcython.kernels.inner.sparse.dot cimport ROWS_TOGETHER, SLOTS, dot_marked, dot_some, mark
from cgcython.kernels.inner.sparse.pair cimport dot_pair_of
from cgcython.kernels.inner.sparse.rows cimport is_plain, require_rows
from cgcython.kernels.inner.types cimport f32, i64, u8, u32

np.import_array()


cdef bint sparse_dot(
    const f32 *query, Py_ssize_t dimension, const u32 *indices, const f32 *weights,
    Py_ssize_t nnz, f32 *dot
) noexcept nogil:
    """Whether all indices lie within the query; only then is the product written."""
    cdef i64[2] indptr = [0, nnz]
    return dot_some(query, dimension, indptr, indices, weights, 1, dot)


cdef f32 sparse_dot_pair(
    const u32 *indices_a, const f32 *weights_a, Py_ssize_t nnz_a,
    const u32 *indices_b, const f32 *weights_b, Py_ssize_t nnz_b
) noexcept nogil:
    return dot_pair_of(indices_a, weights_a, nnz_a, indices_b, weights_b, nnz_b)


cdef Py_ssize_t require_plain(object indices, object weights) except -1:
    """Return how many non-zeros two plain arrays hold."""
    if not (is_plain(indices, np.NPY_UINT32) and is_plain(weights, np.NPY_FLOAT32)):
        raise ValueError("one vector is contiguous uint32 indices and float32 weights")
    agree(
        "weights", np.PyArray_DIM(<np.ndarray>weights, 0),
        "indices", np.PyArray_DIM(<np.ndarray>indices, 0),
    )
    return np.PyArray_DIM(<np.ndarray>indices, 0)


def dot_pair(object indices_a, object weights_a, object indices_b, object weights_b):
    """Return the dot product of two vectors of ascending indices."""
    cdef Py_ssize_t nnz_a = require_plain(indices_a, weights_a)
    cdef Py_ssize_t nnz_b = require_plain(indices_b, weights_b)
    return dot_pair_of(
        <const u32 *>np.PyArray_DATA(<np.ndarray>indices_a),
        <const f32 *>np.PyArray_DATA(<np.ndarray>weights_a), nnz_a,
        <const u32 *>np.PyArray_DATA(<np.ndarray>indices_b),
        <const f32 *>np.PyArray_DATA(<np.ndarray>weights_b), nnz_b,
    )


cdef bint dot_all(
    const f32 *query, Py_ssize_t dimension, const u8 *marks, const i64 *indptr,
    const u32 *indices, const f32 *weights, Py_ssize_t num_rows, f32 *out
) noexcept nogil:
    """Whether all indices lie within the query, which is marked or not (NULL)."""
    cdef Py_ssize_t row = 0, count
    cdef bint inside = True
    while inside and row < num_rows:
        count = min(<Py_ssize_t>ROWS_TOGETHER, num_rows - row)
        if marks is NULL:
            inside = dot_some(
                query, dimension, indptr + row, indices, weights, count, out + row
            )
        else:
            inside = dot_marked(
                query, dimension, marks, indptr + row, indices, weights, count, out + row
            )
        row += ROWS_TOGETHER
    return inside


def dot_rows(
    const f32[::1] query,    # IN
    const i64[::1] indptr,   # IN
    const u32[::1] indices,  # IN
    const f32[::1] weights,  # IN
    f32[::1] out,            # OUT
):
    """Write the dot product of a dense query with each row; all weights are finite."""
    cdef:
        Py_ssize_t num_rows = out.shape[0], dimension = query.shape[0]
        u8[SLOTS] marks
        bint inside, is_marked
    check_buffers(1, out, query, indptr, indices, weights)
    require_rows(indptr, min(indices.shape[0], weights.shape[0]), num_rows)
    with nogil:
        # Marking reads the whole query, and so it must meet much more than that.
        is_marked = (
            dimension and indptr[num_rows] - indptr[0] >= 8 * dimension
            and mark(&query[0], dimension, marks)
        )
        inside = dot_all(
            &query[0], dimension, marks if is_marked else NULL, &indptr[0], &indices[0],
            &weights[0], num_rows, &out[0],
        )
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
    check_buffers(1, out, indptr, weights)
    require_rows(indptr, weights.shape[0], out.shape[0])
    with nogil:
        for row in range(out.shape[0]):
            total = 0
            for i in range(indptr[row], indptr[row + 1]):
                total += <double>weights[i] * weights[i]
            out[row] = <f32>sqrt(total)


def invert(
    const i64[::1] indptr,   # IN
    const u32[::1] indices,  # IN
    const f32[::1] weights,  # IN
    i64[::1] starts,         # OUT
    u32[::1] docs,           # OUT
    f32[::1] placed,         # OUT
):
    """Write the rows that hold each index, ascending, and their weights: CSR becomes CSC."""
    cdef Py_ssize_t num_rows = indptr.shape[0] - 1, nnz = indices.shape[0]
    cdef bint inside
    check_buffers(3, starts, docs, placed, indptr, indices, weights)
    require_rows(indptr, nnz, max(num_rows, 0))
    agree("weights", weights.shape[0], "indices", nnz)
    agree("docs", docs.shape[0], "indices", nnz)
    agree("placed", placed.shape[0], "indices", nnz)
    if starts.shape[0] == 0 or indptr[0] != 0 or indptr[num_rows] != nnz:
        raise ValueError(f"row edges must cover all {nnz} indices, starts must hold one more")
    with nogil:
        inside = count_postings(&indices[0], nnz, starts.shape[0] - 1, &starts[0])
        if inside:
            place_postings(
                &indptr[0], num_rows, &indices[0], &weights[0], starts.shape[0] - 1, &starts[0],
                &docs[0], &placed[0],
            )
    if not inside:
        raise ValueError(f"an index is beyond the {len(starts) - 1} of the inverted lists")
