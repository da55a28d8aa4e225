"""Writes the records of a store: whole, in part, and away; every batch all or nothing."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any, TypeAlias, TypeVar

from cgcython.base import EmbedderId, Profile
from cgcython.checks import iterated, require_instance, require_progress, require_whole
from cgcython.errors import CodebookMissing, QuantizationError, StorageCorruption
from cgcython.fingerprint import (
    DEFAULT_BUDGET_BYTES,
    Fingerprint,
    QuantizedFingerprint,
    encode_all,
)
from cgcython.manifest import Manifest
from cgcython.router import QuantizationRouter
from cgcython.store import trash
from cgcython.store.fitting import require_fit
from cgcython.store.ids import RecordId, name_of
from cgcython.store.items import Embeddings, Item, own_parts, pair_of, parts_of
from cgcython.store.journal import Journal
from cgcython.store.keeper import Change, Keeper, Outdated, Read
from cgcython.store.quality import QualityLog
from cgcython.store.reading import RecordReader
from cgcython.store.replacing import new_head, replaced_head
from cgcython.store.shelf import CodebookShelf
from cgcython.store.turn import Turn
from cgcython.types import Progress

_Parts: TypeAlias = tuple[bytes, Embeddings, Mapping[str, Any] | None]
_Given = TypeVar("_Given")
_Made = TypeVar("_Made")
BATCH = 256


class RecordWriter(RecordReader):
    """A RecordReader that writes too, one batch after the other."""

    _keeper: Keeper

    def __init__(
        self, keeper: Keeper, shelf: CodebookShelf, profile: Profile, router: QuantizationRouter
    ) -> None:
        super().__init__(keeper, shelf, profile, router, Journal(keeper, profile))
        self._writing = Turn(keeper)
        self._quality = QualityLog(keeper)

    def store(
        self,
        record_id: RecordId,
        fingerprint: Embeddings,
        budget_bytes: int | None = DEFAULT_BUDGET_BYTES,
        *,
        metadata: Mapping[str, Any] | None = None,
        timestamp: datetime | int | None = None,
    ) -> None:
        """Keep a fingerprint under an id, replacing what was there.

        A record that is replaced keeps when it was created, and its `metadata` (a JSON object)
        unless others are given. `timestamp`, microseconds since 1970 or an aware datetime, is by
        default now. Raises BudgetExceeded and what the codecs raise, before anything is written.
        """
        self._keeper.require_writable()
        given = Fingerprint.of(fingerprint)

        def keep() -> None:
            quantized = given.encode(self.router, budget_bytes)
            self.store_quantized([(record_id, quantized)], metadata=metadata, timestamp=timestamp)

        self._with_codebooks_of_now(keep)

    def store_many(
        self,
        items: Iterable[Item],
        *,
        num_threads: int = 1,
        batch_size: int = BATCH,
        budget_bytes: int | None = DEFAULT_BUDGET_BYTES,
        progress: Progress | None = None,
    ) -> int:
        """Keep (id, fingerprint) pairs and return their number.

        An item may have metadata as its third part. A generator may fill one buffer again and
        again. Each batch is written all or nothing; `progress` is called with the size of each.
        """
        self._keeper.require_writable()
        size, count = min(require_whole(batch_size, "batch_size", least=1), sys.maxsize), 0
        is_kept = isinstance(items, Sequence)  # others may refill what they yield
        rows = map(parts_of if is_kept else own_parts, iterated(items, "items"))
        require_progress(progress)
        while batch := list(islice(rows, size)):
            self._with_codebooks_of_now(partial(self._keep, batch, num_threads, budget_bytes))
            count += len(batch)
            self.note_losses()
            if progress is not None:
                progress(len(batch))
        return count

    def note_losses(self, router: QuantizationRouter | None = None) -> None:
        """Log what a router's samples lost since the last call, and keep it in the statistics.

        By default the store's own router; `store_many` does this for each batch. Another is one
        that encoded for `store_quantized`.
        """
        self._keeper.require_open()
        given = self.router if router is None else router
        self._quality.note(require_instance(given, QuantizationRouter, "router"))
        if self._quality.is_due:
            with self._writing:
                self._quality.flush()

    def _keep(self, batch: list[_Parts], num_threads: int, budget_bytes: int | None) -> None:
        quantized = self.encode([one for _, one, _ in batch], num_threads, budget_bytes)
        self._store_records(
            {
                key: one if metadata is None else one.with_info(metadata=metadata)
                for (key, _, metadata), one in zip(batch, quantized)
            }
        )

    def _with_codebooks_of_now(self, keep: Callable[[], None]) -> None:
        """Encode and keep; anew where another thread dropped a codebook in between."""
        while True:
            router = self.router
            try:
                return keep()
            except CodebookMissing:
                if router is self.router:
                    raise

    def encode(
        self,
        fingerprints: Iterable[Embeddings],
        num_threads: int = 1,
        budget_bytes: int | None = DEFAULT_BUDGET_BYTES,
    ) -> list[QuantizedFingerprint]:
        """Return the QuantizedFingerprints that this store would keep, each within the budget.

        What is raised has a note that tells which of the fingerprints it is about.
        """
        self._keeper.require_open()
        memories = [Fingerprint.of(one) for one in iterated(fingerprints, "fingerprints")]
        try:
            return encode_all(memories, self.router, budget_bytes, num_threads)
        except QuantizationError:
            # A batch does not know its rows; the first one that fails alone says it better.
            return list(_each(lambda one: one.encode(self.router, budget_bytes), memories))

    def store_quantized(
        self,
        items: Iterable[tuple[RecordId, QuantizedFingerprint]],
        *,
        metadata: Mapping[str, Any] | None = None,
        timestamp: datetime | int | None = None,
    ) -> None:
        """Keep (id, QuantizedFingerprint) pairs, all or nothing; arguments as in `store`.

        New records carry their times and metadata with them; those that are replaced keep theirs
        as in `store`. The same record again is written again: that mends a damaged one. Raises
        DimensionMismatch, MethodMismatch or InvalidInput for what the profile does not hold, and
        CodebookMissing for codes of a codebook that the store does not have.
        """
        moment = None if timestamp is None else trash.microseconds(timestamp)
        self._store_records(dict(map(pair_of, iterated(items, "items"))), metadata, moment)

    def _store_records(
        self,
        records: Mapping[bytes, QuantizedFingerprint],
        metadata: Mapping[str, Any] | None = None,
        moment: int | None = None,
    ) -> None:
        """Keep records by key, all or nothing."""
        if self.profile.own:
            records = {key: one.numbered(self.profile) for key, one in records.items()}

        def changes() -> list[Change]:
            self._require_own(records)
            heads = self._keeper.heads(list(records))
            return [
                self._change(key, quantized, head, metadata, moment)
                for (key, quantized), head in zip(records.items(), heads)
            ]

        self._write(changes)

    def _write(self, changes: Callable[[], list[Change]]) -> list[Change]:
        """Write the changes that a function makes of the records as they are, and return them.

        It is called again where another writer changed one of them meanwhile, or the codebooks.
        """
        while True:
            with self._writing:  # in which this process drops no codebook
                made = changes()
                lists = {} if self._keeper.promises.one_writer else self._shelf.lists()
                try:
                    if made:
                        self._keeper.write(made, lists)
                    return made
                except Outdated:
                    is_other = self._see_codebooks()
            if is_other:
                self._forget_columns()

    def _see_codebooks(self) -> bool:
        """Take the codebooks that there are now, and return whether they are others."""
        before = self._shelf.generations()
        self._shelf.reload()
        if self._shelf.generations() == before:
            return False
        self._take_codebooks()
        return True

    def _take_codebooks(self) -> None:
        """Encode and decode with the codebooks that there are now."""
        self._quality.note(self.router)
        self.router = QuantizationRouter(self._shelf.current(), profile=self.profile)

    def _forget_columns(self) -> None:
        """Forget what was made with other codebooks, where there is any.

        Never called in a turn of writing, which those who make columns wait for.
        """

    def _change(
        self,
        key: bytes,
        quantized: QuantizedFingerprint,
        before: Read | None,
        metadata: Mapping[str, Any] | None,
        moment: int | None,
    ) -> Change:
        """Return the change that keeps a record in the place of another, or of none."""
        sections = quantized.sections
        if before is None:
            head = new_head(quantized, metadata, moment)
            return Change(key, head, sections, None, quantized.forms)
        known = self._manifest_or_error(before)
        head = replaced_head(quantized, known, metadata, moment)
        changed = sections.keys() | embedders_of(known, self.profile)
        return Change(key, head, sections, before, changed)

    def _require_own(self, records: Mapping[bytes, QuantizedFingerprint]) -> None:
        """Raise, naming the record, where one is none that this store could decode."""
        seen = None  # which all records of a batch may share
        for key, record in records.items():
            forms = record.forms
            if forms is seen:
                continue
            try:
                require_fit(self.profile, forms)
                self._shelf.require_listed(forms)
            except QuantizationError as error:
                error.add_note(f"(record {name_of(key)})")
                raise
            seen = forms

    def _manifest_or_error(self, head: Read) -> Manifest | StorageCorruption:
        """Return the manifest that a head is, or what is wrong with it."""
        try:
            return self._manifest_of(head, "manifest")
        except StorageCorruption as error:
            return error


def _each(function: Callable[[_Given], _Made], items: Iterable[_Given]) -> Iterator[_Made]:
    """Yield the result for each item, noting on an error which one it is about."""
    for number, item in enumerate(items):
        try:
            yield function(item)
        except QuantizationError as error:
            error.add_note(f"(fingerprint {number} of the batch)")
            raise


def embedders_of(manifest: Manifest | StorageCorruption, profile: Profile) -> set[EmbedderId]:
    """Return the embedders that may have a section: all, where the manifest is damaged."""
    if isinstance(manifest, StorageCorruption):
        return set(profile.storable)
    return set(manifest.checksums)
