"""Moves the memories of a legacy source into a store, some at a time.

Where a run stands is kept in the store, written after the records it speaks of: a run that was
killed has stored everything before its mark, and what it stored after it is known by its ids.
"""

import json
from dataclasses import dataclass, field
from itertools import islice
from zlib import crc32

from cgcython.errors import (
    CodebookCorrupt,
    CodebookMissing,
    QuantizationError,
    StoreUnavailable,
    UnsupportedVersion,
)
from cgcython.fingerprint import DEFAULT_BUDGET_BYTES, Fingerprint, QuantizedFingerprint

BATCH = 512
_PREFIX = b"migration/"
_MARK = _PREFIX + b"mark"
_LEFT = {"failed": _PREFIX + b"failed/", "skipped": _PREFIX + b"skipped/"}


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
    skipped: dict = field(default_factory=dict)
    failed: dict = field(default_factory=dict)


def migrate(
    source,
    router,
    store=None,
    *,
    resume=False,
    strict=False,
    num_threads=1,
    budget_bytes=DEFAULT_BUDGET_BYTES,
    dry_run=False,
    watch=None,
    progress=None,
):
    """Encode every memory of a source, keep it in a store, and return the MigrationReport.

    A source has `records(after)`, LegacyRecords in the order of their places, and `facts()`.
    A store that holds records is refused unless `resume`, which leaves those alone and goes on
    where the same source was left; a dry run writes nothing and needs no store. `strict` raises
    the first error of a memory instead of noting it. `watch(memories, records)` sees what was
    encoded, `progress` is called with the number of memories that were dealt with.
    """
    run = _Run(router, store, strict, num_threads, budget_bytes)
    marks = None if dry_run else _Marks(store, source.facts(), run.report, resume)
    rows = source.records(marks.after if marks else b"")
    while batch := list(islice(rows, BATCH)):
        kept, records = run.encode(batch)
        if not dry_run and records:
            store.store_quantized(zip([one.key for one in kept], records))
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

    def __init__(self, router, store, strict, num_threads, budget_bytes):
        self.router, self.store, self.strict = router, store, strict
        self.num_threads, self.budget_bytes = num_threads, budget_bytes
        self.report = MigrationReport()

    def encode(self, batch):
        """Return those of some LegacyRecords that are new and sound, and their records."""
        kept = []
        for one in batch:
            if one.error is not None:
                self._fail(one, one.error)
            elif not one.embeddings:
                self.report.skipped[one.name] = "it has no embedding of the profile's embedders"
            elif self.store is not None and one.key in self.store:
                self.report.already_there += 1
            else:
                kept.append(one)
        found = self._encoded_at_once(kept) or [self._encoded(one) for one in kept]
        sound = [(one, record) for one, record in zip(kept, found) if record is not None]
        return [one for one, _ in sound], [record for _, record in sound]

    def _encoded_at_once(self, kept):
        """Return the records of all, or None where one of them cannot be encoded."""
        try:
            memories = [Fingerprint(one.embeddings) for one in kept]
            encoded = self.router.quantize_fingerprints(memories, num_threads=self.num_threads)
            return [QuantizedFingerprint(one).within(self.budget_bytes) for one in encoded]
        except QuantizationError:
            return None

    def _encoded(self, one):
        """Return the record of one memory, or None once its error is noted."""
        try:
            return Fingerprint(one.embeddings).encode(self.router, self.budget_bytes)
        except (CodebookMissing, CodebookCorrupt, UnsupportedVersion):
            raise  # this is about all of them
        except QuantizationError as error:
            return self._fail(one, error)

    def _fail(self, one, error):
        if self.strict:
            error.add_note(f"(legacy memory {one.name})")
            raise error
        self.report.failed[one.name] = str(error)

    def count(self, kept, records):
        """Count memories that were dealt with."""
        self.report.migrated += len(kept)
        self.report.float32_bytes += sum(one.float32_bytes for one in kept)
        self.report.stored_bytes += sum(one.size_bytes for one in records)


class _Marks:
    """How far a migration has come, and what it could not take along, kept in its store."""

    def __init__(self, store, facts, report, resume):
        self._files, self._report = store._files, report
        self._facts = crc32(json.dumps(facts, sort_keys=True).encode())
        self.after, self._noted = b"", dict.fromkeys(_LEFT, 0)
        if resume:
            self._read()
        elif next(iter(store), None) is not None:
            reason = "it holds records already; go on with resume, which leaves those alone"
            raise StoreUnavailable(path=store.path, reason=reason)

    def _read(self):
        """Take up the report of the same source; another one begins anew, by ids."""
        mark = self._files.get("meta", _MARK)
        mark = {} if mark is None else json.loads(mark)
        if mark.get("facts") != self._facts:
            return
        self.after = bytes.fromhex(mark["after"])
        self._report.already_there = mark["done"]
        for kind, prefix in _LEFT.items():
            left = getattr(self._report, kind)
            for key, reason in self._files.scan("meta", prefix):
                left[key[len(prefix) :].decode()] = reason.decode()
            self._noted[kind] = len(left)

    def note(self, place):
        """Write down that everything up to a place was dealt with."""
        report = self._report
        done = report.migrated + report.already_there
        mark = {"facts": self._facts, "after": place.hex(), "done": done}
        puts = [("meta", _MARK, json.dumps(mark).encode())]
        for kind, prefix in _LEFT.items():
            left = getattr(report, kind)
            for name in islice(reversed(left), len(left) - self._noted[kind]):  # the new ones
                puts.append(("meta", prefix + name.encode(), left[name].encode()))
            self._noted[kind] = len(left)
        self._files.write(puts)

    def clear(self):
        """Leave no trace of the migration in the store."""
        keys = [key for key, _ in self._files.scan("meta", _PREFIX)]
        self._files.write(deletes=[("meta", key) for key in keys])
