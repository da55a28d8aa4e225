"""What late interaction checks of a packed query and of where documents lie."""
from cgcython.kernels.inner.door cimport agree
from cgcython.kernels.inner.types cimport f32, i64


cdef inline int check_query(
    const Py_ssize_t *packed, Py_ssize_t num_query, Py_ssize_t lines, Py_ssize_t width
) except -1:
    """Raise ValueError unless `packed` is of shape [blocks, lines, width] and holds the query."""
    agree("a block of packed", packed[1], "a row of values", lines)
    agree("a line of packed", packed[2], "the lanes", width)
    if not 0 <= num_query <= packed[0] * 32:
        raise ValueError(f"query has {num_query} tokens, packed holds {packed[0] * 32}")
    return 0


cdef inline int check_documents(
    const i64[::1] starts, const i64[::1] counts, const f32[::1] sums, Py_ssize_t length,
    Py_ssize_t size,
) except -1:
    """Raise ValueError unless each document is `counts` of `size` within `length` from a start."""
    cdef Py_ssize_t i
    agree("counts", counts.shape[0], "starts", starts.shape[0])
    agree("sums", sums.shape[0], "starts", starts.shape[0])
    for i in range(starts.shape[0]):
        if (
            starts[i] < 0 or starts[i] > length or counts[i] < 0
            or counts[i] > (length - starts[i]) // max(size, 1)
        ):
            raise ValueError(f"document at {starts[i]} of {counts[i]} tokens leaves {length}")
    return 0
