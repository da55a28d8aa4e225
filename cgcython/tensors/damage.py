"""What reading a damaged or hostile file may raise inside, and how a caller is told of it."""

from collections.abc import Iterator
from contextlib import contextmanager

from cgcython.errors import (
    DimensionMismatch,
    FileUnavailable,
    InvalidQuantizedData,
    NonFiniteValue,
    QuantizationError,
    StorageCorruption,
    UnknownMethod,
)
from cgcython.types import StrPath


class Malformed(ValueError):
    """A file is not what its kind promises; the message says in what."""


# All that content which contradicts itself may raise while it is taken apart.
MALFORMED = (
    ArithmeticError,
    AttributeError,
    DimensionMismatch,
    InvalidQuantizedData,
    LookupError,
    NonFiniteValue,
    RecursionError,
    TypeError,
    ValueError,
)


@contextmanager
def told_as_damage(
    where: StrPath, error: type[StorageCorruption] = StorageCorruption
) -> Iterator[None]:
    """Turn whatever a file's content makes the block raise into one error that names the file.

    A file that cannot be opened raises FileUnavailable.
    """
    try:
        yield
    except OSError as cause:
        if isinstance(cause, FileUnavailable):
            raise
        reason = cause.strerror or type(cause).__name__
        raise FileUnavailable(path=str(where), reason=reason) from None
    except UnknownMethod as cause:  # the file is sound, a package is missing
        cause.what = f"{cause.what} in {where}"
        raise
    except MALFORMED as cause:
        own = isinstance(cause, (Malformed, QuantizationError))
        reason = str(cause) if own else f"{type(cause).__name__}: {cause}"
        raise error(where=str(where), reason=reason) from None
