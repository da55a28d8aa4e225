"""Copies a store from one place to another, byte for byte; interrupted, it goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from itertools import chain
from types import EllipsisType
from typing import TypeAlias

from cgcython.base import Profile
from cgcython.checks import require_progress
from cgcython.errors import StorageCorruption, StoreUnavailable
from cgcython.manifest import listed_sections
from cgcython.store.copy_state import COPYING, CopyState, read_state
from cgcython.store.copy_tally import BATCH, Source, Tally, batches, content_of, shared_notes, tally
from cgcython.store.ids import id_of
from cgcython.store.keeper import Change, Keeper, Outdated, Read, Record
from cgcython.store.opening import notes_of, open_keeper
from cgcython.store.places import is_address, place_of
from cgcython.types import Progress, StrPath

_Content: TypeAlias = tuple[bytes, dict[int, bytes]]  # head and sections of a record
SAVED_EVERY = 1.0  # seconds between two notes of how far a copy came
MOST_ROUNDS = 2  # of copying what was written meanwhile; comparing finds what comes later


def copy_store(
    source: StrPath,
    target: StrPath,
    *,
    progress: Progress | None = None,
    verifying: Progress | None = None,
) -> Tally:
    """Copy a store to a place where none is, and return the Tally that both have then.

    Places are folders, `postgresql://...` and `cql://...`. Records, their times and metadata, the
    trash and all generations of codebooks are the same bytes afterwards, which reading both of them
    to the end checks. The copy opens as a store when it is whole; interrupted, the same call goes
    on. What is written to the source meanwhile is copied too.

    `progress` is called with the number of records copied, those of an interrupted run first;
    `verifying` with that of the records read again, of both. Raises StoreUnavailable, and
    StorageCorruption naming the records of the source that are damaged.
    """
    for one in (progress, verifying):
        require_progress(one)
    kept, profile = open_keeper(source, None, read_only=True, create=False)
    with closing(kept):
        kept.add_embedders([*map(int, profile.storable)])
        with kept.moment() if kept.promises.frozen else nullcontext(kept) as view:
            return copy_records(view, profile, target, progress, verifying)


def copy_records(
    source: Source,
    profile: Profile,
    target: StrPath,
    progress: Progress | None = None,
    verifying: Progress | None = None,
) -> Tally:
    """Copy what a source keeps, which is of a profile; other arguments as in `copy_store`."""
    made, state = _begun(source, profile, target)
    with closing(made), _alone(made):
        copy = _Copy(source, made, state, progress)
        copy.run()
        found = _verified(copy, verifying)
        made.put_notes({COPYING: None})
    return found


def _begun(source: Source, profile: Profile, target: StrPath) -> tuple[Keeper, CopyState]:
    """Return the keeper of a copy, made where there is none, and how far it came."""
    place, numbers = place_of(target), [*map(int, profile.storable)]
    if not place.exists():
        state = CopyState(source.place, source.position())
        place.create({**notes_of(profile), COPYING: state.packed()}, numbers)
    # On a folder a write waits for the disk: who copies a store may mean to delete the old one.
    made = place.open(read_only=False, sync=not is_address(target), follow=False)
    try:
        made.add_embedders(numbers)
        found = read_state(made)
        if found is None:
            reason = "there is a store already; name a place where none is"
            raise StoreUnavailable(path=made.place, reason=reason)
        if found.source != source.place:
            reason = f"it is an unfinished copy of {found.source}; name another place"
            raise StoreUnavailable(path=made.place, reason=reason)
        return made, found
    except BaseException:
        made.close()
        raise


@contextmanager
def _alone(made: Keeper) -> Iterator[None]:
    """Tell in the words of a copy that another writer was there."""
    try:
        yield
    except Outdated:
        reason = "another process writes to the copy; stop it and run the same command again"
        raise StoreUnavailable(path=made.place, reason=reason) from None


class _Copy:
    """Copies records, the trash and notes, and notes how far it came."""

    def __init__(
        self, source: Source, target: Keeper, state: CopyState, progress: Progress | None
    ) -> None:
        self.source, self.target = source, target
        self._state, self._progress, self._saved = state, progress, time.monotonic()

    def run(self) -> None:
        """Copy everything that was not copied yet, and what changed since the copy was begun."""
        self._tell(self._state.records)
        self.copy_notes()
        for stripe in range(self._state.stripe, self.source.stripes()):
            self._copy_stripe(stripe)
        self._save()
        for stripe in range(self.source.stripes()):
            for batch in batches(self.source.scan_gone(stripe), BATCH):
                self.copy_keys([key for key, _ in batch])
                self._tell(len(batch))
        for _ in range(MOST_ROUNDS):
            if not self._follow():
                break

    def copy_notes(self) -> None:
        """Copy the notes that differ, and remove those that the source has not."""
        wanted, found = shared_notes(self.source), shared_notes(self.target)
        changed = {name: one for name, one in wanted.items() if found.get(name) != one}
        gone = dict.fromkeys(found.keys() - wanted.keys())
        if changed or gone:
            self.target.put_notes({**changed, **gone})

    def _copy_stripe(self, stripe: int) -> None:
        after = bytes.fromhex(self._state.after)
        rows = self.source.scan_records(stripe)
        left = (row for row in rows if row[0] > after and row[1].head is not None)
        for batch in batches(left, BATCH):
            keys = [key for key, _ in batch]
            self._write(keys, [record for _, record in batch], [...] * len(keys))
            count = self._state.records + len(keys)
            self._state = self._state._replace(after=keys[-1].hex(), records=count)
            self._tell(len(keys))
            self._save_at_times()
        self._state = self._state._replace(stripe=stripe + 1, after="")
        self._save_at_times()

    def copy_keys(self, keys: Sequence[bytes]) -> None:
        """Have the copy keep under some keys what the source does, in the trash too."""
        self._write(keys, self.source.records(keys), self.source.gone(keys))

    def _follow(self) -> bool:
        """Copy what changed since the noted position; return whether anything did."""
        position = self.source.position()
        changed = self.source.changes_since(self._state.position)
        if position == self._state.position or changed is None:
            return False  # what is not known is found by comparing
        for batch in batches(changed, BATCH):
            self.copy_keys(batch)
        self.copy_notes()
        self._state = self._state._replace(position=position)
        self._save()
        return True

    def _write(
        self,
        keys: Sequence[bytes],
        records: Sequence[Record | StorageCorruption | None],
        gone: Sequence[bytes | EllipsisType | None],
    ) -> None:
        rows: list[tuple[bytes, _Content | None, bytes | EllipsisType | None]] = []
        damaged: list[bytes] = []
        for key, record, value in zip(keys, records, gone):
            try:
                rows.append((key, _content(record), value))
            except StorageCorruption:
                damaged.append(key)
        if damaged:
            reason = "they are damaged; delete them or mend the store, then run the same again"
            where = f"{len(damaged)} records of {self.source.place}"
            raise StorageCorruption(where=where, reason=reason, ids=map(id_of, damaged))
        befores = self.target.heads(keys)
        self.target.write([_change(*row, before) for row, before in zip(rows, befores)])

    def _save_at_times(self) -> None:
        if time.monotonic() - self._saved > SAVED_EVERY:
            self._save()

    def _save(self) -> None:
        self._saved = time.monotonic()
        self.target.put_notes({COPYING: self._state.packed()})

    def _tell(self, count: int) -> None:
        if self._progress is not None and count:
            self._progress(count)


def _content(record: Record | StorageCorruption | None) -> _Content | None:
    if isinstance(record, StorageCorruption):
        raise record
    return None if record is None or record.head is None else content_of(record)


def _change(
    key: bytes, content: _Content | None, gone: bytes | EllipsisType | None, before: Read | None
) -> Change:
    """Return the change that makes a record of the copy that of the source."""
    head, sections = content or (None, dict[int, bytes]())
    known = listed_sections(before) if isinstance(before, bytes) else {}
    return Change(key, head, sections, before, {*sections, *known}, gone=gone)


def _verified(copy: _Copy, verifying: Progress | None) -> Tally:
    """Return the Tally of both stores; where they differ, copy again what does, once."""
    wanted = tally(copy.source, verifying)
    found = tally(copy.target, verifying)
    if wanted == found:
        return found
    copy.copy_notes()
    for keys in _differing(copy.source, copy.target):
        copy.copy_keys(keys)
    wanted, found = tally(copy.source), tally(copy.target)
    if wanted == found:
        return found
    reason = (
        f"it differs from {copy.source.place} after all was copied ({found.records} and "
        f"{wanted.records} records): stop what writes to them and run the same command again"
    )
    raise StoreUnavailable(path=copy.target.place, reason=reason)


def _differing(source: Source, target: Source) -> Iterator[list[bytes]]:
    """Yield the keys under which two stores keep different things, some at a time."""
    for one in (source, target):
        for stripe in range(one.stripes()):
            held = (key for key, _ in one.scan_records(stripe))
            gone = (key for key, _ in one.scan_gone(stripe))
            for keys in batches(chain(held, gone), BATCH):
                records = zip(source.records(keys), target.records(keys))
                trash = zip(source.gone(keys), target.gone(keys))
                pairs = zip(keys, records, trash)
                yield [key for key, (a, b), (c, d) in pairs if a != b or c != d]
