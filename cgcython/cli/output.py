"""Prints data to stdout: aligned tables for people, stable JSON for programs."""

import json
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence

from cgcython.cli.streams import between_bars

GAP = "  "  # between columns
NARROWEST = 20  # columns of a wrapped cell


def print_json(value: object) -> None:
    """Print one JSON document on one line; keys keep the order they were given."""
    is_unicode = (sys.stdout.encoding or "utf-8").lower() == "utf-8"
    text = json.dumps(value, ensure_ascii=not is_unicode, allow_nan=False, default=str)
    with between_bars():
        print(text)


def print_table(headers: Sequence[str], rows: Sequence[Sequence[object]], keys: int = 1) -> None:
    """Print rows under headers; a column of figures is aligned to the right.

    A table wider than the screen (80 columns where there is none) goes on below, with its first
    `keys` columns again; a cell that is wider than the room is wrapped.

    >>> print_table(["what", "bytes"], [["E1", 8], ["E13", 120]])
    what  bytes
    E1        8
    E13     120
    """
    columns = [
        _aligned(
            [header, *(_text(row[i]) for row in rows)], all(_is_figure(row[i]) for row in rows)
        )
        for i, header in enumerate(headers)
    ]
    room = shutil.get_terminal_size().columns
    for number, table in enumerate(_folded(columns, keys, room)):
        if number:
            print()
        for row in zip(*table):
            print(_row(row, room))


def print_filled(text: str, indent: str = "") -> None:
    """Print a sentence or a fact, over several lines where it is wider than the screen.

    >>> print_filled("records: 4", indent="  ")
      records: 4
    """
    lines = textwrap.wrap(
        text,
        shutil.get_terminal_size().columns,
        initial_indent=indent,
        subsequent_indent=2 * indent,
        break_long_words=False,  # paths
        break_on_hyphens=False,
    )
    print("\n".join(lines))


def _aligned(cells: list[str], to_right: bool) -> list[str]:
    width = max(map(len, cells))
    return [cell.rjust(width) if to_right else cell.ljust(width) for cell in cells]


def _folded(columns: list[list[str]], keys: int, room: int) -> Iterator[list[list[str]]]:
    """Yield tables of some columns that fit the room, or have one column beside the keys."""
    table = columns[:keys]
    for column in columns[keys:]:
        width = sum(len(one[0]) + len(GAP) for one in table) + len(column[0])
        if len(table) > keys and width > room:
            yield table
            table = columns[:keys]
        table = [*table, column]
    yield table


def _row(cells: Sequence[str], room: int) -> str:
    """Return the line of a row, or several where its last cell needs them."""
    line = GAP.join(cells).rstrip()
    if len(line) <= room:
        return line
    begin = len(GAP.join(cells[:-1]) + GAP) if len(cells) > 1 else 0
    wrapped = textwrap.wrap(cells[-1], max(room - begin, NARROWEST), break_on_hyphens=False)
    first = line[:begin] + wrapped[0]
    return "\n".join([first, *(" " * begin + rest for rest in wrapped[1:])])


def _text(value: object) -> str:
    return "-" if value is None else str(value)


def _is_figure(value: object) -> bool:
    text = _text(value)
    return text == "-" or text[:1] in "+-.0123456789"
