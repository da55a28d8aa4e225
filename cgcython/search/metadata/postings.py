"""The entries of many records in a database of SQLite: for each entry, the rows that have it.

A row is the number of a record in an index. A batch of records adds one posting for each of its
entries: the rows of the batch that have the entry. Nothing is changed in place: a record that
changes gets a new row, and the old one is of no record any more.
"""

import ctypes
import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np

from cgcython.store.where.conditions import Between, Leaf, OneOf
from cgcython.store.where.entries import Entry
from cgcython.types import Array

ROW = np.dtype("<u4")
MOST_ROWS = 1 << 32
SCHEMA = (
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID",
    "CREATE TABLE keys (number INTEGER PRIMARY KEY, width INTEGER, keys BLOB, rows BLOB)",
    "CREATE TABLE postings (path TEXT, value, first INTEGER, rows BLOB,"
    " PRIMARY KEY (path, value, first)) WITHOUT ROWID",
)
CACHE = "PRAGMA cache_size = -65536"  # KiB
PRIVATE = ""  # the path of a database in a temporary file that has no name
_ADD = "INSERT INTO postings VALUES (?, ?, ?, ?)"
_FIND = "SELECT rows FROM postings WHERE path = ?"
_LEAST_TEXT, _LEAST_BYTES = "", b""  # SQLite orders numbers, texts and bytes in this order

Posting: TypeAlias = tuple[str, Any, int, bytes]  # path, value, first row of its batch, rows


class Postings:
    """A database of postings, and how a leaf of a condition is looked up in it."""

    def __init__(self, path: str = PRIVATE, is_uri: bool = False) -> None:
        self._owner = os.getpid()
        # Whoever uses it has a lock: threads take turns.
        self.connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, uri=is_uri
        )
        self.execute(CACHE)

    def execute(self, text: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        """Run one statement with its values bound."""
        return self.connection.execute(text, values)

    def close(self) -> None:
        """Give the database back; a second call does nothing.

        In the child of a fork neither this nor the end of the object touches it: another thread of
        the parent may have been in it, and its lock would never be free.
        """
        if os.getpid() == self._owner:
            self.connection.close()
        else:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self.connection))

    __del__ = close

    def create(self) -> None:
        """Make the tables of a new database, whose file nobody sees before it is whole."""
        for one in ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", *SCHEMA):
            self.execute(one)

    def add(self, records: Iterable[Collection[Entry]], first: int) -> None:
        """Add a batch of records, whose rows are numbered from `first` on, given by entries."""
        rows: dict[Entry, list[int]] = {}
        for row, entries in enumerate(records, first):
            for entry in entries:
                rows.setdefault(entry, []).append(row)
        self.extend((*entry, first, np.array(rows[entry], ROW).tobytes()) for entry in rows)

    def extend(self, postings: Iterable[Posting]) -> None:
        """Add postings, all or nothing."""
        self.execute("BEGIN")
        try:
            self.connection.executemany(_ADD, postings)
        except BaseException:
            self.execute("ROLLBACK")
            raise
        self.execute("COMMIT")

    def all(self) -> Iterator[Posting]:
        """Yield every posting."""
        yield from self.execute("SELECT path, value, first, rows FROM postings")

    def rows(self, leaf: Leaf) -> Array:
        """Return the rows for which a leaf of a condition holds, u32, in any order."""
        found: list[bytes] = []
        for text, values in _statements(leaf):
            found += [one for (one,) in self.execute(text, (leaf.path, *values))]
        return np.frombuffer(b"".join(found), ROW)


def _statements(leaf: Leaf) -> Iterator[tuple[str, tuple[object, ...]]]:
    """Yield statements that find the postings of a leaf, and what is bound after its path."""
    if isinstance(leaf, OneOf):
        for value in leaf.values:
            yield f"{_FIND} AND value = ?", (value,)
    elif isinstance(leaf, Between):
        low, is_open = leaf.low or (_LEAST_TEXT if leaf.is_text else None, False)
        high, is_closed = leaf.high or (_LEAST_BYTES if leaf.is_text else _LEAST_TEXT, False)
        text = f"{_FIND} AND value {'<=' if is_closed else '<'} ?"
        if low is None:
            yield text, (high,)
        else:
            yield f"{text} AND value {'>' if is_open else '>='} ?", (high, low)
    else:
        yield _FIND, ()
