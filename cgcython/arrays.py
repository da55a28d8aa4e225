"""Turns what callers have into finite, contiguous float32 arrays, or says what is wrong with it."""

import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import DTypeLike, NDArray

from cgcython.errors import DimensionMismatch, InvalidInput, NonFiniteValue
from cgcython.narrow_floats import NAMED, conversion, is_real, widened
from cgcython.types import Array, ArrayLike, Float32Array, Int64Array, Scalar, TokensLike

F32 = np.dtype(np.float32)
CACHE_LINE = 64
SHORT, SPARE = 512, 4  # elements of a part, and how many times as many may be copied for it

# What NumPy raises of what is no array, or a range of more numbers than memory holds.
_NO_ARRAY = (TypeError, ValueError, RuntimeError, OverflowError, MemoryError)
# Decorates doors behind which NumPy computes: as it does unless told otherwise, whatever the
# program has told it (np.seterr). Python 3.11's threads begin so by themselves.
usual_arithmetic = np.errstate(divide="warn", over="warn", under="ignore", invalid="warn")


def aligned_empty(shape: Sequence[int], dtype: DTypeLike = F32) -> Array:
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


def aligned_copy(array: NDArray[Scalar]) -> NDArray[Scalar]:
    """Return a copy of an array that begins on a cache line."""
    copy = aligned_empty(array.shape, array.dtype)
    copy[...] = array
    return copy


def concatenated(arrays: Sequence[Array]) -> Array:
    """Return arrays of one type and width under each other; Ctrl-C is answered between two.

    >>> concatenated([np.zeros((1, 2)), np.ones((2, 2))])
    array([[0., 0.],
           [1., 1.],
           [1., 1.]])
    """
    ends = np.cumsum([len(one) for one in arrays]).tolist()
    whole = np.empty((ends[-1], *arrays[0].shape[1:]), arrays[0].dtype)
    for one, end in zip(arrays, ends):
        whole[end - len(one) : end] = one
    return whole


def gathered(column: Array, starts: Int64Array, stops: Int64Array) -> Array:
    """Return the parts of a column from each start to its stop, one after the other.

    >>> gathered(np.arange(9), np.array([5, 0]), np.array([8, 2])).tolist()
    [5, 6, 7, 0, 1]
    """
    sizes = stops - starts
    longest, total = int(sizes.max(initial=0)), int(sizes.sum())
    if column.ndim == 1 and longest <= SHORT and len(sizes) * longest <= SPARE * total:
        return _gathered_short(column, starts, sizes, longest)
    spans = zip(starts.tolist(), stops.tolist())
    return np.concatenate([column[:0], *[column[start:stop] for start, stop in spans]])


def _gathered_short(column: Array, starts: Int64Array, sizes: Int64Array, longest: int) -> Array:
    """Return short parts: as much is copied for each as for the longest, then what is not its."""
    step = column.strides[0]
    windows = as_strided(column, (len(column) - longest + 1, longest), (step, step))
    firsts = np.minimum(starts, len(column) - longest)
    places, begins = np.arange(longest), (starts - firsts)[:, None]
    own = (places >= begins) & (places < begins + sizes[:, None])
    found: Array = windows[firsts][own]
    return found


def as_vector(values: ArrayLike, dim: int | None = None) -> Float32Array:
    """Return values as a float32 vector of `dim` numbers, all finite.

    Takes whatever numpy.asarray takes, torch CPU tensors and ml_dtypes arrays. Raises
    DimensionMismatch, InvalidInput or NonFiniteValue.

    >>> as_vector([1, 2, 3], dim=3)
    array([1., 2., 3.], dtype=float32)
    """
    if type(values) is np.ndarray and values.shape == (dim,) and values.dtype == F32:
        flags = values.flags  # faster for what needs no conversion
        is_plain = flags.c_contiguous and flags.aligned
        if is_plain and np.count_nonzero(np.isfinite(values)) == dim:
            return values
    return _checked(values, ("values",), (dim,))


def as_matrix(values: ArrayLike, dim: int | None = None, finite: bool = True) -> Float32Array:
    """Return values as a float32 matrix [n, dim], all finite; errors as in `as_vector`.

    An array without values, of whatever shape, has no rows. `finite=False` leaves that check to
    a kernel that reads every value anyway.
    """
    rows = _or_empty(values, dim)
    return _checked(rows, ("rows", "values per row"), (None, dim), finite)


def as_tokens(tokens: TokensLike, dim: int | None = None, finite: bool = True) -> Float32Array:
    """Return a token matrix [n, dim]: a matrix, a list of vectors or a TokenEmbeddings.

    Empty ones and `finite` as in `as_matrix`.
    """
    rows = _or_empty(getattr(tokens, "embeddings", tokens), dim)
    return _checked(rows, ("tokens", "values per token"), (None, dim), finite)


def shape_of(value: object) -> tuple[int, ...] | None:
    """Return the shape of an array of any package, None of what has none.

    >>> shape_of(np.zeros((2, 3))), shape_of([1.0])
    ((2, 3), None)
    """
    try:
        shape = value.shape  # type: ignore[attr-defined]  # what has none raises
    except (AttributeError, ValueError):  # a buffer that was released has none either
        return None
    return shape if isinstance(shape, tuple) else None


def as_float32(values: ArrayLike) -> Float32Array:
    """Return values as an aligned, contiguous float32 array of the same shape.

    What overflows becomes infinite; use `require_finite` to refuse that.
    """
    if type(values) is np.ndarray and values.dtype == F32:
        flags = values.flags
        if flags.c_contiguous and flags.aligned:
            return values
    try:
        array = np.asarray(_without_tensors(unmasked(values, "embedding")))
        if array.dtype.kind not in "bfiu" and array.size and not is_real(array.dtype):
            raise TypeError(f"{array.dtype}; {conversion(array.dtype)}")
        array = widened(array) if array.dtype in NAMED else array
        with np.errstate(all="ignore"):  # what is too small becomes subnormal or zero
            # "same_kind" refuses complex numbers, text, dates and objects.
            narrow = array.astype(np.float32, casting="same_kind", copy=False)
        return np.require(narrow, requirements=["C", "A"])
    except InvalidInput:
        raise
    except _NO_ARRAY as error:
        raise InvalidInput(
            what="embedding",
            expected="an array of real numbers",
            actual=f"{type(values).__name__}: {error}",
        ) from None


def as_array(values: Any, what: str) -> Array:
    """Return what NumPy makes of values that have no mask; raises InvalidInput, naming `what`."""
    try:
        array: Array = np.asarray(unmasked(values, what))
    except InvalidInput:
        raise
    except _NO_ARRAY as error:
        actual = f"{type(values).__name__}: {error}"
        raise InvalidInput(what=what, expected="an array", actual=actual) from None
    return array


def as_integers(values: ArrayLike, what: str) -> Array:
    """Return integers as an array of their type; of nothing, an empty one of int64.

    Raises InvalidInput, which names `what`, for anything else.

    >>> as_integers([1.0, 2.0], "rows")
    Traceback (most recent call last):
    cgcython.errors.InvalidInput: [EMB-E018] rows: expected integers, got float64
    """
    try:
        array = np.asarray(unmasked(values, what))
    except _NO_ARRAY as error:
        actual = f"{type(values).__name__}: {error}"
        raise InvalidInput(what=what, expected="integers", actual=actual) from None
    if array.dtype.kind in "ui":
        return array
    if array.size:
        raise InvalidInput(what=what, expected="integers", actual=array.dtype)
    return array.astype(np.int64, casting="unsafe")


def unmasked(values: Any, what: str) -> Any:
    """Return values, which numpy would strip of their masks.

    Raises InvalidInput where a masked array, alone or in lists, has a masked entry.
    """
    if "numpy.ma" in sys.modules:  # else there are no masked arrays
        _require_unmasked(values, what)
    return values


def _require_unmasked(values: Any, what: str) -> None:
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        place = int(np.argmax(np.ma.getmaskarray(values)))
        expected = "values without masked ones; fill them, as array.filled(0) does"
        raise InvalidInput(what=what, expected=expected, actual=f"value {place} masked")
    if isinstance(values, (list, tuple)):
        for one in values:
            if not isinstance(one, (int, float)):
                _require_unmasked(one, what)


def require_finite(array: Float32Array) -> None:
    """Raise NonFiniteValue at the first NaN or infinity of an array, in C order."""
    finite = np.isfinite(array)
    if not finite.all():
        index = int(np.argmin(finite))
        raise NonFiniteValue(index=index, value=float(np.ravel(array)[index]))


def _or_empty(values: Any, dim: int | None) -> Any:
    """Return no rows of `dim` values for a list or vector without values, as JSON has them."""
    if isinstance(values, (list, tuple)):
        is_empty = not len(values)
    else:
        is_empty = isinstance(values, np.ndarray) and values.shape == (0,)
    return np.empty((0, dim or 0), F32) if is_empty else values


def _without_tensors(values: Any) -> Any:
    """Return torch tensors, alone or in a list, as what numpy.asarray takes."""
    if isinstance(values, (list, tuple)) and values and hasattr(values[0], "detach"):
        return [_without_tensors(value) for value in values]
    if not hasattr(values, "detach"):
        return values
    values = values.detach()  # from the gradient it may need
    return values.float() if values.is_floating_point() else values


def _checked(
    values: ArrayLike, axes: Sequence[str], shape: Sequence[int | None], finite: bool = True
) -> Float32Array:
    if isinstance(values, np.ndarray):  # before a copy: a view may be larger than memory
        _require_shape(values.shape, axes, shape)
    array = as_float32(values)
    _require_shape(array.shape, axes, shape)
    if finite:
        require_finite(array)
    return array


def _require_shape(
    found: tuple[int, ...], axes: Sequence[str], wanted: Sequence[int | None]
) -> None:
    if len(found) != len(wanted):
        raise DimensionMismatch(
            expected=len(wanted), actual=len(found), what="dimensions of the array"
        )
    for axis, expected, actual in zip(axes, wanted, found):
        if expected is not None and expected != actual:
            raise DimensionMismatch(expected=expected, actual=actual, what=axis)
