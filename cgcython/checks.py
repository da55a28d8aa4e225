"""Checks of single arguments that stand at many doors: numbers and choices."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import index
from typing import Any, TypeVar

from cgcython.errors import InvalidInput

Kind = TypeVar("Kind")
NO_KEY = (TypeError, ValueError)  # what a dict raises for what has no hash


def require_whole(value: object, what: str, least: float = 0, most: int | None = None) -> int:
    """Return a whole number as an int; numpy's are taken, booleans are not.

    Raises InvalidInput unless it is one, from `least` to `most`.

    >>> require_whole(3.0, "k")
    Traceback (most recent call last):
    cgcython.errors.InvalidInput: [EMB-E018] k: expected 0 or more, got 3.0
    """
    number = None if isinstance(value, bool) else _index(value)
    if number is None or number < least or (most is not None and number > most):
        expected = f"{least} or more" if most is None else f"{least} to {most}"
        raise InvalidInput(what=what, expected=expected, actual=_shown(value))
    return number


def require_real(
    value: object, what: str, least: float = -math.inf, most: float = math.inf
) -> float:
    """Return a number as a float; text and NaN are none.

    Raises InvalidInput unless it is one, from `least` to `most`.
    """
    number = math.nan if isinstance(value, (str, bytes, bytearray)) else _float(value)
    if not least <= number <= most:
        raise InvalidInput(what=what, expected=_range(least, most), actual=_shown(value))
    return number


def require_instance(value: object, kind: type[Kind], what: str) -> Kind:
    """Return a value of a class. Raises InvalidInput for any other."""
    if not isinstance(value, kind):
        expected, actual = f"a {kind.__name__}", type(value).__name__
        raise InvalidInput(what=what, expected=expected, actual=actual)
    return value


def require_mapping(value: object, what: str) -> Mapping[Any, Any]:
    """Return a mapping. Raises InvalidInput for anything else."""
    if not isinstance(value, Mapping):
        raise InvalidInput(what=what, expected="a mapping", actual=type(value).__name__)
    return value


def require_choice(value: object, what: str, choices: Iterable[str]) -> str:
    """Return a text that is one of some choices. Raises InvalidInput for any other."""
    known = tuple(choices)
    if not isinstance(value, str) or value not in known:
        raise InvalidInput(what=what, expected=" or ".join(known), actual=_shown(value))
    return value


def iterated(values: object, what: str, expected: str = "a collection") -> Iterator[Any]:
    """Return an iterator over a collection or a generator; a text or bytes is one thing.

    Raises InvalidInput for what has no items.
    """
    if not isinstance(values, (str, bytes, bytearray, memoryview)):
        try:
            return iter(values)  # type: ignore[call-overload, no-any-return]  # else it raises
        except TypeError:
            pass
    raise InvalidInput(what=what, expected=expected, actual=_shown(values))


def require_items(values: object, what: str, expected: str = "a collection") -> list[Any]:
    """Return what `iterated` does, in a list; raises InvalidInput for more than memory holds."""
    try:
        return list(iterated(values, what, expected))
    except MemoryError:
        raise InvalidInput(what=what, expected=expected, actual=_shown(values)) from None


def require_progress(progress: Callable[..., object] | None) -> None:
    """Raise InvalidInput unless progress can be told, or is None, before any work is done."""
    if progress is not None:
        require_callable(progress, "progress")


def require_callable(value: Any, what: str) -> None:  # of an object, mypy would invent a class
    """Raise InvalidInput unless a value can be called."""
    if not callable(value):
        raise InvalidInput(what=what, expected="a function", actual=_shown(value))


def nearest(word: str, known: Iterable[str]) -> str:
    """Return what a message adds about a word that is not known: the nearest one, if any is near.

    >>> nearest("serch", ["search", "store"])
    '; did you mean search?'
    """
    from difflib import get_close_matches  # only mistakes need it

    spelled = {one.lower(): one for one in known}
    found = get_close_matches(word.lower(), spelled, n=1)
    return f"; did you mean {spelled[found[0]]}?" if found else ""


def _index(value: object) -> int | None:
    try:
        return index(value)  # type: ignore[arg-type]  # what is no integer raises
    except TypeError:
        return None


def _float(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]  # what is no number raises
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _range(least: float, most: float) -> str:
    if math.isinf(most):
        return "a number" if math.isinf(least) else f"a number, {least:g} or more"
    return f"a number from {least:g} to {most:g}"


def _shown(value: object) -> object:
    """Return what a message shows of a value that may be of any kind and size."""
    if isinstance(value, str):
        return f"{value:.60}"
    return value if isinstance(value, (int, float)) else f"{value!r:.60}"
