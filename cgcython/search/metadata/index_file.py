"""An index of metadata in a file beside a store: derived from it, checked when it is opened.

The file is a database of SQLite that appears whole or not at all and is never changed: what was
written to the store since is kept apart, and a new file takes its place. So nobody waits for
anybody, and a reader sees one file as long as it has it open. The CRC-32 of the file, taken with
zeros in its place, is SQLite's `user_version`. A file that is missing, damaged, cut short, of
another version or of another making is ignored, and the index is made anew.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple
from urllib.parse import quote

import numpy as np

from cgcython.checksums import crc32
from cgcython.files import written_whole
from cgcython.search.keys import NO_KEYS, from_rows
from cgcython.search.metadata.postings import MOST_ROWS, ROW, SCHEMA, Postings
from cgcython.search.metadata.rows import Rows
from cgcython.tensors import MALFORMED, Malformed, open_regular

FORMAT, VERSION = b"cgcython-metadata", 2
UNUSABLE = (OSError, sqlite3.Error, *MALFORMED)  # what using a damaged or hostile file may raise
_CRC_AT, _CRC_BYTES = 60, 4  # where a database of SQLite has its user_version
_PIECE = 1 << 20
_KEYS_OF_A_ROW = 1 << 16


class IndexFile(NamedTuple):
    """An open file: its postings, what its rows are of, and where the journal stood."""

    postings: Postings
    rows: Rows
    position: int
    file: BinaryIO
    size: int

    @property
    def is_whole(self) -> bool:
        """Whether the file was not cut short since, which SQLite would read as zeros."""
        return os.fstat(self.file.fileno()).st_size == self.size

    def close(self) -> None:
        """Give the file back."""
        self.postings.close()
        self.file.close()


def opened(path: Path) -> IndexFile | None:
    """Return the IndexFile of a path, None where the file is ignored."""
    file = None
    try:
        with open_regular(path) as checked:
            file = os.fdopen(os.dup(checked.fileno()), "rb")
        return _checked(path, file)
    except UNUSABLE:
        if file is not None:
            file.close()
        return None


def _checked(path: Path, file: BinaryIO) -> IndexFile:
    """Return the IndexFile of an open file; raises one of UNUSABLE for any but a sound one."""
    size, crc = os.fstat(file.fileno()).st_size, _checksum(file)
    name = quote(os.fsencode(path.absolute()))
    postings = Postings(f"file:{name}?mode=ro&immutable=1", is_uri=True)
    try:
        if not os.path.samestat(os.stat(path), os.fstat(file.fileno())):
            raise Malformed("another file took its place")
        for one in ("trusted_schema = OFF", "cell_size_check = ON", "query_only = ON"):
            postings.execute(f"PRAGMA {one}")
        if postings.execute("PRAGMA user_version").fetchone() != (_signed(crc),):
            raise Malformed("its checksum differs")
        found = postings.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")
        if sorted(text for (text,) in found) != sorted(SCHEMA):
            raise Malformed("its tables are others")
        facts = dict(postings.execute("SELECT name, value FROM facts"))
        if (facts["format"], facts["version"]) != (FORMAT, VERSION):
            raise Malformed("it is of another version")
        position = int.from_bytes(facts["position"], "little")
        return IndexFile(postings, _rows_of(postings, facts["rows"]), position, file, size)
    except BaseException:
        postings.close()
        raise


def _rows_of(postings: Postings, count: int) -> Rows:
    """Return the rows of a file; raises one of UNUSABLE where they cannot be."""
    keys, rows = [NO_KEYS], [np.empty(0, ROW)]
    for width, some, their_rows in postings.execute(
        "SELECT width, keys, rows FROM keys ORDER BY number"
    ):
        keys.append(from_rows(np.frombuffer(some, np.uint8).reshape(-1, int(width))))
        rows.append(np.frombuffer(their_rows, ROW))
    found = Rows(np.concatenate(keys), np.concatenate(rows).astype(np.int64), int(count))
    ascend = bool(np.all(found.keys[1:] > found.keys[:-1]))
    if not (ascend and len(found.keys) == len(found.rows) and 0 <= found.given < MOST_ROWS):
        raise Malformed("its keys and rows contradict each other")
    if len(found.rows) and int(found.rows.max()) >= found.given:
        raise Malformed("it has rows that were never given")
    return found


@contextmanager
def written(path: Path) -> Iterator[Postings]:
    """Yield new Postings that become the file of a path; `finish` them at the end of the block.

    Raises FileUnavailable, or sqlite3.Error where there is no room.
    """
    with written_whole(path) as temporary:
        postings = Postings(str(temporary))
        try:
            postings.create()
            yield postings
        finally:
            postings.close()
        _seal(temporary)


def finish(postings: Postings, rows: Rows, position: int) -> None:
    """Write what an IndexFile has beside its postings."""
    facts = {"format": FORMAT, "version": VERSION, "rows": rows.given}
    facts["position"] = position.to_bytes(8, "little")
    for fact in facts.items():
        postings.execute("INSERT INTO facts VALUES (?, ?)", fact)
    for number, start in enumerate(range(0, len(rows.keys), _KEYS_OF_A_ROW)):
        some = slice(start, start + _KEYS_OF_A_ROW)
        keys, numbers = rows.keys[some], rows.rows[some].astype(ROW)
        values = number, keys.itemsize, keys.tobytes(), numbers.tobytes()
        postings.execute("INSERT INTO keys VALUES (?, ?, ?, ?)", values)


def _seal(path: Path) -> None:
    """Write the checksum of a file into it."""
    with open(path, "r+b") as file:
        crc = _checksum(file)
        file.seek(_CRC_AT)
        file.write(crc.to_bytes(_CRC_BYTES, "big"))


def _checksum(file: BinaryIO) -> int:
    """Return the CRC-32 of a file with zeros where that is kept."""
    file.seek(0)
    head = bytearray(file.read(_CRC_AT + _CRC_BYTES))
    head[_CRC_AT:] = bytes(_CRC_BYTES)
    crc = crc32(head)
    while piece := file.read(_PIECE):
        crc = crc32(piece, crc)
    return crc


def _signed(crc: int) -> int:
    return crc - (crc >> 31 << 32)
