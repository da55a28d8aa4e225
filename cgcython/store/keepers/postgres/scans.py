"""Reads all rows in the order of their keys, a page at a time, so that memory does not grow.

Each page is asked for by the key it begins behind, not from a cursor: a scan may take hours, and no
transaction stays open meanwhile, nor is it lost with its connection.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from cgcython.errors import StorageCorruption
from cgcython.store.ids import MOST_KEY_BYTES
from cgcython.store.keeper import Read, Record, Stretch
from cgcython.store.keepers.postgres.connections import Row
from cgcython.store.keepers.postgres.layout import column
from cgcython.store.keepers.postgres.reading import RowReader, record_of

STRIPES = 16  # of keys by their first four bits
_HEADS, _SECTIONS, _RECORDS = 4096, 1024, 128  # rows of a page
_BEHIND_ALL = b"\xff" * (MOST_KEY_BYTES + 1)
_STEP = 256 // STRIPES


class RowScanner(RowReader):
    """A RowReader that reads all of them, too."""

    def stripes(self) -> int:
        """Return the number of parts of the keys, which differ in their first bits."""
        return STRIPES

    def scan_heads(
        self, prefix: bytes = b"", stripe: int | None = None
    ) -> Iterator[tuple[bytes, Read]]:
        """Yield (key, head) of the records whose keys have a prefix."""
        for page in self._pages(["head"], "head IS NOT NULL", _HEADS, stripe, prefix):
            for row in page:
                yield row[0], row[1]

    def scan_sections(self, number: int, stripe: int | None = None) -> Iterator[Stretch]:
        """Yield stretches of the sections of an embedder."""
        if number not in self._numbers:
            return
        name = column(number)
        for page in self._pages(["head", name], f"{name} IS NOT NULL", _SECTIONS, stripe):
            keys, heads, sections = zip(*page)
            yield Stretch(keys, heads, sections)

    def scan_records(self, stripe: int | None = None) -> Iterator[tuple[bytes, Record]]:
        """Yield (key, record) of all records, and of sections without one."""
        columns = [column(number) for number in self._numbers]
        is_there = f"coalesce({', '.join(['head', *columns])}) IS NOT NULL"
        for page in self._pages(["head", *columns], is_there, _RECORDS, stripe):
            for row in page:
                yield row[0], record_of(row, self._numbers)

    def scan_gone(self, stripe: int | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, value) of what the trash keeps."""
        for page in self._pages(["gone"], "gone IS NOT NULL", _RECORDS, stripe):
            for key, value in page:
                if isinstance(value, StorageCorruption):
                    raise value
                yield key, value

    def _pages(
        self,
        columns: Sequence[str],
        is_there: str,
        size: int,
        stripe: int | None,
        prefix: bytes = b"",
    ) -> Iterator[list[Row]]:
        """Yield pages of rows of key and columns."""
        self._session.require_open()
        first, end = _bounds(prefix, stripe)
        while first < end:
            page = self._page(columns, is_there, [first, end, size])
            if page:
                yield page
            if len(page) < size:
                return
            first = page[-1][0] + b"\0"  # the next key that there can be

    def _page(self, columns: Sequence[str], is_there: str, values: list[object]) -> list[Row]:
        """Return a page, with the damage of a row in place of all its columns."""
        statement = (
            f"SELECT {{}} FROM {self._tables.records} WHERE id >= %s AND id < %s AND {is_there} "
            "ORDER BY id LIMIT %s"
        )
        try:
            return self._rows(statement.format(", ".join(["id", *columns])), values)
        except StorageCorruption:
            keys = [key for (key,) in self._rows(statement.format("id"), values)]
        found = self._by_key(columns, keys)
        damaged = partial(_damaged, width=len(columns))
        return [
            row if isinstance(row, tuple) else damaged(key, row)
            for key, row in ((key, found.get(key)) for key in keys)
            if row is not None
        ]


def _damaged(key: bytes, error: object, width: int) -> Row:
    return (key, *[error] * width)


def _bounds(prefix: bytes, stripe: int | None) -> tuple[bytes, bytes]:
    """Return the first key of a stripe with a prefix, and the end of them.

    >>> _bounds(b"\\x1f", 1), _bounds(b"\\xff", None)[1] == _BEHIND_ALL
    ((b'\\x1f', b' '), True)
    """
    first, end = prefix, _behind(prefix)
    if stripe is not None:
        first = max(first, bytes([stripe * _STEP]) if stripe else b"")
        end = min(end, _behind(bytes([(stripe + 1) * _STEP - 1])))
    return first, end


def _behind(prefix: bytes) -> bytes:
    """Return what follows all keys with a prefix, and nothing else follows less."""
    rest = prefix.rstrip(b"\xff")
    return rest[:-1] + bytes([rest[-1] + 1]) if rest else _BEHIND_ALL
