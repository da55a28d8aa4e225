"""The connections of a store to its server: made when needed, each lent to one thread at a time.

A connection that was lost is thrown away, with those that wait beside it: they were lost with it,
for the server was started again. The next call makes a new one.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from cgcython.errors import StoreUnavailable
from cgcython.locks import ForkSafeLock
from cgcython.store.keepers import forks
from cgcython.store.keepers.postgres import library
from cgcython.store.keepers.postgres.address import Address
from cgcython.store.keepers.postgres.failures import refused, translated
from cgcython.store.keepers.postgres.library import require_library

if TYPE_CHECKING:
    from psycopg import Connection

Row: TypeAlias = tuple[Any, ...]
OLDEST = 13  # the first version of the server that has xid8
KEPT = 8  # connections that wait for the next call
# Unless the URL says otherwise, a server that does not answer is given up after so many seconds,
# and one that does not confirm what it was sent after so many milliseconds: calls must not hang.
DEFAULTS = {"connect_timeout": 10, "keepalives_idle": 60, "tcp_user_timeout": 30_000}
CLOSED = "it was closed; open it again"
FORKED = (
    "it was opened before a fork, and only the process that opened it can use it; "
    "open it in this process"
)
_Made = TypeVar("_Made")


class Link:
    """A connection that is used by one thread."""

    def __init__(self, connection: Connection[Row]) -> None:
        self.connection = connection
        self.era: int | None = None  # for the journal

    def rows(self, statement: str, values: Sequence[object] = ()) -> list[Row]:
        """Run a statement and return its rows."""
        cursor = self.connection.execute(statement, values or None, binary=True)
        found: list[Row] = cursor.fetchall()
        return found

    def run(self, statement: str, values: Sequence[object] = ()) -> int:
        """Run a statement without rows and return how many it was about."""
        count: int = self.connection.execute(statement, values or None).rowcount
        return count

    @property
    def is_lost(self) -> bool:
        """Whether the server is no longer at its other end."""
        closed: bool = self.connection.closed
        return closed

    @property
    def is_idle(self) -> bool:
        """Whether it can be lent again: it is there, and no transaction is under way."""
        idle = library.psycopg.pq.TransactionStatus.IDLE
        return not self.is_lost and self.connection.info.transaction_status == idle

    def close(self) -> None:
        """Give the connection back to the server."""
        self.connection.close()


class Connections(forks.Watched):
    """Lends connections to a database; `settings` are statements that each begins with."""

    def __init__(self, address: Address, settings: Sequence[str] = ()) -> None:
        require_library(address.place)
        self.address, self._settings = address, settings
        self._waiting: list[Link] = []
        self._lock, self._refusal = ForkSafeLock(), ""
        # Also when nobody closes it, at the latest when the process exits.
        self._leave = weakref.finalize(self, _close_all, self._waiting, os.getpid())
        forks.watch(self)

    def abandon(self) -> None:
        """Refuse from now on, in the child of a fork: the server would end what is the parent's."""
        self._refusal = FORKED
        self._leave.detach()
        forks.keep(*self._waiting)
        self._waiting = []

    @property
    def is_open(self) -> bool:
        """Whether it was not closed yet."""
        return not self._refusal

    def require_open(self) -> None:
        """Raise StoreUnavailable once it was closed."""
        if self._refusal:
            raise StoreUnavailable(path=self.address.place, reason=self._refusal)

    def close(self) -> None:
        """Give all back; those that are lent follow when their threads return them."""
        with self._lock:
            self._refusal = self._refusal or CLOSED
        self._forget_waiting()

    def _forget_waiting(self) -> None:
        with self._lock:
            waiting, self._waiting[:] = list(self._waiting), []
        for link in waiting:
            link.close()

    @contextmanager
    def lent(self) -> Iterator[Link]:
        """Lend a connection; raises what the errors of its server mean.

        One that is lost meanwhile, or in the middle of something, is not lent again.
        """
        link = self.take()
        try:
            yield link
        except library.psycopg.Error as error:
            raise translated(error, self.address, link.is_lost) from error
        finally:
            self.put_back(link)

    def take(self) -> Link:
        """Return a connection that waits, or a new one."""
        with self._lock:
            self.require_open()
            if self._waiting:
                return self._waiting.pop()
        return self._new()

    def put_back(self, link: Link) -> None:
        """Take a connection back from who took it."""
        with self._lock:
            if self.is_open and link.is_idle and len(self._waiting) < KEPT:
                return self._waiting.append(link)
        if link.is_lost:
            self._forget_waiting()
        link.close()

    def read(self, work: Callable[[Link], _Made]) -> _Made:
        """Return what work reads; once more over a new connection where one was lost."""
        link = None
        try:
            with self.lent() as link:
                return work(link)
        except StoreUnavailable:
            if link is None or not link.is_lost or not self.is_open:
                raise
            self._forget_waiting()
        with self.lent() as link:
            return work(link)

    def write(self, work: Callable[[Link], _Made]) -> _Made:
        """Return what work returns, done in one transaction: all of it or nothing.

        Raises Outdated where the server ended it because of another one.
        """
        with self.lent() as link, link.connection.transaction():
            return work(link)

    def _new(self) -> Link:
        address = self.address
        given: dict[str, Any] = {"client_encoding": "UTF8", "fallback_application_name": "cgcython"}
        given |= {name: value for name, value in DEFAULTS.items() if not address.sets(name)}
        try:
            connection = library.psycopg.connect(address.url, autocommit=True, **given)
        except library.psycopg.Error as error:
            raise refused(error, address) from error
        link = Link(connection)
        try:
            self._require_version(connection.info.server_version)
            for statement in self._settings:
                link.run(statement)
        except library.psycopg.Error as error:
            link.close()
            raise translated(error, address) from error
        except BaseException:
            link.close()
            raise
        return link

    def _require_version(self, version: int) -> None:
        found = version // 10_000
        if found < OLDEST:
            reason = f"its server is PostgreSQL {found}; use one of version {OLDEST} or later"
            raise StoreUnavailable(path=self.address.place, reason=reason)


def _close_all(waiting: list[Link], owner: int) -> None:
    if os.getpid() == owner:
        for link in waiting:
            link.close()
