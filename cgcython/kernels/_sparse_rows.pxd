"""The door of kernels that take many sparse vectors one behind the other."""
from cgcython.kernels._types cimport i64


cdef inline int require_rows(
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
