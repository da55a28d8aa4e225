"""What a store keeps about itself under names, changed by compare-and-set alone.

The notes of a store are rows of one partition, so that several change together or not at all. A
longer value lies in parts under a place of its own, written before the row that refers to them, and
is known by its SHA-256.
"""

import secrets
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, NamedTuple

from cgcython.errors import StorageCorruption, StoreUnavailable
from cgcython.store.keeper import Outdated
from cgcython.store.keepers.cql.connection import Connection
from cgcython.store.keepers.cql.layout import NOTES, PARTS

INLINE_BYTES, PART_BYTES = 1024, 256 << 10
TOGETHER = 32  # rows that change together: servers refuse 50 KiB
_TRIES = 20
_ROW = f"SELECT name, digest, value, place, parts FROM {NOTES} WHERE tenant = ?"
_ONE, _SOME = f"{_ROW} AND name = ?", f"{_ROW} AND name >= ? AND name < ?"
_SET = (
    f"UPDATE {NOTES} SET digest = ?, value = ?, place = ?, parts = ? "
    "WHERE tenant = ? AND name = ? IF digest = ?"
)
_PUT_PART = f"INSERT INTO {PARTS} (tenant, place, part, value) VALUES (?, ?, ?, ?)"
_GET_PARTS = f"SELECT value FROM {PARTS} WHERE tenant = ? AND place = ?"
_DROP_PARTS = f"DELETE FROM {PARTS} WHERE tenant = ? AND place = ?"


class _Kept(NamedTuple):
    """The row of a note; all None for one that is not there."""

    digest: bytes | None = None
    value: bytes | None = None
    place: bytes | None = None
    parts: int | None = None


class Notes:
    """The notes of a tenant."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._tenant = connection, connection.address.tenant

    def get(self, name: bytes) -> bytes | None:
        """Return a note, None where there is none; raises StorageCorruption."""
        for _ in range(_TRIES):
            kept = self._row(name)
            if kept.digest is None:
                return None
            value = self._value(kept)
            if value is not None:
                return value
            if self._row(name) == kept:  # or else it was replaced while it was read
                break
        raise StorageCorruption(
            where=f"note {name!r} of store {self._connection.address.place}",
            reason="its parts do not have its SHA-256",
        )

    def below(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield (name, value) of the notes whose names have a prefix, in order."""
        for name, *_ in self._connection.run(_SOME, [self._tenant, prefix, prefix + b"\xff" * 64]):
            value = self.get(name)
            if value is not None:
                yield name, value

    def put(
        self, notes: Mapping[bytes, bytes | None], expected: Mapping[bytes, bytes | None]
    ) -> None:
        """Keep notes and remove those that are None; raises Outdated."""
        digests = {name: _digest(value) for name, value in expected.items()}
        left = list(notes.items())
        while left:
            some, left = dict(left[:TOGETHER]), left[TOGETHER:]
            self._put_together(some, digests)
            digests = {name: one for name, one in digests.items() if name not in some}

    def _put_together(
        self, notes: Mapping[bytes, bytes | None], expected: Mapping[bytes, bytes | None]
    ) -> None:
        before = {name: self._row(name) for name in {**notes, **expected}}
        new = {name: self._spread(value) for name, value in notes.items()}
        for _ in range(_TRIES):
            for name, digest in expected.items():
                if before[name].digest != digest:
                    raise Outdated(f"the note {name!r} is another one by now")
            wanted = {name: new.get(name, kept) for name, kept in before.items()}
            if self._is_set(wanted, before):
                return self._drop([kept for name, kept in before.items() if name in notes])
            before = {name: self._row(name) for name in before}
        reason = "others change its notes all the time; call again"
        raise StoreUnavailable(path=self._connection.address.place, reason=reason)

    def _is_set(self, wanted: Mapping[bytes, _Kept], before: Mapping[bytes, _Kept]) -> bool:
        """Set rows, if all are as they were before; return whether they are set."""
        rows = [[*wanted[name], self._tenant, name, before[name].digest] for name in sorted(wanted)]
        try:
            return bool(self._connection.run_together(_SET, rows)[0][0])
        except StoreUnavailable:  # it may have been applied
            if all(self._row(name).digest == one.digest for name, one in wanted.items()):
                return True
            self._connection.require_open()
            return False

    def _spread(self, value: bytes | None) -> _Kept:
        """Return the row of a value, whose parts are written if it has some."""
        if value is None:
            return _Kept()
        if len(value) <= INLINE_BYTES:
            return _Kept(_digest(value), value)
        place = secrets.token_bytes(16)
        parts = [value[at : at + PART_BYTES] for at in range(0, len(value), PART_BYTES)]
        values = [[self._tenant, place, number, part] for number, part in enumerate(parts)]
        self._connection.run_all(_PUT_PART, values)
        return _Kept(_digest(value), None, place, len(parts))

    def _row(self, name: bytes) -> _Kept:
        rows: list[tuple[Any, ...]] = self._connection.run(_ONE, [self._tenant, name])
        return _Kept(*rows[0][1:]) if rows else _Kept()

    def _value(self, kept: _Kept) -> bytes | None:
        """Return the value of a row, None where it is not whole."""
        value = kept.value
        if kept.place is not None:
            rows = self._connection.run(_GET_PARTS, [self._tenant, kept.place])
            value = b"".join(part for (part,) in rows)
        return value if _digest(value) == kept.digest else None

    def _drop(self, replaced: list[_Kept]) -> None:
        places = [[self._tenant, one.place] for one in replaced if one.place is not None]
        self._connection.run_all(_DROP_PARTS, places)


def _digest(value: bytes | None) -> bytes | None:
    return None if value is None else sha256(value).digest()
