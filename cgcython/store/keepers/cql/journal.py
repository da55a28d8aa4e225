"""What changed since a position, where many write at the same time.

A position is a time. Before a call writes records it adds a row to `cgcython_changes`, of a stamp
that it took before: whoever reads behind a position minus the overlap misses none, as long as a
record is there within the overlap of its stamp. A call that took longer adds its row once more.
The rows of an hour are spread over stripes, of which a writer has one.
"""

import struct
from collections.abc import Iterator, Sequence

from cgcython.store.keeper import Change
from cgcython.store.keepers.cql.connection import Connection
from cgcython.store.keepers.cql.layout import CHANGES, CHANGES_KEPT_S
from cgcython.store.keepers.cql.stamps import hour_of, now_us

STRIPES = 4
_ADD = (
    f"INSERT INTO {CHANGES} (tenant, hour, stripe, stamp, writer, changed) "
    "VALUES (?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
)
_SINCE = f"SELECT changed FROM {CHANGES} WHERE tenant = ? AND hour = ? AND stripe = ? AND stamp > ?"
_ENTRY = struct.Struct(">HB")  # the bytes of the key, and how many embedders
_US = 10**6


class Journal:
    """The changes of a store, which began at a stamp."""

    def __init__(self, connection: Connection, begun: int) -> None:
        self._connection, self._begun = connection, begun
        self._tenant = connection.address.tenant
        self._overlap_us = int(connection.address.overlap_s * _US)

    def add(self, stamp: int, writer: int, changes: Sequence[Change]) -> None:
        """Tell of changes that are about to be written, or were."""
        place = [self._tenant, hour_of(stamp), writer % STRIPES]
        self._connection.run(_ADD, [*place, stamp, writer, packed(changes), stamp])

    def is_late(self, stamp: int) -> bool:
        """Return whether a write of a stamp took so long that a reader may have missed it."""
        return now_us() - stamp > self._overlap_us // 2

    def since(self, position: int, number: int | None) -> list[bytes] | None:
        """Return the sorted keys that changed after a position, None where that is not known."""
        now = now_us()
        first = max(position, self._begun) - self._overlap_us
        if now - first > CHANGES_KEPT_S * _US:
            return None
        hours = range(hour_of(first), hour_of(now + self._overlap_us) + 1)
        places = [[self._tenant, hour, n, first] for hour in hours for n in range(STRIPES)]
        found: set[bytes] = set()
        for rows in self._connection.run_all(_SINCE, places):
            for (entries,) in rows:
                found.update(_keys_in(entries, number))
        return sorted(found)


def packed(changes: Sequence[Change]) -> bytes:
    """Return the keys of changes and the embedders of each as bytes."""
    parts = []
    for one in changes:
        numbers = bytes(sorted(map(int, one.changed)))
        parts += [_ENTRY.pack(len(one.key), len(numbers)), one.key, numbers]
    return b"".join(parts)


def _keys_in(entries: bytes, number: int | None) -> Iterator[bytes]:
    """Yield the keys among packed changes, of one embedder when given."""
    at = 0
    while at < len(entries):
        key_bytes, count = _ENTRY.unpack_from(entries, at)
        middle = at + _ENTRY.size + key_bytes
        if number is None or number in entries[middle : middle + count]:
            yield entries[at + _ENTRY.size : middle]
        at = middle + count
