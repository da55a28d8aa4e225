"""The session of a store with its cluster: prepared statements, sent again where that may help.

Every statement is idempotent: a write has its timestamp from the client, so that it is the same
write however often it arrives. The driver's threads do not survive a fork.
"""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias, TypeVar

from cgcython.errors import StoreUnavailable
from cgcython.store.keepers import forks
from cgcython.store.keepers.cql import library
from cgcython.store.keepers.cql.address import Address
from cgcython.store.keepers.cql.failures import NO_KEYSPACE, is_passing, raise_translated
from cgcython.store.keepers.cql.library import require_library

Row: TypeAlias = tuple[Any, ...]
Values: TypeAlias = Sequence[object]
_Made = TypeVar("_Made")
AT_ONCE = 32  # requests under way
_CHANGE_S = 60.0  # for a change of the schema, which all nodes have to agree on
_PAUSE_S = 0.05
HERE = "@."  # stands in statements for the keyspace
CLOSED = "it was closed; open it again"
FORKED = (
    "it was opened before a fork, and only the process that opened it can use it; "
    "open it in this process"
)


class Connection(forks.Watched):
    """Runs statements in a keyspace, or in none; threads may share it."""

    def __init__(self, address: Address, in_keyspace: bool = True) -> None:
        """Connect. Raises StoreUnavailable."""
        self.address, self._refusal = address, ""
        require_library(address.place)
        self._prepared: dict[str, Any] = {}
        try:
            self._cluster = _cluster(address)
            self._session = self._cluster.connect()
            if in_keyspace:
                self._require_keyspace()
        except Exception as error:
            self._shut_down()
            raise_translated(error, address)
        self._session.default_fetch_size = None  # scans have pages of their own
        forks.watch(self)

    def _require_keyspace(self) -> None:
        if not self.has_keyspace:
            reason = NO_KEYSPACE.format(keyspace=self.address.keyspace)
            raise StoreUnavailable(path=self.address.place, reason=reason)

    @property
    def has_keyspace(self) -> bool:
        """Whether there is the keyspace of the address."""
        return self.address.keyspace in self._cluster.metadata.keyspaces

    def abandon(self) -> None:
        """Refuse from now on, in the child of a fork, where none of the driver's threads is."""
        self._refusal = FORKED
        forks.keep(self._cluster, self._session, self._prepared)

    @property
    def is_open(self) -> bool:
        """Whether it was not closed yet."""
        return not self._refusal

    def require_open(self) -> None:
        """Raise StoreUnavailable once it was closed."""
        if self._refusal:
            raise StoreUnavailable(path=self.address.place, reason=self._refusal)

    def close(self) -> None:
        """Leave the cluster; a second call does nothing."""
        if not self._refusal:
            self._refusal = CLOSED
            self._shut_down()

    def _shut_down(self) -> None:
        if found := getattr(self, "_cluster", None):
            found.shutdown()

    def run(self, statement: str, values: Values = ()) -> list[Row]:
        """Run a statement and return its rows; sent again until the time is over."""
        return self._patiently(lambda: list(self._session.execute(self.bound(statement, values))))

    def run_all(self, statement: str, all_values: Iterable[Values]) -> list[list[Row]]:
        """Run a statement with many values, side by side, and return the rows of each.

        Raises what the first error means that sending again did not help.
        """
        found, failed = self.attempt_all(statement, list(all_values))
        for error in failed.values():
            raise_translated(error, self.address)
        return found

    def attempt_all(
        self, statement: str, all_values: Sequence[Values]
    ) -> tuple[list[list[Row]], dict[int, Exception]]:
        """Run a statement with many values; return the rows of each, and the errors by place."""
        found: list[list[Row]] = [[] for _ in all_values]
        left, until = list(range(len(all_values))), 0.0
        while True:
            failed = self._attempt(statement, all_values, left, found)
            until = until or time.monotonic() + self.address.timeout_s  # however many went well
            passing = {at: error for at, error in failed.items() if is_passing(error)}
            if len(passing) < len(failed) or not failed or time.monotonic() > until:
                return found, failed
            left = list(passing)
            time.sleep(_PAUSE_S)

    def _attempt(
        self,
        statement: str,
        all_values: Sequence[Values],
        places: Sequence[int],
        found: list[list[Row]],
    ) -> dict[int, Exception]:
        """Run a statement for some places once; fill in the rows and return the errors."""
        self.require_open()
        results = library.driver.concurrent.execute_concurrent_with_args(
            self._session,
            self.prepared(statement),
            [all_values[at] for at in places],
            concurrency=AT_ONCE,
            raise_on_first_error=False,
        )
        failed: dict[int, Exception] = {}
        for at, (success, result) in zip(places, results):
            if success:
                found[at] = list(result)
            else:
                failed[at] = result
        return failed

    def ask(self, statement: str, values: Values = ()) -> Callable[[], list[Row]]:
        """Send a statement and return a function that waits for its rows."""
        self.require_open()
        future = self._session.execute_async(self.bound(statement, values))

        def rows() -> list[Row]:
            self.require_open()
            try:
                return list(future.result())
            except Exception as error:
                if not is_passing(error):
                    raise_translated(error, self.address)
            return self.run(statement, values)

        return rows

    def run_together(self, statement: str, all_values: Sequence[Values]) -> list[Row]:
        """Run a conditional statement for several rows of a partition: for all of them or none.

        Sent once: who sees an error has to look whether it was applied.
        """
        query = library.driver.query
        batch = query.BatchStatement(batch_type=query.BatchType.UNLOGGED)
        for values in all_values:
            batch.add(self.bound(statement, values))
        return self._once(lambda: list(self._session.execute(batch)))

    def change_schema(self, statement: str) -> None:
        """Change the schema, and wait until all nodes that are up agree on it."""
        whole = self._qualified(statement)
        self._once(lambda: list(self._session.execute(whole, timeout=_CHANGE_S)))

    def of_each_host(self, statement: str) -> list[Row]:
        """Return the first row of a statement from each host that is up."""
        hosts = [one for one in self._cluster.metadata.all_hosts() if one.is_up]
        return self._once(
            lambda: [self._session.execute(statement, host=one).one() for one in hosts]
        )

    def bound(self, statement: str, values: Values) -> Any:
        """Return a prepared statement with its values."""
        return self.prepared(statement).bind(values)

    def prepared(self, statement: str) -> Any:
        """Return a statement as the cluster knows it."""
        found = self._prepared.get(statement)
        if found is None:
            self.require_open()
            found = self._patiently(lambda: self._session.prepare(self._qualified(statement)))
            found.is_idempotent = True
            self._prepared[statement] = found
        return found

    def _qualified(self, statement: str) -> str:
        return statement.replace(HERE, f"{self.address.keyspace}.")

    def _patiently(self, send: Callable[[], _Made]) -> _Made:
        until = time.monotonic() + self.address.timeout_s
        while True:
            self.require_open()
            try:
                return send()
            except Exception as error:
                if not is_passing(error) or time.monotonic() > until:
                    self.require_open()  # it may have been closed meanwhile
                    raise_translated(error, self.address)
            time.sleep(_PAUSE_S)

    def _once(self, send: Callable[[], _Made]) -> _Made:
        self.require_open()
        try:
            return send()
        except Exception as error:
            raise_translated(error, self.address)


def _cluster(address: Address) -> Any:
    """Return the driver's Cluster of an address."""
    base = library.driver
    level = getattr(base.ConsistencyLevel, address.consistency)
    is_local = address.consistency.startswith("LOCAL")
    nearest = base.policies.DCAwareRoundRobinPolicy(
        **({"local_dc": address.dc} if address.dc else {})
    )
    profile = base.cluster.ExecutionProfile(
        load_balancing_policy=base.policies.TokenAwarePolicy(nearest),
        consistency_level=level,
        serial_consistency_level=base.ConsistencyLevel.LOCAL_SERIAL
        if is_local
        else base.ConsistencyLevel.SERIAL,
        request_timeout=address.timeout_s / 2,  # so that there is a second try
        row_factory=base.query.tuple_factory,
    )
    return base.cluster.Cluster(
        address.hosts,
        execution_profiles={base.cluster.EXEC_PROFILE_DEFAULT: profile},
        auth_provider=base.auth.PlainTextAuthProvider(address.user, address.password or "")
        if address.user
        else None,
        ssl_context=_tls(address),
        compression=False,  # of codes, which nothing compresses
        connect_timeout=address.timeout_s,
        reconnection_policy=base.policies.ConstantReconnectionPolicy(1.0, max_attempts=None),
    )


def _tls(address: Address) -> ssl.SSLContext | None:
    if address.tls is None:
        return None
    if address.tls and not os.path.exists(address.tls):
        reason = f"there is no file {address.tls}; give ?tls=/path/of/ca.pem, or ?tls= alone"
        raise StoreUnavailable(path=address.place, reason=reason)
    return ssl.create_default_context(cafile=address.tls or None)
