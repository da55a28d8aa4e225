"""Takes metadata apart into entries: a path, and a value that is found there.

The path of a value is the keys that lead to it, with dots between them. Where a list is, its
elements are found at its path beside the list itself, and what leads on from an object in it leads
on from the list. An index keeps entries as SQLite orders them: numbers, then texts, then the rest.
"""

import json
from collections import Counter
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, TypeAlias

Indexed: TypeAlias = int | float | str | bytes
Entry: TypeAlias = tuple[str, Indexed]

NULL, FALSE, TRUE = b"n", b"f", b"t"
SEVERAL = b"m"  # beside the values of a path of which a record has several to compare by order
LONGEST, KEPT = 96, 64  # characters of a text that is kept as it is, and of a longer one
_LEAST, _END = -(1 << 63), 1 << 63  # of integers in SQLite; others are compared as floats

_as_text = json.JSONEncoder(sort_keys=True).encode


def entries_of(metadata: Mapping[str, Any]) -> set[Entry]:
    """Return the entries of a record's metadata.

    >>> sorted(entries_of({"year": 2010, "author": {"name": "Ada"}}), key=str)[1:]
    [('author.name', 'Ada'), ('year', 2010)]
    """
    found: set[Entry] = set()
    for key, value in metadata.items():
        _enter(found, key, value)
    if len({path for path, _ in found}) < len(found):
        ordered = Counter(path for path, value in found if not isinstance(value, bytes))
        found.update((path, SEVERAL) for path, count in ordered.items() if count > 1)
    return found


def _enter(found: set[Entry], path: str, value: Any) -> None:
    """Add the entries of a value: itself, the elements of a list, and what is in objects."""
    short = shortened(path)
    found.add((short, indexed(value)))
    if isinstance(value, dict):
        _enter_items(found, path, value)
    elif isinstance(value, list):
        for one in value:
            found.add((short, indexed(one)))
            if isinstance(one, dict):
                _enter_items(found, path, one)


def _enter_items(found: set[Entry], path: str, items: dict[str, Any]) -> None:
    for key, value in items.items():
        _enter(found, f"{path}.{key}", value)


def indexed(value: Any) -> Indexed:
    """Return what an index keeps of a value of JSON: equal ones for equal values.

    Whole floats are integers; long texts, lists and objects end in, or are, a digest.

    >>> indexed(2.0), indexed(True), indexed("x" * 200)[:3], len(indexed("x" * 200))
    (2, b't', 'xxx', 97)
    """
    if isinstance(value, str):
        return shortened(value)
    if isinstance(value, bool):
        return TRUE if value else FALSE
    if isinstance(value, (int, float)):
        return _number(value)
    if value is None:
        return NULL
    text = _as_text(_comparable(value))
    kind = b"l" if isinstance(value, list) else b"o"
    return kind + blake2b(text.encode(), digest_size=16).digest()


def shortened(text: str) -> str:
    """Return a text, or the beginning of a long one and its digest, which no short one equals."""
    if len(text) <= LONGEST:
        return text
    return f"{text[:KEPT]}\0{blake2b(text.encode(), digest_size=16).hexdigest()}"


def _number(value: float) -> int | float:
    if isinstance(value, float):
        return int(value) if value.is_integer() and _LEAST <= value < _END else value
    if _LEAST <= value < _END:
        return value
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _comparable(value: Any) -> Any:
    """Return a value of JSON whose text is that of all that are equal to it."""
    if isinstance(value, dict):
        return {key: _comparable(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_comparable(one) for one in value]
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return _number(value) if is_number else value
