"""What changed since a position, where many write at the same time.

Each call of `write` adds entries to the table `changes`: the number of its transaction, the keys
that changed, and for which embedders. Transactions end in another order than they were numbered.
So a position is a horizon: all transactions of lower numbers have ended, and whoever reads after it
sees what they wrote. All others count as after it: entries may be reported that were seen already,
and none is left out.

A position has the horizon in its upper bits. Below are some of a random mark of the last entry
before the horizon, and of the era: a server restored from a backup gives the same numbers again,
to other transactions.
"""

import secrets
from collections.abc import Mapping
from hashlib import blake2b

from cgcython.store.keepers.postgres.connections import Link
from cgcython.store.keepers.postgres.layout import Tables

KEPT_CHANGES = 1 << 18  # beyond, reading everything anew is faster than record by record
_CHECK_BITS = 21
_MARKS, _BEGINNING = 1 << 31, 0

# What a restored, promoted or copied database has in common with no other.
_ERA = """
    SELECT (pg_control_system()).system_identifier, (pg_control_checkpoint()).timeline_id,
        (SELECT oid FROM pg_database WHERE datname = current_database()), to_regclass(%s)::oid
"""
_HORIZON = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
_MARK_BEFORE = """
    SELECT mark FROM {changes} WHERE era = %s AND xid < %s::text::xid8
    ORDER BY xid DESC, mark DESC LIMIT 1
"""
_SINCE = "SELECT ids FROM {changes} WHERE era = %s AND xid >= %s::text::xid8"
_OF_EMBEDDER = " AND position(%s IN numbers) > 0"
_ADD = "INSERT INTO {changes} (era, mark, numbers, ids) VALUES (%s, %s, %s, %s)"
_BEGIN = """
    INSERT INTO {changes} (era, mark, numbers, ids) SELECT %s, %s, '', '{{}}'
    WHERE NOT EXISTS (SELECT 1 FROM {changes} WHERE era = %s)
"""
_FORGET = """
    DELETE FROM {changes} WHERE era <> %s OR xid < (
        SELECT max(xid::text::bigint)::text::xid8 FROM (
            SELECT xid, sum(cardinality(ids)) OVER (ORDER BY xid DESC) AS total FROM {changes}
            WHERE era = %s
        ) AS entries WHERE total > %s
    )
"""


class Journal:
    """The entries of a store's table `changes`, over whatever connection it is given."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def _sql(self, statement: str) -> str:
        return statement.format(changes=self._tables.changes)

    def era(self, link: Link) -> int:
        """Return the number of the era that a connection is in, the same for all of it."""
        if link.era is None:
            row = link.rows(_ERA, [self._tables.records])[0]
            digest = blake2b(repr(row).encode(), digest_size=8).digest()
            link.era = int.from_bytes(digest, "big", signed=True)
        return link.era

    def begin(self, link: Link, is_new: bool = False) -> None:
        """Add a first entry where an era has none, which in a new store is marked as the first."""
        era = self.era(link)
        link.run(self._sql(_BEGIN), [era, _BEGINNING if is_new else _new_mark(), era])

    def position(self, link: Link) -> int:
        """Return the position of what a connection sees."""
        ((horizon,),) = link.rows(_HORIZON)
        return int(horizon) << _CHECK_BITS | self._check(link, horizon)

    def changes_since(self, link: Link, position: int, number: int | None) -> list[bytes] | None:
        """Return the sorted keys that changed after a position, None where that is not known."""
        horizon = position >> _CHECK_BITS
        statement = self._sql(_SINCE)
        values: list[object] = [self.era(link), horizon]
        if number is not None:
            statement, values = statement + _OF_EMBEDDER, [*values, bytes([number])]
        rows = link.rows(statement, values)
        # Last: what was forgotten in between is missed here, if it was not read above.
        if not self._is_known(link, position):
            return None
        return sorted({key for (keys,) in rows for key in keys})

    def _is_known(self, link: Link, position: int) -> bool:
        """Return whether no entry after a position was forgotten: 0 is the making of the store."""
        if not position:
            statement = self._sql("SELECT 1 FROM {changes} WHERE era = %s AND mark = %s")
            return bool(link.rows(statement, [self.era(link), _BEGINNING]))
        check = position & ((1 << _CHECK_BITS) - 1)
        return bool(check) and check == self._check(link, position >> _CHECK_BITS)

    def _check(self, link: Link, horizon: int) -> int:
        """Return the lower bits of a position, 0 where no entry is before it."""
        era = self.era(link)
        rows = link.rows(self._sql(_MARK_BEFORE), [era, horizon])
        return _check_of(era, rows[0][0]) if rows else 0

    def add(self, link: Link, changed: Mapping[bytes, list[bytes]]) -> None:
        """Add the entries of a transaction: the keys by embedders, a byte for each of these."""
        for numbers, keys in changed.items():
            link.run(self._sql(_ADD), [self.era(link), _new_mark(), numbers, keys])

    def forget(self, link: Link) -> None:
        """Remove the entries before the last KEPT_CHANGES changes, but for one."""
        era = self.era(link)
        link.run(self._sql(_FORGET), [era, era, KEPT_CHANGES])


def _new_mark() -> int:
    return _BEGINNING + 1 + secrets.randbelow(_MARKS - 1)


def _check_of(era: int, mark: int) -> int:
    digest = blake2b(f"{era}/{mark}".encode(), digest_size=4).digest()
    return 1 + int.from_bytes(digest, "big") % ((1 << _CHECK_BITS) - 1)
