"""Which parts of a column are joined, so that a search meets few and a write rewrites little.

A new part joins those of its scan key that are less than SMALLER times as large, the smallest
first, and what came of that goes on; those of up to SMALL rows always join. So each part is
SMALLER times as large as the next one, there are O(log rows) of them, and a row is copied
O(log rows) times.
"""

from collections.abc import Iterable, Sequence

from cgcython.search.column_part import ColumnPart

SMALLER = 8
SMALL = 64  # rows, which are copied sooner than two scans are asked


def merged(parts: Sequence[ColumnPart], new: Iterable[ColumnPart]) -> list[ColumnPart]:
    """Return the parts of a column and new ones, rewritten where many of their rows are gone."""
    found = [part for part in parts if len(part) and not part.wants_rewriting]
    rewritten = [ColumnPart.of(one.whole()) for one in parts if len(one) and one.wants_rewriting]
    for part in [*rewritten, *new]:
        _add(found, part)
    return found


def _add(parts: list[ColumnPart], part: ColumnPart) -> None:
    """Add a part to others, joined with those of its scan key that are not much larger."""
    key = part.scan.key
    same = [one for one in parts if one.scan.key == key]
    for other in sorted(same, key=len):
        if len(other) >= max(SMALLER * len(part), SMALL - len(part) + 1):
            break
        parts.remove(other)
        part = other.joined(part) if len(other) >= len(part) else part.joined(other)
        if part.wants_rewriting:
            part = ColumnPart.of(part.whole())
    parts.append(part)
