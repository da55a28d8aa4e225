"""Looks for a store in a schema, and makes a new one: all or nothing, in one transaction."""

import secrets
from collections.abc import Mapping

from cgcython.errors import StoreUnavailable
from cgcython.store.keeper import Numbers
from cgcython.store.keepers.postgres import layout
from cgcython.store.keepers.postgres.address import Address
from cgcython.store.keepers.postgres.connections import Connections, Link
from cgcython.store.keepers.postgres.journal import Journal
from cgcython.store.keepers.postgres.layout import LAYOUT, Tables

_RELATIONS = "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace(%s) LIMIT 1"
_TURN = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"


def is_there(link: Link, tables: Tables) -> bool:
    """Return whether a store has its tables."""
    return link.rows("SELECT to_regclass(%s) IS NOT NULL", [tables.about])[0][0] is True


def make(connections: Connections, notes: Mapping[bytes, bytes], numbers: Numbers) -> None:
    """Make an empty store of some embedders with its notes, unless there is one."""
    connections.write(lambda link: _make(link, connections.address, notes, numbers))


def _make(link: Link, address: Address, notes: Mapping[bytes, bytes], numbers: Numbers) -> None:
    tables = Tables.of(address.schema)
    link.rows(_TURN, [f"cgcython {address.schema}"])
    if is_there(link, tables):
        return
    _require_utf8(link, address)
    if not link.rows("SELECT 1 FROM pg_namespace WHERE nspname = %s", [address.schema]):
        link.run(f"CREATE SCHEMA {tables.schema}")
    elif link.rows(_RELATIONS, [tables.schema]):
        reason = "its schema has other tables; name a new one with ?schema=NAME"
        raise StoreUnavailable(path=address.place, reason=reason)
    for statement in layout.statements(tables, numbers):
        link.run(statement)
    about = {"layout": LAYOUT, "identity": secrets.token_hex(16)}
    with link.connection.cursor() as cursor:
        cursor.executemany(f"INSERT INTO {tables.about} VALUES (%s, %s)", about.items())
        cursor.executemany(f"INSERT INTO {tables.notes} VALUES (%s, %s)", notes.items())
    Journal(tables).begin(link, is_new=True)


def unmake(link: Link, tables: Tables) -> None:
    """Drop the tables of a store that holds nothing."""
    link.run(f"LOCK TABLE {tables.records}")
    if not link.rows(f"SELECT 1 FROM {tables.records} LIMIT 1"):
        link.run(f"DROP TABLE {', '.join(tables[1:])}")


def _require_utf8(link: Link, address: Address) -> None:
    ((encoding,),) = link.rows("SELECT current_setting('server_encoding')")
    if encoding != "UTF8":
        reason = f"its database has the encoding {encoding}; use one made with ENCODING 'UTF8'"
        raise StoreUnavailable(path=address.place, reason=reason)
