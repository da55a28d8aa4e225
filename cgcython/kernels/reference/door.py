"""The shape checks of the reference kernels."""

import numpy as np


def agree(what, actual, other, expected):
    """Raise ValueError unless two lengths agree."""
    if actual != expected:
        raise ValueError(f"{what} holds {actual}, {other} holds {expected}")


def rows_agree(what, actual, other, expected):
    """Raise ValueError unless two matrices have the same shape."""
    agree(what, actual.shape[0], other, expected.shape[0])
    agree(f"a row of {what}", actual.shape[1], f"a row of {other}", expected.shape[1])


def check_offsets(what, offsets, rows):
    """Raise ValueError unless offsets ascend within some rows."""
    if len(offsets) == 0 or offsets[0] < 0 or offsets[-1] > rows:
        raise ValueError(f"{what} leave {rows} rows")
    falls = offsets[1:] < offsets[:-1]
    if falls.any():
        raise ValueError(f"{what} fall at {falls.argmax()}")


def first_nonfinite(values):
    """Return the flat index of the first NaN or infinity, or -1."""
    nonfinite = ~np.isfinite(values)
    return int(nonfinite.argmax()) if nonfinite.any() else -1


def plain_vector(values, dim):
    """Return whether values is a finite, contiguous, native float32 array of `dim` numbers."""
    return (
        isinstance(values, np.ndarray)
        and values.dtype == np.float32
        and values.dtype.isnative
        and values.shape == (dim,)
        and values.flags.c_contiguous
        and values.flags.aligned
        and bool(np.isfinite(values).all())
    )


def vector_out(out, n):
    """Return a new float32 array of n numbers, or `out` where it is a plain one, else None."""
    if out is None:
        return np.empty(n, np.float32)
    is_plain = isinstance(out, np.ndarray) and (out.shape, out.dtype) == ((n,), np.float32)
    return out if is_plain and out.flags.carray else None


def plain_out(out, n):
    """Return whether `out` is a contiguous, writable array of n bytes."""
    is_plain = isinstance(out, np.ndarray) and (out.shape, out.dtype) == ((n,), np.uint8)
    return is_plain and out.flags.carray
