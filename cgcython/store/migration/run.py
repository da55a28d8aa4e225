"""Moves the memories of a legacy source into a store, some at a time.

Where a run stands is kept in the store, written after the records it speaks of: a run that was
killed has stored everything before its mark, and what it stored after it is known by its ids.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol, TypeAlias

from cgcython.base import EmbedderId
from cgcython.checksums import crc32
from cgcython.errors import (
    CodebookCorrupt,
    CodebookMissing,
    QuantizationError,
    StoreUnavailable,
    UnsupportedVersion,
)
from cgcython.fingerprint import (
    DEFAULT_BUDGET_BYTES,
    Fingerprint,
    QuantizedFingerprint,
    encode_all,
)
from cgcython.router import QuantizationRouter
from cgcython.store.ids import id_of
from cgcython.store.migration.legacy_values import LegacyRecord, LegacyValue
from cgcython.store.records import RecordStore
from cgcython.types import Progress

Watch: TypeAlias = Callable[
    [list[dict[EmbedderId, LegacyValue]], list[QuantizedFingerprint]], object
]
BATCH = 512
_PREFIX = b"migration/"
_MARK = _PREFIX + b"mark"
_LEFT = {"failed": _PREFIX + b"failed/", "skipped": _PREFIX + b"skipped/"}


class Source(Protocol):
    """Memories of the old system."""

    def records(self, after: bytes = b"") -> Iterator[LegacyRecord]:
        """Yield those behind a place, in the order of their places."""

    def facts(self) -> Any:
        """Return what makes a later run the same one, as JSON keeps it."""


@dataclass
class MigrationReport:
    """What became of the memories of a source; `skipped` and `failed` are reasons by id.

    Skipped are those without anything the profile keeps; failed are those that cannot be read or
    encoded. Bytes are those of the migrated ones, before and after.
    """

    migrated: int = 0
    already_there: int = 0
    float32_bytes: int = 0
    stored_bytes: int = 0
    skipped: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def migrate(
    source: Source,
    router: QuantizationRouter,
    store: RecordStore | None = None,
    *,
    resume: bool = False,
    strict: bool = False,
    num_threads: int = 1,
    budget_bytes: int = DEFAULT_BUDGET_BYTES,
    dry_run: bool = False,
    watch: Watch | None = None,
    progress: Progress | None = None,
) -> MigrationReport:
    """Encode every memory of a source, keep it in a store, and return the MigrationReport.

    A store that holds records is refused unless `resume`, which leaves those alone and goes on
    where the same source was left; a dry run writes nothing and needs no store. `strict` raises
    the first error of a memory instead of noting it. `watch(memories, records)` sees what was
    encoded, `progress` is called with the number of memories that were dealt with.
    """
    run = _Run(router, store, strict, num_threads, budget_bytes)
    marks = None
    if store is not None and not dry_run:
        marks = _Marks(store, source.facts(), run.report, resume)
    rows = source.records(marks.after if marks else b"")
    while batch := list(islice(rows, BATCH)):
        kept, records = run.encode(batch)
        if marks is not None:
            run.keep(kept, records)
        run.count(kept, records)
        if watch is not None:
            watch([one.embeddings for one in kept], records)
        if marks is not None:
            marks.note(batch[-1].place)
        if progress is not None:
            progress(len(batch))
    if marks is not None:
        marks.clear()
    return run.report


class _Run:
    """Encodes batches and notes in a report what cannot be."""

    def __init__(
        self,
        router: QuantizationRouter,
        store: RecordStore | None,
        strict: bool,
        num_threads: int,
        budget_bytes: int,
    ) -> None:
        self.router, self.store, self.strict = router, store, strict
        self.num_threads, self.budget_bytes = num_threads, budget_bytes
        self.report = MigrationReport()

    def encode(
        self, batch: list[LegacyRecord]
    ) -> tuple[list[LegacyRecord], list[QuantizedFingerprint]]:
        """Return those of some LegacyRecords that are new and sound, and their records."""
        kept: list[LegacyRecord] = []
        for one in batch:
            if one.error is not None:
                self._fail(one, one.error)
            elif not one.embeddings:
                self.report.skipped[one.name] = "it has no embedding of the profile's embedders"
            elif self.store is not None and one.key is not None and id_of(one.key) in self.store:
                self.report.already_there += 1
            else:
                kept.append(one)
        found: Iterable[QuantizedFingerprint | None] | None = self._encoded_at_once(kept)
        if found is None:
            found = map(self._encoded, kept)
        sound = [(one, record) for one, record in zip(kept, found) if record is not None]
        return [one for one, _ in sound], [record for _, record in sound]

    def _encoded_at_once(self, kept: list[LegacyRecord]) -> list[QuantizedFingerprint] | None:
        """Return the records of all, or None where one of them cannot be encoded."""
        try:
            memories = [Fingerprint(one.embeddings) for one in kept]
            return encode_all(memories, self.router, self.budget_bytes, self.num_threads)
        except QuantizationError:
            return None

    def _encoded(self, one: LegacyRecord) -> QuantizedFingerprint | None:
        """Return the record of one memory, or None once its error is noted."""
        try:
            return Fingerprint(one.embeddings).encode(self.router, self.budget_bytes)
        except (CodebookMissing, CodebookCorrupt, UnsupportedVersion):
            raise  # this is about all of them
        except QuantizationError as error:
            self._fail(one, error)
            return None

    def _fail(self, one: LegacyRecord, error: QuantizationError) -> None:
        if self.strict:
            error.add_note(f"(legacy memory {one.name})")
            raise error
        self.report.failed[one.name] = str(error)

    def keep(self, kept: list[LegacyRecord], records: list[QuantizedFingerprint]) -> None:
        """Store records under the ids of their memories."""
        if self.store is not None and records:
            self.store.store_quantized(
                (id_of(one.key), record)
                for one, record in zip(kept, records)
                if one.key is not None
            )

    def count(self, kept: list[LegacyRecord], records: list[QuantizedFingerprint]) -> None:
        """Count memories that were dealt with."""
        self.report.migrated += len(kept)
        self.report.float32_bytes += sum(one.float32_bytes for one in kept)
        self.report.stored_bytes += sum(one.size_bytes for one in records)


class _Marks:
    """How far a migration has come, and what it could not take along, kept in its store."""

    def __init__(
        self, store: RecordStore, facts: dict[str, Any], report: MigrationReport, resume: bool
    ) -> None:
        self._keeper, self._report = store._keeper, report
        self._facts = crc32(json.dumps(facts, sort_keys=True).encode())
        self.after, self._noted = b"", dict.fromkeys(_LEFT, 0)
        if resume:
            self._read()
        elif next(iter(store), None) is not None:
            reason = "it holds records already; go on with resume, which leaves those alone"
            raise StoreUnavailable(path=store.path, reason=reason)

    def _read(self) -> None:
        """Take up the report of the same source; another one begins anew, by ids."""
        mark: dict[str, Any] = self._keeper.note(_MARK, json.loads, "mark of a migration") or {}
        if mark.get("facts") != self._facts:
            return
        self.after = bytes.fromhex(mark["after"])
        self._report.already_there = mark["done"]
        for kind, prefix in _LEFT.items():
            left = getattr(self._report, kind)
            for key, reason in self._keeper.notes(prefix):
                left[key[len(prefix) :].decode()] = reason.decode()
            self._noted[kind] = len(left)

    def note(self, place: bytes) -> None:
        """Write down that everything up to a place was dealt with."""
        report = self._report
        done = report.migrated + report.already_there
        mark = {"facts": self._facts, "after": place.hex(), "done": done}
        notes: dict[bytes, bytes | None] = {_MARK: json.dumps(mark).encode()}
        for kind, prefix in _LEFT.items():
            left = getattr(report, kind)
            for name in islice(reversed(left), len(left) - self._noted[kind]):  # the new ones
                notes[prefix + name.encode()] = left[name].encode()
            self._noted[kind] = len(left)
        self._keeper.put_notes(notes)

    def clear(self) -> None:
        """Leave no trace of the migration in the store."""
        self._keeper.put_notes(dict.fromkeys(name for name, _ in self._keeper.notes(_PREFIX)))
