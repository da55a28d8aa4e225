"""JSON that every reader understands alike: no key twice, no NaN, no depth that a stack decides."""

import json
from collections.abc import Collection, Mapping
from datetime import date, time
from math import isfinite
from typing import Any

import numpy as np

MOST_LEVELS = 32  # of lists and objects in each other
TOO_DEEP = f"objects and lists more than {MOST_LEVELS} deep"


def parse(text: str | bytes) -> Any:
    """Return the value of a JSON text. Raises ValueError, and nothing else, for any other text.

    >>> parse('{"a": [1, 2.5]}')
    {'a': [1, 2.5]}
    >>> parse('{"a": 1, "a": NaN}')
    Traceback (most recent call last):
    ValueError: the number NaN
    """
    if isinstance(text, bytes):
        text = text.decode()
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_float=_finite, parse_constant=_finite
        )
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    _require_shallow(value)
    return value


def parse_object(text: str | bytes) -> dict[str, Any]:
    """Return the object of a JSON text; raises ValueError for all else."""
    value = parse(text)
    if type(value) is not dict:
        raise ValueError(f"{type(value).__name__} instead of an object")
    return value


def to_text(value: object) -> str:
    """Return a value as a JSON text that `parse` takes.

    Raises ValueError for NaN, infinities and what is nested too deeply, TypeError for values that
    JSON does not have.
    """
    try:
        text = json.dumps(value, allow_nan=False)
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    parse(text)
    return text


def plain(value: Any) -> Any:
    """Return a value as JSON has it: NumPy's numbers as Python's, dates and times as ISO 8601.

    Arrays become lists. Objects and lists are new, their items are taken alike; whatever else is
    no value of JSON comes back as it is.

    >>> plain({"year": np.int16(2010), "day": date(2010, 5, 1)})
    {'year': 2010, 'day': '2010-05-01'}
    """
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist() if value.dtype.kind in "biufUO" else list(value)
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, np.datetime64) and not np.isnat(value):
        return str(value)
    if isinstance(value, (np.bool_, np.number)) and not isinstance(value, np.timedelta64):
        return value.item()
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object that has a key twice")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"the number {text}")
    return number


def _require_shallow(value: object) -> None:
    level, levels = _nested([value]), 0
    while level:
        levels += 1
        if levels > MOST_LEVELS:
            raise ValueError(TOO_DEEP)
        level = [one for parent in level for one in _nested(parent)]


def _nested(values: Collection[object]) -> list[list[object]]:
    """Return the elements of each list and object among some values."""
    lists = [one for one in values if isinstance(one, list)]
    return lists + [list(one.values()) for one in values if isinstance(one, dict)]
