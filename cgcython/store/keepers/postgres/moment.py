"""One moment of a database: a transaction that reads what was there when it began."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from cgcython.errors import StoreUnavailable
from cgcython.locks import ForkSafeLock
from cgcython.store.keepers import forks
from cgcython.store.keepers.postgres import library
from cgcython.store.keepers.postgres.connections import CLOSED, FORKED, Connections, Link
from cgcython.store.keepers.postgres.failures import translated

_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_Made = TypeVar("_Made")


class Moment(forks.Watched):
    """Reads over a connection of its own, which threads take turns with."""

    def __init__(self, connections: Connections) -> None:
        self._connections, self.address = connections, connections.address
        self._lock, self._refusal = ForkSafeLock(), ""
        self._link = connections.take()
        try:
            self._link.run(_BEGIN)
            self._link.rows("SELECT 1")  # the transaction sees what is there at its first query
        except library.psycopg.Error as error:
            connections.put_back(self._link)
            raise translated(error, self.address, self._link.is_lost) from error
        forks.watch(self)

    def abandon(self) -> None:
        """Refuse from now on, in the child of a fork."""
        self._refusal = FORKED
        forks.keep(self._link)

    @property
    def is_open(self) -> bool:
        """Whether neither it nor its store was closed yet."""
        return not self._refusal and self._connections.is_open

    def require_open(self) -> None:
        """Raise StoreUnavailable once it, or its store, was closed."""
        self._connections.require_open()
        if self._refusal:
            raise StoreUnavailable(path=self.address.place, reason=self._refusal)

    def read(self, work: Callable[[Link], _Made]) -> _Made:
        """Return what work reads of the moment, which is over once its connection is lost."""
        with self._lock:
            self.require_open()
            try:
                with self._link.connection.transaction():  # a failure is not the end of the moment
                    return work(self._link)
            except library.psycopg.Error as error:
                raise translated(error, self.address, self._link.is_lost) from error

    def close(self) -> None:
        """Give the connection back; a second call does nothing."""
        with self._lock:
            if self._refusal:
                return
            self._refusal = CLOSED
            try:
                self._link.run("ROLLBACK")
            except library.psycopg.Error:  # it was lost: so the transaction is over, too
                self._link.close()
            self._connections.put_back(self._link)
