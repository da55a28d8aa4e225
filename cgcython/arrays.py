"""Turns what callers have into finite, contiguous float32 arrays, or says what is wrong with it."""

import numpy as np

from cgcython.errors import DimensionMismatch, InvalidInput, NonFiniteValue

F32 = np.dtype(np.float32)


def as_vector(values, dim=None):
    """Return values as a float32 vector of `dim` numbers, all finite.

    Takes whatever numpy.asarray takes, torch CPU tensors and ml_dtypes arrays. Raises
    DimensionMismatch, InvalidInput or NonFiniteValue.
    """
    return _checked(values, ("values",), (dim,))


def as_matrix(values, dim=None, finite=True):
    """Return values as a float32 matrix [n, dim], all finite; errors as in `as_vector`.

    `finite=False` leaves that check to a kernel that reads every value anyway.
    """
    return _checked(values, ("rows", "values per row"), (None, dim), finite)


def as_tokens(tokens, dim=None):
    """Return a token matrix [n, dim]: a matrix, a list of vectors or a TokenEmbeddings."""
    tokens = getattr(tokens, "embeddings", tokens)
    if isinstance(tokens, (list, tuple)) and not tokens:
        return np.empty((0, dim or 0), F32)
    return _checked(tokens, ("tokens", "values per token"), (None, dim))


def as_float32(values):
    """Return values as a contiguous float32 array of the same shape, unchecked otherwise."""
    if hasattr(values, "detach"):  # a torch tensor that may need a gradient
        values = values.detach()
        values = values.float() if values.is_floating_point() else values
    try:
        array = np.asarray(values)
        if array.dtype.kind in "cOSUVMm" and array.dtype.name not in _ML_DTYPES:
            raise TypeError(array.dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            return np.ascontiguousarray(array, F32)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidInput(
            what="embedding",
            expected="an array of real numbers",
            actual=f"{type(values).__name__}: {error}",
        ) from None


_ML_DTYPES = frozenset(
    (
        "bfloat16 float8_e4m3fn float8_e4m3 float8_e5m2 float8_e4m3b11fnuz float8_e4m3fnuz "
        "float8_e5m2fnuz float8_e3m4 float8_e8m0fnu float6_e2m3fn float6_e3m2fn float4_e2m1fn "
        "int2 int4 uint2 uint4"
    ).split()
)


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


def require_finite(array):
    """Raise NonFiniteValue at the first NaN or infinity of an array, in C order."""
    finite = np.isfinite(array)
    if not finite.all():
        index = int(np.argmin(finite))
        raise NonFiniteValue(index=index, value=float(np.ravel(array)[index]))
