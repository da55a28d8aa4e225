"""Inverted lists of some rows: the postings of a term are its rows in order."""
from libc.string cimport memset
from cgcython.kernels.inner.types cimport f32, i64, u32

cdef inline i64 first_at_least(
    u32 doc, const u32 *docs, i64 start, i64 stop
) noexcept nogil:
    """Where the postings from `doc` on begin among ascending ones."""
    cdef i64 middle
    while start < stop:
        middle = start + (stop - start >> 1)
        if docs[middle] < doc:
            start = middle + 1
        else:
            stop = middle
    return start


cdef inline bint count_postings(
    const u32 *indices, Py_ssize_t nnz, Py_ssize_t dimension, i64 *starts
) noexcept nogil:
    """Write where each term's postings begin, and where the last end; whether all are within."""
    cdef Py_ssize_t i
    memset(starts, 0, (dimension + 1) * sizeof(i64))
    for i in range(nnz):
        if indices[i] >= dimension:
            return False
        starts[indices[i] + 1] += 1
    for i in range(dimension):
        starts[i + 1] += starts[i]
    return True


cdef inline void place_postings(
    const i64 *indptr, Py_ssize_t num_rows, const u32 *indices, const f32 *weights,
    Py_ssize_t dimension, i64 *starts, u32 *docs, f32 *placed
) noexcept nogil:
    """Place row after row, so that the documents of each term ascend."""
    cdef Py_ssize_t row, i
    cdef i64 place
    for row in range(num_rows):
        for i in range(indptr[row], indptr[row + 1]):
            place = starts[indices[i]]
            docs[place], placed[place] = <u32>row, weights[i]
            starts[indices[i]] = place + 1
    # Each start has advanced to the next one.
    for i in range(dimension, 0, -1):
        starts[i] = starts[i - 1]
    starts[0] = 0
