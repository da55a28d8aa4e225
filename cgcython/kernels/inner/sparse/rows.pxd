"""The doors of kernels that take one sparse vector, or many one behind the other."""
cimport numpy as np
from cgcython.kernels.inner.types cimport i64


cdef inline bint is_plain(object array, int kind) noexcept:
    """A one-dimensional contiguous aligned native array of this kind."""
    return (
        np.PyArray_Check(array)
        and np.PyArray_TYPE(<np.ndarray>array) == kind
        and np.PyArray_NDIM(<np.ndarray>array) == 1
        and np.PyArray_ISCARRAY_RO(<np.ndarray>array)
    )


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
