"""Writes records: each as a whole row, in one statement, under a stamp of its call.

So cells of two writers never mix: the row of the higher stamp stays. What the trash keeps is a cell
that a statement sets or leaves alone. A record that is removed leaves empty cells, which outlive
any write that is under way and then go by themselves: unlike a tombstone they tell their time.
"""

from collections.abc import Sequence
from types import EllipsisType

from cgcython.errors import StorageCorruption, StoreUnavailable
from cgcython.store.ids import name_of
from cgcython.store.keeper import Change, Outdated, Record
from cgcython.store.keepers.cql import library
from cgcython.store.keepers.cql.connection import Connection, Values
from cgcython.store.keepers.cql.failures import translated
from cgcython.store.keepers.cql.journal import Journal
from cgcython.store.keepers.cql.layout import DAY_S, RECORDS, column
from cgcython.store.keepers.cql.rows import RowReader
from cgcython.store.keepers.cql.stamps import Stamps, just_above

AT_ONCE = 256  # records under one stamp
REMOVED_KEPT_S = 10 * DAY_S
_NAMED = 10
_PURGE = (
    f"UPDATE {RECORDS} USING TIMESTAMP ? SET gone = null WHERE tenant = ? AND bucket = ? AND id = ?"
)
_TIMES = ["head", "writetime(head)", "writetime(gone)"]


class RowWriter(RowReader):
    """A RowReader that writes too, with stamps of its own."""

    def __init__(
        self, connection: Connection, buckets: int, journal: Journal, writer: int | None
    ) -> None:
        super().__init__(connection, buckets)
        self._journal, self._writer = journal, writer
        self._stamps = Stamps(writer or 0)

    def _write(self, changes: Sequence[Change]) -> None:
        """Write changes; raises Outdated, and StoreUnavailable naming what is not acknowledged."""
        whole = self._completed(changes)
        for at in range(0, len(whole), AT_ONCE):
            self._write_some(whole[at : at + AT_ONCE], whole[at + AT_ONCE :])

    def _write_some(self, changes: Sequence[Change], later: Sequence[Change]) -> None:
        stamp = self._stamps.next(self._last_written([one.key for one in changes]))
        self._journal.add(stamp, self._writer or 0, changes)
        rows = [self._row(one, stamp) for one in changes]
        failed = self._connection.attempt_all(self._statement(), rows)[1]
        if self._journal.is_late(stamp):
            self._journal.add(self._stamps.next(), self._writer or 0, changes)
        if failed:
            missing = [changes[at].key for at in failed] + [one.key for one in later]
            raise _unacknowledged(next(iter(failed.values())), missing, self._connection)

    def _completed(self, changes: Sequence[Change]) -> list[Change]:
        """Return changes of whole records: partial ones with the sections that they leave."""
        partial = [one for one in changes if one.partial]
        found = dict(
            zip([one.key for one in partial], self._read_whole([one.key for one in partial]))
        )
        return [
            one._replace(sections=_filled(one, found[one.key])) if one.key in found else one
            for one in changes
        ]

    def _read_whole(self, keys: Sequence[bytes]) -> list[Record | StorageCorruption | None]:
        self.heads(keys)  # tells when each was written
        return self.records(keys)

    def _last_written(self, keys: Sequence[bytes]) -> int:
        """Return the highest stamp of the records that are replaced."""
        known = {key: self._written.pop(key, None) for key in keys}
        unknown = [key for key, stamp in known.items() if stamp is None]
        if unknown:
            self.heads(unknown)
            known |= {key: self._written.pop(key, 0) for key in unknown}
        return max((stamp or 0 for stamp in known.values()), default=0)

    def _statement(self) -> str:
        columns = ["head", "gone", *map(column, self._numbers)]
        names = ", ".join(["tenant", "bucket", "id", *columns])
        marks = ", ".join("?" * (3 + len(columns)))
        return f"INSERT INTO {RECORDS} ({names}) VALUES ({marks}) USING TIMESTAMP ? AND TTL ?"

    def _row(self, change: Change, stamp: int) -> list[object]:
        """Return the values of the statement for a change."""
        sections = {int(number): section for number, section in change.sections.items()}
        cells = [sections.get(number) or b"" for number in self._numbers]
        is_kept = change.head is not None or any(cells) or isinstance(change.gone, bytes)
        gone: object = change.gone
        if isinstance(change.gone, EllipsisType):
            gone = library.driver.query.UNSET_VALUE
        place = [self._tenant, self.bucket(change.key), change.key]
        return [*place, change.head or b"", gone, *cells, stamp, 0 if is_kept else REMOVED_KEPT_S]

    def _purge(self, keys: Sequence[bytes]) -> None:
        """Remove what the trash keeps, and nothing that is written meanwhile."""
        rows = self._by_key(keys, _TIMES)
        purged: list[Values] = []
        removed: list[Values] = []
        for key, head, written, gone in rows.values():
            if gone is None:
                continue
            if head or written != gone:
                place = [self._tenant, self.bucket(key), key]
                purged.append([just_above(gone), *place])
            else:  # the row is there for the trash alone
                nothing = Change(key, None, {}, None, (), gone=None)
                removed.append(self._row(nothing, just_above(gone)))
        self._connection.run_all(_PURGE, purged)
        self._connection.run_all(self._statement(), removed)


def _filled(change: Change, found: Record | StorageCorruption | None) -> dict[int, bytes | None]:
    """Return the sections of a partial change with those that it leaves; raises Outdated."""
    head = found.head if isinstance(found, Record) else None
    if head != change.before:
        raise Outdated(f"record {name_of(change.key)} is another one by now")
    kept = found.sections if isinstance(found, Record) else {}
    return {**kept, **{int(number): one for number, one in change.sections.items()}}  # type: ignore[dict-item]  # rows are read as bytes


def _unacknowledged(error: Exception, keys: Sequence[bytes], connection: Connection) -> Exception:
    """Return the error of a call, naming the records that it may not have written."""
    found = translated(error, connection.address)
    names = [name_of(key) for key in keys]
    if isinstance(found, StoreUnavailable):
        some = ", ".join(names[:_NAMED]) + ", ..." * (len(names) > _NAMED)
        found.reason = f"{found.reason}; {len(names)} of the records are not acknowledged: {some}"
        found.add_note(f"(not acknowledged: {' '.join(names)})")
    return found
