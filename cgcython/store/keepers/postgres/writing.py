"""Writes changes of records in one transaction: all of them, with their entry of the journal.

Rows that are there are locked first, in the order of their keys so that no two writers wait for
each other, and compared with what their changes replace. New rows come by COPY, which nothing is
faster than; where another writer makes one of them meanwhile, the server refuses the second one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from cgcython.store.keeper import Change, Outdated
from cgcython.store.keepers.postgres import library
from cgcython.store.keepers.postgres.connections import Link
from cgcython.store.keepers.postgres.layout import Columns, Tables, column
from cgcython.store.keepers.postgres.library import jsonb
from cgcython.store.keepers.postgres.metadata import document

_Value: TypeAlias = Any  # bytes, psycopg's wrapper of JSON, None
_Shapes: TypeAlias = Mapping[tuple[str, ...], list[list[_Value]]]  # rows by the columns they set
_TYPES = {"metadata": "jsonb"}  # of columns that are not bytea


class Grown(Exception):
    """Another process made columns."""


class RowWriter:
    """Writes changes to the table of records of some embedders."""

    def __init__(self, tables: Tables, columns: Columns) -> None:
        self._tables, self._known = tables, columns
        self._columns = {number: column(number) for number in columns.numbers}

    def write(self, link: Link, changes: Sequence[Change]) -> None:
        """Write changes of different records.

        Raises, before anything is written, Outdated, and Grown where it does not know all columns.
        """
        ordered = sorted(changes, key=_key)
        there = self._locked(link, ordered)
        if not self._known.are_all(link, self._tables):
            raise Grown
        new = [one for one in ordered if one.key not in there and _leaves_something(one)]
        emptied = [one.key for one in ordered if _leaves_nothing(one, there)]
        gone = set(emptied)
        old = [one for one in ordered if one.key in there and one.key not in gone]
        if emptied:
            link.run(f"DELETE FROM {self._tables.records} WHERE id = ANY (%s)", [emptied])
        for columns, rows in self._shapes(old).items():
            self._update(link, columns, rows)
        self._drop_empty(link, [one.key for one in old if one.head is None])
        try:
            for columns, rows in self._shapes(new).items():
                self._copy(link, columns, rows)
        except library.psycopg.errors.UniqueViolation as error:
            raise Outdated("another writer made a record that was not there") from error

    def purge(self, link: Link, keys: list[bytes]) -> None:
        """Empty the trash of some keys."""
        records = self._tables.records
        link.rows(f"SELECT id FROM {records} WHERE id = ANY (%s) ORDER BY id FOR UPDATE", [keys])
        link.run(f"UPDATE {records} SET gone = NULL WHERE id = ANY (%s)", [keys])
        self._drop_empty(link, keys)

    def _locked(self, link: Link, changes: Sequence[Change]) -> dict[bytes, bool]:
        """Lock the rows of changes; return of each that is there whether the trash keeps it."""
        statement = (
            f"SELECT id, head, gone IS NOT NULL FROM {self._tables.records} WHERE id = ANY (%s) "
            "ORDER BY id FOR UPDATE"
        )
        rows = link.rows(statement, [[one.key for one in changes]])
        heads = {key: head for key, head, _ in rows}
        for one in changes:
            is_known = one.before is None or isinstance(one.before, bytes)
            if is_known and one.before != heads.get(one.key):
                raise Outdated(f"record 0x{one.key.hex()} is another one by now")
        return {key: in_trash for key, _, in_trash in rows}

    def _shapes(self, changes: Iterable[Change]) -> _Shapes:
        """Return the rows of changes, by the columns that they set, `id` first."""
        found: dict[tuple[str, ...], list[list[_Value]]] = {}
        for one in changes:
            values = self._values(one)
            found.setdefault(tuple(values), []).append([*values.values()])
        return found

    def _values(self, change: Change) -> dict[str, _Value]:
        """Return what a change sets, by column."""
        head = change.head
        sections = {int(number): one for number, one in change.sections.items()}
        values: dict[str, _Value] = {"id": change.key, "head": head}
        values["metadata"] = None if head is None else _json(document(head))
        if change.gone is not ...:
            values["gone"] = change.gone
        for number, name in self._columns.items():
            if number in sections:
                values[name] = sections[number]
            elif not change.partial:
                values[name] = None
        return values

    def _update(
        self, link: Link, columns: tuple[str, ...], rows: Sequence[Sequence[_Value]]
    ) -> None:
        """Set columns of rows that are there and locked."""
        given = ", ".join(f"%b::{_type(name)}[]" for name in columns)
        sets = ", ".join(f"{name} = given.{name}" for name in columns if name != "id")
        link.run(
            f"UPDATE {self._tables.records} AS kept SET {sets} "
            f"FROM unnest({given}) AS given ({', '.join(columns)}) WHERE kept.id = given.id",
            [list(values) for values in zip(*rows)],
        )

    def _drop_empty(self, link: Link, keys: list[bytes]) -> None:
        """Remove rows that lost their record, and have nothing else."""
        if keys:
            left = ", ".join(["head", "gone", *self._columns.values()])
            statement = f"id = ANY (%s) AND coalesce({left}) IS NULL"
            link.run(f"DELETE FROM {self._tables.records} WHERE {statement}", [keys])

    def _copy(self, link: Link, columns: tuple[str, ...], rows: Sequence[Sequence[_Value]]) -> None:
        """Add rows that are not there."""
        into = f"{self._tables.records} ({', '.join(columns)})"
        with (
            link.connection.cursor() as cursor,
            cursor.copy(f"COPY {into} FROM STDIN (FORMAT BINARY)") as copy,
        ):
            copy.set_types([_type(name) for name in columns])
            for row in rows:
                copy.write_row(row)


def changed_by_embedders(changes: Iterable[Change]) -> dict[bytes, list[bytes]]:
    """Return the keys of changes by the embedders that changed, a byte for each."""
    found: dict[bytes, list[bytes]] = {}
    for one in changes:
        found.setdefault(bytes(sorted(map(int, one.changed))), []).append(one.key)
    return found


def _json(text: str | None) -> _Value:
    return None if text is None else jsonb(text)


def _key(change: Change) -> bytes:
    return change.key


def _type(name: str) -> str:
    return _TYPES.get(name, "bytea")


def _leaves_something(change: Change) -> bool:
    """Return whether a row is needed for a change where there was none."""
    has_gone = isinstance(change.gone, bytes)
    return change.head is not None or has_gone or any(map(_is_given, change.sections.values()))


def _is_given(section: bytes | None) -> bool:
    return section is not None


def _leaves_nothing(change: Change, there: Mapping[bytes, bool]) -> bool:
    """Return whether nothing of a row that is there is left by a change."""
    keeps_gone = there.get(change.key, True) if change.gone is ... else change.gone is not None
    return (
        change.head is None
        and not change.partial
        and not keeps_gone
        and not any(map(_is_given, change.sections.values()))
    )
