"""A schema of a database as a place for records."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from cgcython.store.keeper import Numbers
from cgcython.store.keepers.postgres import creation
from cgcython.store.keepers.postgres.address import Address
from cgcython.store.keepers.postgres.connections import Connections
from cgcython.store.keepers.postgres.keeper import PostgresKeeper
from cgcython.store.keepers.postgres.layout import Tables


class Schema:
    """A Place in a database of PostgreSQL: `postgresql://user@host/database?schema=NAME`."""

    def __init__(self, url: str) -> None:
        self._url, self._address = url, Address.of(url)

    @property
    def name(self) -> str:
        """The URL without a password."""
        return self._address.place

    @contextmanager
    def _connected(self) -> Iterator[Connections]:
        connections = Connections(self._address)
        try:
            yield connections
        finally:
            connections.close()

    def exists(self) -> bool:
        """Return whether a store has its tables there. Raises StoreUnavailable."""
        tables = Tables.of(self._address.schema)
        with self._connected() as connections:
            return connections.read(lambda link: creation.is_there(link, tables))

    def create(self, notes: Mapping[bytes, bytes], numbers: Numbers) -> None:
        """Make an empty store of some embedders with its notes, whole or not at all.

        Does nothing where another process was faster. Raises StoreUnavailable.
        """
        with self._connected() as connections:
            creation.make(connections, notes, numbers)

    def remove(self) -> None:
        """Remove the tables of an empty store; its schema stays. Raises StoreUnavailable."""
        tables = Tables.of(self._address.schema)
        with self._connected() as connections:
            connections.write(lambda link: creation.unmake(link, tables))

    def open(self, *, read_only: bool, sync: bool, follow: bool) -> PostgresKeeper:
        """Return the Keeper of the store that is there; readers see what others write at once."""
        return PostgresKeeper(self._url, read_only=read_only or follow, sync=sync)
