"""Which parts of a column are joined, so that a search meets few and a write rewrites little.

A new part joins those of its scan key that are less than SMALLER times as large, the smallest
first, and what came of that goes on. So each part is SMALLER times as large as the next one, there
are O(log rows) of them, and a row is copied O(log rows) times.
"""

from collections.abc import Iterable, Sequence

from cgcython.search.column_part import ColumnPart

SMALLER = 8


def merged(parts: Sequence[ColumnPart], new: Iterable[ColumnPart]) -> list[ColumnPart]:
    """Return the parts of a column and new ones, rewritten where many of their rows are gone."""
    found: list[ColumnPart] = []
    for part in [*parts, *new]:
        _add(found, _rewritten(part))
    return found


def _rewritten(part: ColumnPart) -> ColumnPart:
    return ColumnPart.of(part.whole()) if len(part) and part.wants_rewriting else part


def _add(parts: list[ColumnPart], part: ColumnPart) -> None:
    """Add a part to others, joined with those of its scan key that are not much larger."""
    if not len(part):
        return
    same = [one for one in parts if one.scan.key == part.scan.key]
    for other in sorted(same, key=len):
        if len(other) >= SMALLER * len(part):
            break
        parts.remove(other)
        part = _rewritten(other.joined(part) if len(other) >= len(part) else part.joined(other))
    parts.append(part)
