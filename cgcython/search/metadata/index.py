"""Answers conditions on metadata with the keys of records, in step with a store's writes."""

import logging
import sqlite3
from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from functools import reduce
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cgcython.errors import FileUnavailable, StorageCorruption, StoreUnavailable
from cgcython.locks import ForkSafeLock
from cgcython.search.keys import key_array
from cgcython.search.metadata import index_file
from cgcython.search.metadata.filling import entries_of_text, filled, in_batches
from cgcython.search.metadata.index_file import IndexFile
from cgcython.search.metadata.postings import Postings
from cgcython.search.metadata.rows import Rows
from cgcython.store.reading import RecordReader
from cgcython.store.records import RecordStore
from cgcython.store.where.conditions import (
    Between,
    Condition,
    Either,
    Every,
    Leaf,
    Not,
    OneOf,
)
from cgcython.store.where.entries import SEVERAL
from cgcython.tensors import Malformed
from cgcython.types import BoolArray, KeyArray, UInt8Array

_LOGGER = logging.getLogger(__name__)
MOST_CHANGES = 1 << 16  # more of them are read faster with everything else
MOST_LEAVES = 64  # of conditions whose rows are remembered, a bit for each row
FEW_CHANGES = 1 << 10  # are followed anew by each process faster than a file is written
_DAMAGE = sqlite3.Error, Malformed  # what a file raises that was altered after it was checked


class _Base(NamedTuple):
    """The postings of the first rows, which never change, in a file or a private one."""

    postings: Postings
    rows: int
    file: IndexFile | None = None

    @property
    def is_whole(self) -> bool:
        return self.file is None or self.file.is_whole


class MetadataIndex:
    """The entries of all metadata of a store, read when first asked for.

    They are kept in a file beside the columns where the store is open to write, and otherwise, if
    that file is of no use, in a temporary one without a name. What is written later is kept apart
    until the store is closed, or until so much has changed that all is made anew.
    """

    def __init__(self, store: RecordStore, path: Path, is_writable: bool) -> None:
        self._store, self._path, self._is_writable = store, path, is_writable
        self._base: _Base | None = None
        self._later: Postings | None = None  # of the rows after those of the base
        self._rows, self._position, self._changes = Rows.numbered([]), 0, 0
        self._known: OrderedDict[Leaf, UInt8Array] = OrderedDict()  # rows of the base, as bits
        # The last answer, the same array again: columns remember which rows it chooses.
        self._last: tuple[Condition, int, KeyArray] | None = None
        self.lock = ForkSafeLock()  # who needs that of writers too takes this one first

    def keys(self, condition: Condition) -> KeyArray:
        """Return the keys of the records for which a condition holds now, ascending.

        Raises StorageCorruption naming the records whose metadata cannot be read, StoreUnavailable
        where there is no room for what has to be kept.
        """
        with self.lock:
            try:
                try:
                    return self._found(condition)
                except _DAMAGE:
                    if self._base is None or self._base.file is None:
                        raise
                    self._discard()
                    return self._found(condition, from_file=False)
            except _DAMAGE as error:
                self._discard()
                reason = f"its metadata cannot be indexed: {error}; make room where TMPDIR is"
                raise StoreUnavailable(path=self._store.path, reason=reason) from error

    def _found(self, condition: Condition, from_file: bool = True) -> KeyArray:
        self._come_up_to_date(from_file)
        if self._last is None or self._last[:2] != (condition, self._position):
            self._last = condition, self._position, self._rows.of(self._mask(condition))
        return self._last[2]

    # Which rows a condition holds for.

    def _mask(self, condition: Condition) -> BoolArray:
        """Return whether a condition holds for each row; any may be said of rows of no record."""
        if isinstance(condition, Not):
            return ~self._mask(condition.condition)
        if not isinstance(condition, (Every, Either)):
            return self._mask_of_leaf(condition)
        is_every = isinstance(condition, Every)
        combine = np.logical_and if is_every else np.logical_or
        mask = np.full(self._rows.given, is_every)
        conditions = condition.conditions
        for one in self._narrowed(conditions) if is_every else conditions:
            combine(mask, self._mask(one), out=mask)
        return mask

    def _narrowed(self, conditions: Sequence[Condition]) -> Iterator[Condition]:
        """Yield conditions that all have to hold, with one range instead of several of a path.

        Where a record has several values at the path, each range may hold for another of them.
        """
        ranges: dict[tuple[str, bool], list[Between]] = {}
        for one in conditions:
            if isinstance(one, Between):
                ranges.setdefault((one.path, one.is_text), []).append(one)
            else:
                yield one
        for (path, _), some in ranges.items():
            if len(some) == 1 or self._mask_of_leaf(OneOf(path, (SEVERAL,))).any():
                yield from some
            else:
                yield reduce(Between.narrowed, some)

    def _mask_of_leaf(self, leaf: Leaf) -> BoolArray:
        assert self._base is not None
        mask = np.zeros(self._rows.given, np.bool_)
        base = mask[: self._base.rows]
        if leaf in self._known:
            self._known.move_to_end(leaf)
            base[:] = np.unpackbits(self._known[leaf], count=len(base)).view(np.bool_)
        else:
            _set(base, self._base.postings, leaf)
            self._known[leaf] = np.packbits(base)
            if len(self._known) > MOST_LEAVES:
                self._known.popitem(last=False)
        if self._later is not None:
            _set(mask, self._later, leaf)
        return mask

    # How it comes into step with the store.

    def _come_up_to_date(self, from_file: bool) -> None:
        self._store.journal.position()  # raises where the store is closed, before files are opened
        if self._base is not None and not self._base.is_whole:
            self._discard()
        if self._base is None and from_file:
            found = index_file.opened(self._path)
            if found is not None:
                self._use_file(found)
        if self._base is None or not self._has_followed():
            self._make()

    def _has_followed(self) -> bool:
        """Take up what was written since; returns False where all has to be read anew."""
        journal = self._store.journal
        now = journal.position()
        if now == self._position:
            return True
        changed = journal.changes_since(self._position)
        if changed is None or len(changed) > MOST_CHANGES:
            return False
        for some in in_batches(self._store._metadata_texts(changed)):
            self._add(some)
        self._position, self._changes = now, self._changes + len(changed)
        return not self._rows.are_fragmented

    def _add(self, changed: Collection[tuple[bytes, bytes | None]]) -> None:
        """Give new rows to changed records, whose texts are None where they were deleted."""
        fresh = [(key, text) for key, text in changed if text is not None]
        first = self._rows.given
        # Given before they are used: what is interrupted leaves rows of no record.
        self._rows = self._rows._replace(given=first + len(fresh))
        if self._later is None:
            self._later = Postings()
            self._later.create()
        self._later.add(map(entries_of_text, (text for _, text in fresh)), first)
        keys, new = (key_array([key for key, _ in some]) for some in (changed, fresh))
        self._rows = self._rows.updated(keys, new, first)

    def _make(self) -> None:
        """Read the metadata of all records anew."""
        self._discard()
        with self._store.view() as frozen:
            position = frozen.journal.position()
            if not (self._is_writable and self._make_file(frozen, position)):
                postings = Postings()
                postings.create()
                rows = filled(postings, frozen)
                self._use(_Base(postings, rows.given), rows, position)

    def _make_file(self, frozen: RecordReader, position: int) -> bool:
        """Make the file and use it; returns False, with a warning, where it cannot be written."""
        try:
            with index_file.written(self._path) as postings:
                index_file.finish(postings, filled(postings, frozen), position)
        except (FileUnavailable, sqlite3.Error) as error:
            _LOGGER.warning("%s: the index of metadata was not saved: %s", self._path, error)
            return False
        found = index_file.opened(self._path)
        if found is not None:
            self._use_file(found)
        return found is not None

    def _use_file(self, found: IndexFile) -> None:
        self._use(_Base(found.postings, found.rows.given, found), found.rows, found.position)

    def _use(self, base: _Base, rows: Rows, position: int) -> None:
        self._rows, self._position, self._changes = rows, position, 0
        self._base = base  # last: without a base nothing else counts

    # How it is kept and given back.

    def save_what_pays(self) -> None:
        """Write the file anew where much has changed since."""
        if self._saving_pays():  # asked first: threads that filter may keep the lock busy
            with self.lock:
                if self._base is not None and self._saving_pays():
                    self._save(self._base)

    def _saving_pays(self) -> bool:
        return self._is_writable and self._changes > max(FEW_CHANGES, len(self._rows.keys) // 32)

    def _save(self, base: _Base) -> None:
        try:
            with index_file.written(self._path) as postings:
                for before in filter(None, (base.postings, self._later)):
                    postings.extend(before.all())
                index_file.finish(postings, self._rows, self._position)
        except (FileUnavailable, sqlite3.Error) as error:
            _LOGGER.warning("%s: the index of metadata was not saved: %s", self._path, error)

    def compact(self) -> None:
        """Make a file anew that holds values of records that were changed or deleted since.

        Where metadata cannot be read it is removed: who filters next is told of them.
        """
        with self.lock:
            if not (self._is_writable and self._path.exists()):
                return
            try:
                self._come_up_to_date(from_file=True)
                if self._rows.given > len(self._rows.keys):
                    self._make()
            except (StorageCorruption, *_DAMAGE):
                self._discard()
                self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Give the files back."""
        with self.lock:
            self._discard()

    def _discard(self) -> None:
        """Forget everything; it is made anew when it is asked for."""
        base, later = self._base, self._later
        self._base = self._later = self._last = None
        self._known.clear()
        for one in (base and base.postings, base and base.file, later):
            if one is not None:
                one.close()


def _set(mask: BoolArray, postings: Postings, leaf: Leaf) -> None:
    """Set the rows of a leaf in a mask; raises Malformed for what no row can be."""
    try:
        mask[postings.rows(leaf)] = True
    except (IndexError, TypeError, ValueError) as error:
        raise Malformed(f"a posting is damaged: {error}") from None
