"""The tables of a store in a schema, and how they are made: all or nothing, in one transaction.

| table | a row |
|---|---|
| `records` | a record: `id`, `head`, its `metadata`, sections `e0`, `e12`, ..., what is `gone` |
| `notes` | a note: `name`, `value` |
| `changes` | what a call of `write` changed, see journal.py |
| `about` | what the keeper itself notes: the version of these tables, the store's identity |
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from cgcython.store.keepers.postgres.connections import Link

LAYOUT = "1"
_COLUMNS = """
    SELECT relnatts, ARRAY(
        SELECT attname::text FROM pg_attribute
        WHERE attrelid = pg_class.oid AND NOT attisdropped AND attname ~ '^e[0-9]+$'
    ) FROM pg_class WHERE oid = %s::regclass
"""
_GIVEN = "SELECT relnatts FROM pg_class WHERE oid = %s::regclass"


class Tables(NamedTuple):
    """The names of a store's tables, as statements spell them."""

    schema: str
    records: str
    notes: str
    changes: str
    about: str

    @classmethod
    def of(cls, schema: str) -> "Tables":
        """Return the names of the tables in a schema.

        >>> Tables.of("cgcython").notes
        '"cgcython".notes'
        """
        quoted = '"' + schema.replace('"', '""') + '"'
        return cls(quoted, *(f"{quoted}.{name}" for name in cls._fields[1:]))


def column(number: int) -> str:
    """Return the name of the column of an embedder's sections."""
    return f"e{int(number)}"


def statements(tables: Tables, numbers: Collection[int]) -> list[str]:
    """Return the statements that make the tables of some embedders."""
    return [
        f"CREATE TABLE {tables.records} (id bytea PRIMARY KEY, head bytea, metadata jsonb, "
        "gone bytea)",
        f"CREATE INDEX ON {tables.records} (id) WHERE gone IS NOT NULL",
        f"CREATE INDEX ON {tables.records} (id) WHERE metadata IS NULL AND head IS NOT NULL",
        f"CREATE INDEX ON {tables.records} USING gin (metadata jsonb_path_ops)",
        f"CREATE TABLE {tables.notes} (name bytea PRIMARY KEY, value bytea NOT NULL)",
        f"CREATE TABLE {tables.changes} (era bigint NOT NULL, "
        "xid xid8 NOT NULL DEFAULT pg_current_xact_id(), mark int NOT NULL, "
        "numbers bytea NOT NULL, ids bytea[] NOT NULL)",
        f"CREATE INDEX ON {tables.changes} (xid)",
        f"CREATE TABLE {tables.about} (name text PRIMARY KEY, value text NOT NULL)",
        uncompressed(tables.records, ("head", "gone")),
        uncompressed(tables.notes, ("value",)),
        uncompressed(tables.changes, ("ids",)),
        *added(tables, numbers),
    ]


def added(tables: Tables, numbers: Iterable[int]) -> list[str]:
    """Return the statements that make the columns of embedders."""
    columns = [column(number) for number in sorted(numbers)]
    if not columns:
        return []
    new = ", ".join(f"ADD COLUMN IF NOT EXISTS {name} bytea" for name in columns)
    return [f"ALTER TABLE {tables.records} {new}", uncompressed(tables.records, columns)]


def uncompressed(table: str, columns: Iterable[str]) -> str:
    """Return the statement that keeps columns as they are: codes do not compress."""
    each = ", ".join(f"ALTER COLUMN {name} SET STORAGE EXTERNAL" for name in columns)
    return f"ALTER TABLE {table} {each}"


class Columns(NamedTuple):
    """The embedders whose sections have columns, in order, and how many columns there ever were."""

    numbers: tuple[int, ...]
    given: int

    @classmethod
    def of(cls, link: Link, tables: Tables) -> "Columns":
        """Return the columns that there are now."""
        ((given, names),) = link.rows(_COLUMNS, [tables.records])
        return cls(tuple(sorted(int(name[1:]) for name in names)), given)

    def are_all(self, link: Link, tables: Tables) -> bool:
        """Return whether no other was made since."""
        return link.rows(_GIVEN, [tables.records]) == [(self.given,)]
