"""The checks of the reference kernels."""

import functools
import inspect

import numpy as np


def writes(*outputs, in_place=()):
    """Let a kernel refuse arrays that the compiled levels refuse.

    These are misaligned and strided arrays, and outputs that are read-only or overlap any other
    array; but an output may be the very array that `in_place` names.
    """

    def decorate(kernel):
        signature = inspect.signature(kernel)

        @functools.wraps(kernel)
        def checked(*positional, **named):
            arguments = signature.bind(*positional, **named).arguments
            for what, array in _arrays(arguments):
                _require_plain(what, array, what in outputs)
                for output in outputs:
                    same = what in in_place and arguments[output] is array
                    if output != what and not same:
                        require_apart(output, arguments[output], what, array)
            return kernel(*positional, **named)

        return checked

    return decorate


def _arrays(arguments):
    """Yield (name, array) of arguments and of prepared codebooks among them."""
    for what, value in arguments.items():
        for array in value if isinstance(value, tuple) else (value,):
            if isinstance(array, np.ndarray):
                yield what, array


def _require_plain(what, array, is_written):
    if not array.flags.aligned:
        raise ValueError(
            f"{what} does not begin at a multiple of its element's {array.itemsize} bytes; "
            f"pass a copy"
        )
    if not array.flags.c_contiguous:
        raise ValueError(f"{what} is not C-contiguous")
    if is_written and not array.flags.writeable:
        raise ValueError(f"{what} is read-only")


def require_apart(what, written, other, array):
    """Raise ValueError where two contiguous arrays overlap."""
    if np.may_share_memory(written, array):
        raise ValueError(f"{what} overlaps {other}; give it memory of its own")


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


def is_unmasked(array):
    """Return whether something is an array, and none that masks some of its values."""
    return isinstance(array, np.ndarray) and not isinstance(array, np.ma.MaskedArray)


def plain_vector(values, dim):
    """Return whether values is a finite, contiguous, native float32 array of `dim` numbers."""
    return (
        is_unmasked(values)
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
