"""What can be read of a store in a schema: as it is now, or as it was at one moment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from cgcython.errors import StorageCorruption
from cgcython.store.keeper import Note, Numbers, Promises, Sizes
from cgcython.store.keepers.postgres.journal import Journal
from cgcython.store.keepers.postgres.layout import Tables
from cgcython.store.keepers.postgres.metadata import sql_of
from cgcython.store.keepers.postgres.reading import Session
from cgcython.store.keepers.postgres.scans import RowScanner
from cgcython.store.where.conditions import Condition

_Made = TypeVar("_Made")

_FEW_ROWS = 10_000
_ROWS = """
    SELECT reltuples::bigint, (
        SELECT sum(pg_total_relation_size(oid)) FROM pg_class
        WHERE relnamespace = to_regnamespace(%s) AND relkind = 'r'
    ) FROM pg_class WHERE oid = %s::regclass
"""
# The server estimates the rows of an index apart from those of its table.
_GONE = """
    SELECT greatest(reltuples, 0)::bigint FROM pg_class JOIN pg_index ON indexrelid = oid
    WHERE indrelid = %s::regclass AND pg_get_expr(indpred, indrelid) = '(gone IS NOT NULL)'
"""


class SchemaReader(RowScanner):
    """What can be read of a store: now, or as it was at one moment."""

    read_only = True

    def __init__(
        self,
        session: Session,
        tables: Tables,
        numbers: Sequence[int],
        promises: Promises,
        folder: Path,
    ) -> None:
        super().__init__(session, tables, numbers)
        self.promises, self.folder, self._journal = promises, folder, Journal(tables)

    @property
    def is_open(self) -> bool:
        """Whether it was not closed yet."""
        return self._session.is_open

    @property
    def place(self) -> str:
        """The URL without a password."""
        return self._session.address.place

    def add_embedders(self, numbers: Numbers) -> None:
        """Do nothing: a moment has the columns that there were."""

    def require_open(self) -> None:
        """Raise StoreUnavailable once it was closed."""
        self._session.require_open()

    def note(self, name: bytes, parse: Callable[[bytes], _Made], where: str) -> _Made | None:
        """Return what `parse` makes of a note, None where there is none."""
        rows = self._rows(f"SELECT value FROM {self._tables.notes} WHERE name = %s", [name])
        try:
            return parse(rows[0][0]) if rows else None
        except StorageCorruption as error:
            error.where = where
            raise

    def notes(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield (name, value) of the notes whose names have a prefix, in order."""
        statement = (
            f"SELECT name, value FROM {self._tables.notes} "
            "WHERE substring(name FROM 1 FOR %s) = %s ORDER BY name"
        )
        yield from self._rows(statement, [len(prefix), prefix])

    def damage(self, notes: Iterable[Note]) -> Iterator[tuple[str, str]]:
        """Yield nothing: the server keeps no second copy that could differ."""
        return iter(())

    def position(self) -> int:
        """Return the position of what is read now, a number that only grows."""
        return self._session.read(self._journal.position)

    def changes_since(self, position: int, number: int | None = None) -> list[bytes] | None:
        """Return the sorted keys that changed after a position; None where that is not known."""
        return self._session.read(lambda link: self._journal.changes_since(link, position, number))

    def keys_where(self, condition: Condition) -> list[bytes] | None:
        """Return the keys, in order, of the records for whose metadata a condition holds.

        None where the head of a record was damaged when it was written.
        """
        records = self._tables.records
        if self._rows(
            f"SELECT 1 FROM {records} WHERE metadata IS NULL AND head IS NOT NULL LIMIT 1", []
        ):
            return None
        text, values = sql_of(condition)
        statement = f"SELECT id FROM {records} WHERE head IS NOT NULL AND ({text}) ORDER BY id"
        return [key for (key,) in self._rows(statement, values)]

    def sizes(self) -> Sizes:
        """Return about how many records there are, and the bytes on disk."""
        records = self._tables.records
        ((rows, size),) = self._rows(_ROWS, [self._tables.schema, records])
        if rows < _FEW_ROWS:  # the server estimates once there are some
            counted = f"SELECT count(head), count(gone) FROM {records}"
            ((found, gone),) = self._rows(counted, [])
        else:
            ((gone,),) = self._rows(_GONE, [records])
            found = max(0, rows - gone)
        return Sizes(found, gone, int(size))
