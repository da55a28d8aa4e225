"""What `where` asks of metadata: conditions on paths, and all, any or none of several.

The operators mean what they mean in MongoDB, see docs/SEARCH.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from cgcython import strict_json
from cgcython.checks import require_items
from cgcython.errors import InvalidInput
from cgcython.store.where.entries import KEPT, NULL, Indexed, indexed, shortened

Where: TypeAlias = Mapping[str, Any]

COMPARISONS = ("$gt", "$gte", "$lt", "$lte")
OPERATORS = ("$eq", "$ne", *COMPARISONS, "$in", "$nin", "$exists", "$not")
CONNECTIVES = ("$and", "$or", "$not")


class OneOf(NamedTuple):
    """A record has one of some values at a path."""

    path: str
    values: tuple[Indexed, ...]


class Between(NamedTuple):
    """A record has a number, or a text, at a path that lies between two of its kind.

    `low` has a limit and whether it is left out itself, `high` one and whether it is taken in: so
    the greatest `low` and the least `high` of several are the narrowest. None is no limit.
    """

    path: str
    is_text: bool
    low: tuple[Any, bool] | None = None
    high: tuple[Any, bool] | None = None

    def narrowed(self, other: Between) -> Between:
        """Return what holds for one value where this holds and another of its path and kind."""
        low = max(filter(None, (self.low, other.low)), default=None)
        high = min(filter(None, (self.high, other.high)), default=None)
        return self._replace(low=low, high=high)


class Exists(NamedTuple):
    """A record has any value at a path."""

    path: str


@dataclass(frozen=True)  # tuples of the same conditions would be equal, whichever they are
class Every:
    """Every one of some conditions holds."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True)
class Either:
    """One or more of some conditions hold."""

    conditions: tuple[Condition, ...]


class Not(NamedTuple):
    """A condition does not hold."""

    condition: Condition


Leaf: TypeAlias = OneOf | Between | Exists
Condition: TypeAlias = Leaf | Every | Either | Not


def parsed(where: object) -> Condition:
    """Return the Condition of a `where`; raises InvalidInput for what is none.

    >>> parsed({"lang": "en"})
    Every(conditions=(OneOf(path='lang', values=('en',)),))
    """
    try:
        return _of_object(strict_json.plain(where), strict_json.MOST_LEVELS)
    except RecursionError:
        raise _too_deep() from None
    except UnicodeEncodeError as error:
        raise _wrong("text that UTF-8 has", error.object) from None


def _of_object(where: object, levels: int) -> Condition:
    if not isinstance(where, dict):
        raise _wrong("an object of conditions by path, as in {'year': {'$gte': 2010}}", where)
    if not levels:
        raise _too_deep()
    return Every(tuple(_of_pair(key, value, levels - 1) for key, value in where.items()))


def _of_pair(key: object, value: Any, levels: int) -> Condition:
    if not isinstance(key, str):
        raise _wrong("paths that are texts", key)
    if key.startswith("$"):
        return _connected(key, value, levels)
    path = shortened(_encodable(key))
    return _of_path(path, value, levels) if _has_operators(value) else _equal(path, value)


def _connected(operator: str, value: Any, levels: int) -> Condition:
    if operator == "$not":
        return Not(_of_object(value, levels))
    if operator not in CONNECTIVES:
        raise _wrong(f"a path or {', '.join(CONNECTIVES)}", operator)
    if not isinstance(value, list) or not value:
        raise _wrong(f"{operator} with a list of one or more objects", value)
    found = tuple(_of_object(one, levels) for one in value)
    return Every(found) if operator == "$and" else Either(found)


def _of_path(path: str, conditions: dict[Any, Any], levels: int) -> Condition:
    """Return what the operators of an object ask of a path, all of it."""
    found: list[Condition] = []
    for operator, value in conditions.items():
        if operator == "$not":
            if not (_has_operators(value) and levels):
                raise _wrong("$not with an object of operators", value)
            found.append(Not(_of_path(path, value, levels - 1)))
        elif operator not in OPERATORS:
            raise _wrong(f"one of {', '.join(OPERATORS)}", operator)
        else:
            found.append(_OF_OPERATOR[operator](path, value))
    return Every(tuple(found))


def _has_operators(value: object) -> bool:
    """Return whether a value is no value to compare with but an object of operators."""
    return isinstance(value, dict) and any(str(key).startswith("$") for key in value)


def _equal(path: str, value: Any) -> Condition:
    return _one_of(path, [value])


def _one_of(path: str, values: object) -> Condition:
    """Return the condition that one of some values is there; None also where there is nothing."""
    if isinstance(values, dict):
        raise _wrong("$in with a list of values", values)
    wanted = strict_json.plain(require_items(values, "where", "$in with a list of values"))
    found = OneOf(path, tuple(dict.fromkeys(_value(one) for one in wanted)))
    return Either((found, Not(Exists(path)))) if NULL in found.values else found


def _compared(operator: str) -> Callable[[str, Any], Condition]:
    """Return what makes the condition of an operator that compares numbers or texts by order."""
    is_low, is_closed = operator.startswith("$g"), operator.endswith("e")

    def compared(path: str, value: Any) -> Condition:
        is_text = isinstance(value, str)
        if not is_text and (isinstance(value, bool) or not isinstance(value, (int, float))):
            raise _wrong(f"{operator} with a number or a text", value)
        if is_text and len(value) > KEPT:
            raise _wrong(f"{operator} with a text of at most {KEPT} characters", value)
        bound = _value(value)
        if is_low:
            return Between(path, is_text, low=(bound, not is_closed))
        return Between(path, is_text, high=(bound, is_closed))

    return compared


def _exists(path: str, value: Any) -> Condition:
    if not isinstance(value, bool):
        raise _wrong("$exists with true or false", value)
    return Exists(path) if value else Not(Exists(path))


def _value(value: Any) -> Indexed:
    """Return what an index keeps of a value to compare with."""
    try:
        strict_json.to_text(value)
    except (TypeError, ValueError):
        raise _wrong("values that JSON has", value) from None
    return indexed(_encodable(value) if isinstance(value, str) else value)


def _encodable(text: str) -> str:
    text.encode()
    return text


def _too_deep() -> InvalidInput:
    return _wrong(f"at most {strict_json.MOST_LEVELS} levels", "more")


def _wrong(expected: str, actual: object) -> InvalidInput:
    try:
        shown = f"{actual!r:.60}"
    except ValueError:  # an integer of thousands of digits
        shown = type(actual).__name__
    return InvalidInput(what="where", expected=expected, actual=shown)


_OF_OPERATOR: dict[str, Callable[[str, Any], Condition]] = {
    "$eq": _equal,
    "$ne": lambda path, value: Not(_equal(path, value)),
    "$in": _one_of,
    "$nin": lambda path, values: Not(_one_of(path, values)),
    "$exists": _exists,
    **{operator: _compared(operator) for operator in COMPARISONS},
}
