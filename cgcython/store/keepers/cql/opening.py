"""What a keeper asks of the cluster when it opens: its clock, and when it writes to its disks."""

import time

from cgcython.errors import StoreUnavailable
from cgcython.store.keepers.cql.connection import Connection

_NOW = "SELECT toUnixTimestamp(now()) FROM system.local"
_SYNC = "SELECT value FROM system_views.settings WHERE name = 'commitlog_sync'"
_PERIODIC = "periodic"


def require_clock(connection: Connection) -> None:
    """Raise StoreUnavailable where this machine's clock is not the cluster's.

    Positions are times: two clocks may differ by what the overlap has more than a request takes.
    """
    address = connection.address
    connection.prepared(_NOW)
    before = time.time()
    ((there,),) = connection.run(_NOW)
    after = time.time()
    there /= 1000
    apart = max(before - there, there - after, 0.0)
    most = (address.overlap_s - address.timeout_s) / 2
    if apart > most:
        reason = (
            f"the clock of this machine differs from the cluster's by {apart:.1f} s, at most "
            f"{most:g} s are allowed; set it by NTP, or open it with a longer ?overlap=SECONDS"
        )
        raise StoreUnavailable(path=address.place, reason=reason)


def is_durable(connection: Connection, sync: bool) -> bool:
    """Return whether the nodes write what they acknowledge to their disks first.

    Raises StoreUnavailable where that was asked for and is not so, or cannot be told.
    """
    known = commitlog_sync(connection)
    durable = known is not None and _PERIODIC not in known
    if sync and not durable:
        found = ", ".join(sorted(known)) if known else "one that it does not tell"
        reason = (
            f"durability='sync' needs servers with commitlog_sync: batch or group, it has {found}; "
            "set it in cassandra.yaml of each node"
        )
        raise StoreUnavailable(path=connection.address.place, reason=reason)
    return durable


def commitlog_sync(connection: Connection) -> set[str] | None:
    """Return the settings of the nodes that are up, None where the servers do not tell."""
    try:
        rows = connection.of_each_host(_SYNC)
    except StoreUnavailable:  # ScyllaDB has no such table
        connection.require_open()
        return None
    return {row[0] for row in rows if row is not None}
