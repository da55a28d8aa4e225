"""What kernels check of tokens that were packed as one plane of whole numbers."""
from cgcython.kernels.inner.door cimport agree
from cgcython.kernels.inner.integers.query cimport WIDEST
from cgcython.kernels.inner.integers.tiles cimport TOKEN_LANES, LINE, groups_of


cdef inline int check_plane(
    const Py_ssize_t *packed, Py_ssize_t num_tokens, Py_ssize_t dim
) except -1:
    """Raise ValueError unless `packed` is of a plane's shape, for tokens of a dimension."""
    if dim > WIDEST:
        raise ValueError(f"a token holds {dim}, expected up to {WIDEST}")
    agree("a block of packed", packed[1], "its lines", groups_of(dim) + 2)
    agree("a line of packed", packed[2], "the lanes", LINE)
    if not 0 <= num_tokens <= packed[0] * TOKEN_LANES:
        raise ValueError(f"query has {num_tokens} tokens, packed holds {packed[0] * TOKEN_LANES}")
    return 0
