"""Conditions on metadata as the server answers them, with the meaning that an index gives them.

The column `metadata` has an object: under each path the list of the values that `entries_of` finds
there. Numbers are JSON's; texts are `t` and the text, without the character NUL, which the server
does not take; what else there is is `b` and its bytes. The server compares numbers by their decimal
digits, of which different floats have different ones in the same order, and texts by their code
points.
"""

import json
import math
from collections.abc import Mapping
from typing import Any, TypeAlias

from cgcython.store.where.conditions import Between, Condition, Either, Every, Exists, Not, OneOf
from cgcython.store.where.entries import SEVERAL, Indexed, entries_of
from cgcython.store.where.heads import metadata_text

Sql: TypeAlias = tuple[str, list[object]]  # a statement's part, and its values
FEW = 16  # values that are looked up one by one
_AFTER_TEXTS = "u"  # follows all texts that begin with `t`
_HUGE = 10**400  # what is beyond all floats, for infinity, which JSON has not


def document(head: bytes) -> str | None:
    """Return the value of the column for a record's head, None for one that cannot be read.

    >>> from cgcython.manifest import Manifest
    >>> document(Manifest.now({}).with_info(metadata={"year": 2010}).to_bytes())
    '{"year": [2010]}'
    """
    text = metadata_text(head)
    if text is None:
        return None
    return _of_metadata(json.loads(text)) if text else "{}"


def _of_metadata(metadata: Mapping[str, Any]) -> str:
    found: dict[str, list[int | float | str]] = {}
    for path, value in entries_of(metadata):
        if value != SEVERAL:
            found.setdefault(_without_nul(path), []).append(_value(value))
    return json.dumps(found)


def _value(value: Indexed) -> int | float | str:
    if isinstance(value, str):
        return "t" + _without_nul(value)
    if isinstance(value, bytes):
        return "b" + value.hex()
    return value if math.isfinite(value) else int(math.copysign(1, value)) * _HUGE


def _without_nul(text: str) -> str:
    r"""Return a text that has no NUL; different ones for different texts, in the same order.

    >>> _without_nul("\0"), _without_nul("\1"), _without_nul("a")
    ('\x01\x01', '\x01\x02', 'a')
    """
    return text.replace("\1", "\1\2").replace("\0", "\1\1")


def sql_of(condition: Condition) -> Sql:
    """Return what is true of a row of `records` where a condition holds, and false elsewhere.

    >>> sql_of(OneOf("year", (2010,)))
    ('metadata @> %s::jsonb', ['{"year": [2010]}'])
    """
    if isinstance(condition, Not):
        text, values = sql_of(condition.condition)
        return f"NOT ({text})", values
    if isinstance(condition, Every):
        return _joined(condition.conditions, " AND ", "TRUE")
    if isinstance(condition, Either):
        return _joined(condition.conditions, " OR ", "FALSE")
    path = _without_nul(condition.path)
    if isinstance(condition, Exists):
        return "jsonb_exists(metadata, %s)", [path]
    if isinstance(condition, OneOf):
        return _one_of(path, list(map(_value, condition.values)))
    return _between(path, condition)


def _joined(conditions: tuple[Condition, ...], connective: str, of_none: str) -> Sql:
    parts = [sql_of(one) for one in conditions]
    text = connective.join(f"({text})" for text, _ in parts)
    return text or of_none, [value for _, values in parts for value in values]


def _one_of(path: str, values: list[int | float | str]) -> Sql:
    if not values:
        return "FALSE", []
    if len(values) <= FEW:
        texts: list[object] = [json.dumps({path: [value]}) for value in values]
        return " OR ".join(["metadata @> %s::jsonb"] * len(texts)), texts
    found = "SELECT 1 FROM jsonb_array_elements(metadata -> %s) AS v WHERE v = ANY (%s::jsonb[])"
    return f"EXISTS ({found})", [path, [json.dumps(value) for value in values]]


def _between(path: str, condition: Between) -> Sql:
    limits: list[tuple[str, int | float | str]] = []
    if condition.low is not None:
        value, is_open = condition.low
        limits.append((">" if is_open else ">=", _value(value)))
    if condition.high is not None:
        value, is_closed = condition.high
        limits.append(("<=" if is_closed else "<", _value(value)))
    if condition.is_text:
        limits += [(">=", "t"), ("<", _AFTER_TEXTS)]
    tests = " && ".join(f"@ {operator} $v{n}" for n, (operator, _) in enumerate(limits))
    values = json.dumps({f"v{n}": value for n, (_, value) in enumerate(limits)})
    found = f"jsonb_path_exists(metadata -> %s, '$[*] ? ({tests})', %s::jsonb)"
    return f"coalesce({found}, FALSE)", [path, values]
