"""Turns what callers have into finite, contiguous float32 arrays, or says what is wrong with it."""

import math

import numpy as np

from cgcython.errors import DimensionMismatch, InvalidInput, NonFiniteValue

F32 = np.dtype(np.float32)
CACHE_LINE = 64


def aligned_empty(shape, dtype=F32):
    """Return an array for a kernel's inner loop to read: it begins on a cache line.

    numpy aligns to 16 bytes, and a vector that lies on two lines costs two reads.

    >>> aligned_empty((2, 3)).ctypes.data % CACHE_LINE
    0
    """
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    space = np.empty(size + CACHE_LINE - 1, np.uint8)
    start = -space.ctypes.data % CACHE_LINE
    return space[start : start + size].view(dtype).reshape(shape)


def aligned_copy(array):
    """Return a copy of an array that begins on a cache line."""
    copy = aligned_empty(array.shape, array.dtype)
    copy[...] = array
    return copy


def as_vector(values, dim=None):
    """Return values as a float32 vector of `dim` numbers, all finite.

    Takes whatever numpy.asarray takes, torch CPU tensors and ml_dtypes arrays. Raises
    DimensionMismatch, InvalidInput or NonFiniteValue.

    >>> as_vector([1, 2, 3], dim=3)
    array([1., 2., 3.], dtype=float32)
    """
    return _checked(values, ("values",), (dim,))


def as_matrix(values, dim=None, finite=True):
    """Return values as a float32 matrix [n, dim], all finite; errors as in `as_vector`.

    `finite=False` leaves that check to a kernel that reads every value anyway.
    """
    values = _or_empty(values, dim)
    return _checked(values, ("rows", "values per row"), (None, dim), finite)


def as_tokens(tokens, dim=None, finite=True):
    """Return a token matrix [n, dim]: a matrix, a list of vectors or a TokenEmbeddings.

    `finite` as in `as_matrix`.
    """
    tokens = _or_empty(getattr(tokens, "embeddings", tokens), dim)
    return _checked(tokens, ("tokens", "values per token"), (None, dim), finite)


def as_float32(values):
    """Return values as an aligned, contiguous float32 array of the same shape.

    What overflows becomes infinite; use `require_finite` to refuse that.
    """
    if type(values) is np.ndarray and values.dtype == F32:
        flags = values.flags
        if flags.c_contiguous and flags.aligned:
            return values
    try:
        array = np.asarray(_without_tensors(values))
        with np.errstate(over="ignore", invalid="ignore"):
            # "same_kind" refuses complex numbers, text, dates and objects.
            array = array.astype(F32, casting="same_kind", copy=False)
        return np.require(array, requirements=["C", "A"])
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise InvalidInput(
            what="embedding",
            expected="an array of real numbers",
            actual=f"{type(values).__name__}: {error}",
        ) from None


def require_finite(array):
    """Raise NonFiniteValue at the first NaN or infinity of an array, in C order."""
    finite = np.isfinite(array)
    if not finite.all():
        index = int(np.argmin(finite))
        raise NonFiniteValue(index=index, value=float(np.ravel(array)[index]))


def _or_empty(values, dim):
    """Return no rows of `dim` values for an empty list, whose rows have no length."""
    is_empty = isinstance(values, (list, tuple)) and not len(values)
    return np.empty((0, dim or 0), F32) if is_empty else values


def _without_tensors(values):
    """Return torch tensors, alone or in a list, as what numpy.asarray takes."""
    if isinstance(values, (list, tuple)) and values and hasattr(values[0], "detach"):
        return [_without_tensors(value) for value in values]
    if not hasattr(values, "detach"):
        return values
    values = values.detach()  # from the gradient it may need
    return values.float() if values.is_floating_point() else values


def _checked(values, axes, shape, finite=True):
    array = as_float32(values)
    if array.ndim != len(shape):
        raise DimensionMismatch(
            expected=len(shape), actual=array.ndim, what="dimensions of the array"
        )
    for axis, expected, actual in zip(axes, shape, array.shape):
        if expected is not None and expected != actual:
            raise DimensionMismatch(expected=expected, actual=actual, what=axis)
    if finite:
        require_finite(array)
    return array
