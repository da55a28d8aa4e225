"""Prints data to stdout: aligned tables for people, stable JSON for programs."""

import json
import sys
from collections.abc import Sequence


def print_json(value: object) -> None:
    """Print one JSON document on one line; keys keep the order they were given."""
    is_unicode = (sys.stdout.encoding or "utf-8").lower() == "utf-8"
    print(json.dumps(value, ensure_ascii=not is_unicode, allow_nan=False, default=str))


def print_table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under headers; a column of figures is aligned to the right.

    >>> print_table(["what", "bytes"], [["E1", 8], ["E13", 120]])
    what  bytes
    E1        8
    E13     120
    """
    texts = [list(map(_text, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(headers, *texts)]
    right = [all(_is_figure(row[i]) for row in rows) for i in range(len(headers))]
    for row in [list(headers), *texts]:
        cells = (
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right)
        )
        print("  ".join(cells).rstrip())


def _text(value: object) -> str:
    return "-" if value is None else str(value)


def _is_figure(value: object) -> bool:
    text = _text(value)
    return text == "-" or text[0] in "+-.0123456789"
