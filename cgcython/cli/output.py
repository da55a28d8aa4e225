"""Data for stdout: aligned tables for people, stable JSON for programs."""

import json


def print_json(value):
    """Print one JSON document on one line; keys keep the order they were given."""
    print(json.dumps(value, ensure_ascii=False, allow_nan=False, default=str))


def print_table(headers, rows):
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


def _text(value):
    return "-" if value is None else str(value)


def _is_figure(value):
    text = _text(value)
    return text == "-" or text[0] in "+-.0123456789"


def change_cells(change):
    """Return the cells of a Change: float32, what was compared with it, drop and interval in %."""
    if change is None:
        return [None] * 4
    low, high = change.interval
    return [
        f"{change.float32:.4f}",
        f"{change.quantized:.4f}",
        f"{100 * change.drop:.2f}",
        f"{100 * low:.1f}..{100 * high:.1f}",
    ]
