"""Reads all rows in the order of their keys, a page at a time, so that memory does not grow.

Each page is asked for by the key it begins behind, not from a cursor: a scan may take hours, and no
transaction stays open meanwhile, nor is it lost with its connection.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from cgcython.errors import StorageCorruption
from cgcython.store.ids import MOST_KEY_BYTES
from cgcython.store.keeper import Read, Record, Stretch, Stripe
from cgcython.store.keepers.postgres.connections import Row
from cgcython.store.keepers.postgres.layout import column
from cgcython.store.keepers.postgres.reading import RowReader, record_of
from cgcython.store.owned import are_own

STRIPES = 16  # of keys by their first four bits
_HEADS, _SECTIONS, _RECORDS = 4096, 1024, 128  # rows of a page
_BEHIND_ALL = b"\xff" * (MOST_KEY_BYTES + 1)
_STEP = 256 // STRIPES
_PARTS, _LEAST_RECORDS, _SAMPLED_BYTES = 32, 1024, 16 << 20  # records of a part
_BYTES = "SELECT pg_relation_size(%s::regclass)"
_CUTS = (
    "SELECT count(*), percentile_disc(%s::float8[]) WITHIN GROUP (ORDER BY id) "
    "FROM {} TABLESAMPLE SYSTEM (%s)"
)


class RowScanner(RowReader):
    """A RowReader that reads all of them, too."""

    def stripes(self) -> int:
        """Return the number of parts of the keys, which differ in their first bits."""
        return STRIPES

    def parts(self) -> Sequence[Stripe]:
        """Return parts of the keys that hold about as many records each, by a sample of pages.

        Stripes would not do: all integers begin with the same bits.
        """
        records = self._tables.records
        ((size,),) = self._rows(_BYTES, [records])
        shares = [number / _PARTS for number in range(1, _PARTS)]
        percent = 100 * min(1.0, _SAMPLED_BYTES / max(1, size))
        ((count, found),) = self._rows(_CUTS.format(records), [shares, percent])
        records_of_part = count * 100 / percent / _PARTS
        every = max(1, round(_LEAST_RECORDS / max(1, records_of_part)))
        some = sorted({bytes(cut) for cut in (found or ())[every - 1 :: every]})
        cuts = [b"", *some, _BEHIND_ALL]
        return list(pairwise(cuts))

    def scan_heads(
        self, prefix: bytes = b"", stripe: int | None = None
    ) -> Iterator[tuple[bytes, Read]]:
        """Yield (key, head) of the records whose keys have a prefix."""
        for page in self._pages(["head"], ["head"], _HEADS, stripe, prefix):
            for row in page:
                self._session.require_open()
                yield row[0], row[1]

    def scan_sections(self, number: int, stripe: Stripe | None = None) -> Iterator[Stretch]:
        """Yield stretches of the sections of an embedder."""
        if number not in self._numbers:
            return
        name = column(number)
        for page in self._pages(["head", name], [name], _SECTIONS, stripe):
            keys, heads, sections = zip(*page)
            yield Stretch(keys, sections, are_own(heads, sections, number))

    def scan_records(self, stripe: int | None = None) -> Iterator[tuple[bytes, Record]]:
        """Yield (key, record) of all records, and of sections without one."""
        columns = ["head", *map(column, self._numbers)]
        for page in self._pages(columns, columns, _RECORDS, stripe):
            for row in page:
                self._session.require_open()
                yield row[0], record_of(row, self._numbers)

    def scan_gone(self, stripe: int | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, value) of what the trash keeps."""
        for page in self._pages(["gone"], ["gone"], _RECORDS, stripe):
            for key, value in page:
                self._session.require_open()
                if isinstance(value, StorageCorruption):
                    raise value
                yield key, value

    def _pages(
        self,
        columns: Sequence[str],
        needed: Sequence[str],
        size: int,
        stripe: Stripe | None,
        prefix: bytes = b"",
    ) -> Iterator[list[Row]]:
        """Yield pages of rows of key and columns, of those that have one of the needed ones."""
        self._session.require_open()
        first, end = _bounds(prefix, stripe)
        while first < end:
            page, last = self._page(columns, needed, [first, end, size])
            if page:
                yield page
            if last is None:
                return
            first = last + b"\0"  # the next key that there can be

    def _page(
        self, columns: Sequence[str], needed: Sequence[str], values: list[object]
    ) -> tuple[list[Row], bytes | None]:
        """Return a page and its last key, None if nothing follows.

        Where a row cannot be read, its damage stands in place of all its columns.
        """
        some = " OR ".join(f"{name} IS NOT NULL" for name in needed)
        rows = self._selected(", ".join(["id", *columns]), f"({some})", values)
        if isinstance(rows, StorageCorruption):
            keys = self._selected("id", "TRUE", values)  # which the index alone may tell
            if isinstance(keys, StorageCorruption):
                raise keys
            found = self._by_key(columns, [key for (key,) in keys])
            places = [1 + columns.index(name) for name in needed]
            damaged = [_row(key, found.get(key), len(columns)) for (key,) in keys]
            page = [row for row in damaged if any(row[place] is not None for place in places)]
        else:
            page = keys = rows
        return page, keys[-1][0] if len(keys) == values[-1] else None

    def _selected(
        self, columns: str, condition: str, values: list[object]
    ) -> list[Row] | StorageCorruption:
        statement = (
            f"SELECT {columns} FROM {self._tables.records} WHERE id >= %s AND id < %s "
            f"AND {condition} ORDER BY id LIMIT %s"
        )
        try:
            return self._rows(statement, values)
        except StorageCorruption as error:
            return error


def _row(key: bytes, found: Row | object, width: int) -> Row:
    """Return a row, or what is in its place in place of each of its columns."""
    return found if isinstance(found, tuple) else (key, *[found] * width)


def _bounds(prefix: bytes, stripe: Stripe | None) -> tuple[bytes, bytes]:
    """Return the first key of a stripe with a prefix, and the end of them.

    >>> _bounds(b"\\x1f", 1), _bounds(b"\\xff", None)[1] == _BEHIND_ALL
    ((b'\\x1f', b' '), True)
    """
    first, end = prefix, _behind(prefix)
    if isinstance(stripe, tuple):
        first, end = max(first, stripe[0]), min(end, stripe[1])
    elif stripe is not None:
        first = max(first, bytes([stripe * _STEP]) if stripe else b"")
        end = min(end, _behind(bytes([(stripe + 1) * _STEP - 1])))
    return first, end


def _behind(prefix: bytes) -> bytes:
    """Return what follows all keys with a prefix, and nothing else follows less."""
    rest = prefix.rstrip(b"\xff")
    return rest[:-1] + bytes([rest[-1] + 1]) if rest else _BEHIND_ALL
