"""Looks for a store in a keyspace, makes a new one, and gives each writer a number.

A new store has a row in `cgcython_stores` before its notes, which says that it is not whole. Who
finds such a row of a process that died takes it over.
"""

import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from cgcython.errors import StoreUnavailable
from cgcython.store.keeper import Numbers
from cgcython.store.keepers.cql import layout
from cgcython.store.keepers.cql.address import Address
from cgcython.store.keepers.cql.connection import Connection
from cgcython.store.keepers.cql.layout import STORES
from cgcython.store.keepers.cql.notes import Notes
from cgcython.store.keepers.cql.stamps import now_us

VERSION = 1
_MAKING_S = 10.0  # the longest that another process may take to make a store
_TRIES = 100
_READ = (
    f"SELECT version, identity, buckets, begun, writers, is_whole FROM {STORES} WHERE tenant = ?"
)
_CLAIM = (
    f"INSERT INTO {STORES} (tenant, version, identity, buckets, begun, writers, is_whole) "
    "VALUES (?, ?, ?, ?, ?, 0, false) IF NOT EXISTS"
)
_TAKE_OVER = (
    f"UPDATE {STORES} SET identity = ? WHERE tenant = ? IF identity = ? AND is_whole = false"
)
_FINISH = f"UPDATE {STORES} SET is_whole = true WHERE tenant = ? IF identity = ?"
_REMOVE = f"DELETE FROM {STORES} WHERE tenant = ? IF identity = ?"
_NEXT_WRITER = f"UPDATE {STORES} SET writers = ? WHERE tenant = ? IF writers = ?"


class About(NamedTuple):
    """What a store is, which does not change."""

    version: int
    identity: bytes
    buckets: int
    begun: int
    writers: int
    is_whole: bool


def exists(url: str, password: str | None = None) -> bool:
    """Return whether there is a store at a URL; raises StoreUnavailable."""
    address = Address.of(url, password)
    with _beside(address) as connection:
        if not connection.has_keyspace or STORES not in layout.tables(connection):
            return False
        found = _read(connection)
        return found is not None and found.is_whole


def read_about(connection: Connection) -> About:
    """Return what a store is; raises StoreUnavailable where there is none that is read here."""
    address = connection.address
    found = _read(connection) if STORES in layout.tables(connection) else None
    if found is None or not found.is_whole:
        raise StoreUnavailable(path=address.place, reason="there is no store; check the URL")
    if found.version != VERSION:
        reason = (
            f"its format version is {found.version}, this release reads {VERSION}; "
            "use the release that wrote it"
        )
        raise StoreUnavailable(path=address.place, reason=reason)
    return found


def create(
    url: str, notes: Mapping[bytes, bytes], numbers: Numbers, password: str | None = None
) -> None:
    """Make an empty store of some embedders with its notes, whole or not at all.

    Does nothing where another process was faster. Raises StoreUnavailable.
    """
    address = Address.of(url, password)
    if address.replication:
        with _beside(address) as connection:
            if not connection.has_keyspace:
                layout.make_keyspace(connection)
    with _inside(address) as connection:
        layout.make_tables(connection, numbers)
        mine = _claimed(connection)
        if mine is not None:
            Notes(connection).put(notes, {})
            connection.run(_FINISH, [address.tenant, mine])


def remove(url: str, password: str | None = None) -> None:
    """Remove the notes of a store, and that it is there. Raises StoreUnavailable."""
    address = Address.of(url, password)
    with _inside(address) as connection:
        found = _read(connection)
        if found is not None:
            notes = Notes(connection)
            notes.put(dict.fromkeys(name for name, _ in notes.below(b"")), {})
            connection.run(_REMOVE, [address.tenant, found.identity])


def next_writer(connection: Connection) -> int:
    """Return a number that no other writer of the store has."""
    for _ in range(_TRIES):
        before = read_about(connection).writers
        values = [before + 1, connection.address.tenant, before]
        if connection.run_together(_NEXT_WRITER, [values])[0][0]:
            return before
    reason = f"others opened it {_TRIES} times meanwhile; open it again"
    raise StoreUnavailable(path=connection.address.place, reason=reason)


def _claimed(connection: Connection) -> bytes | None:
    """Return the identity of a new store that is this process's to make, or None."""
    address, mine = connection.address, secrets.token_bytes(16)
    row = [address.tenant, VERSION, mine, address.buckets, now_us()]
    until = time.monotonic() + _MAKING_S
    while True:
        if connection.run_together(_CLAIM, [row])[0][0]:
            return mine
        found = _read(connection)
        if found is not None and (found.is_whole or found.identity == mine):
            return None if found.is_whole else mine
        if found is not None and time.monotonic() > until:
            taken = [mine, address.tenant, found.identity]
            if connection.run_together(_TAKE_OVER, [taken])[0][0]:
                return mine
        time.sleep(0.1)


def _read(connection: Connection) -> About | None:
    rows = connection.run(_READ, [connection.address.tenant])
    return About(*rows[0]) if rows else None


@contextmanager
def _inside(address: Address) -> Iterator[Connection]:
    """Connect to the keyspace of an address for a while."""
    connection = Connection(address)
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def _beside(address: Address) -> Iterator[Connection]:
    """Connect to the cluster of an address for a while, whose keyspace need not be there."""
    connection = Connection(address, in_keyspace=False)
    try:
        yield connection
    finally:
        connection.close()
