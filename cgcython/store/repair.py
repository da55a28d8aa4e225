"""Salvages what is good of a damaged store into a new one, and says what was lost and why.

The damaged files are only read: RocksDB opens a copy. A record is kept when its manifest and all
its sections are whole and belong together, and when no later change of it lies in a damaged log.
"""

import heapq
import os
import time
from contextlib import suppress
from operator import itemgetter
from pathlib import Path
from uuid import UUID

from cgcython.base import ModelId, Profile
from cgcython.errors import (
    QuantizationError,
    StorageCorruption,
    StoreUnavailable,
    UnsupportedVersion,
)
from cgcython.fingerprint import QuantizedFingerprint, read_section
from cgcython.manifest import Manifest, section_crc
from cgcython.store import opening, trash
from cgcython.store.journal import Journal
from cgcython.store.keepers.rocksdb import acknowledged, database, remains, wal, working_copy
from cgcython.store.keepers.rocksdb.salvage import salvage
from cgcython.store.reading import naming
from cgcython.store.repair_report import RepairReport
from cgcython.store.shelf import CODEBOOK, GENERATIONS
from cgcython.store.verify import ids_of_sections, manifests

BATCH = 256
_OWN = {b"format", b"profile", b"journal/floor"}  # of the new store


def repair(path, out=None, *, keep_parts=False, dry_run=False, profile=None, progress=None):
    """Write what is good of a store into a new one and return the RepairReport.

    The new store takes the place of the damaged one, which stays beside it as
    `PATH.damaged-<time>`; with `out` it is written there and the damaged one stays. A sound store
    is left as it is, and so is one that holds a record of a later release: UnsupportedVersion names
    it. `keep_parts` keeps the sound sections of damaged records too. `dry_run` writes nothing.
    `profile` is needed where the store has lost its own. `progress` is called with the number of
    records of each batch. Close the store first: raises StoreUnavailable while another process has
    it open.
    """
    path, out = Path(path), out and Path(out)
    if not database.exists(path):
        raise StoreUnavailable(path=path, reason="there is no store; check the path")
    if out is not None and out.exists():
        raise StoreUnavailable(path=out, reason="it exists; choose a new folder")
    with working_copy.locked(path), working_copy.scratch(out or path) as scratch:
        problem = _problem(path)
        copy = working_copy.copied(path, scratch / "copy")
        source = salvage(copy, rebuild=remains.is_cut_off(path))
        try:
            report = _Repair(source, path, keep_parts, progress).run(scratch / "new", profile)
        finally:
            source.close()
        if not dry_run and (problem or not report.ok or out is not None):
            _place(scratch / "new", path, out, report)
    return report


class _Repair:
    """One salvage of a store: what is read from `source` is checked, and written anew."""

    def __init__(self, source, path, keep_parts, progress):
        self._source, self._path = source, path
        self._keep_parts, self._progress = keep_parts, progress
        self._report = RepairReport()
        self._later, self._later_trash = remains.last_changes(path)

    def run(self, new, profile):
        """Write the new store and return the report."""
        self._note_missing_writes()
        meta = self._meta()
        database.create(new, opening.meta_of(self._profile(meta, profile)))
        files = database.Database(new)
        try:
            kept = [("meta", key, value) for key, value in meta.items() if key not in _OWN]
            files.write(kept)
            self._note_missing_codebooks(meta)
            self._copy_records(files)
            for key, value in {**dict(self._rows("trash")), **self._later_trash}.items():
                with naming(key):
                    self._copy_trashed(files, key, value)
            Journal(files).reset()
            files.flush()
        finally:
            files.close()
        return self._report

    def _meta(self):
        """Return the rows of `meta`; behind a damaged block, those whose keys are known."""
        found = dict(self._rows("meta"))
        known = [b"profile", *(GENERATIONS + bytes([model_id]) for model_id in ModelId)]
        self._add_known(found, known)
        self._add_known(found, remains.codebook_keys(found))
        return found

    def _note_missing_codebooks(self, meta):
        for key in remains.codebook_keys(meta):
            if key not in meta:
                number = int.from_bytes(key[len(CODEBOOK) :], "big")
                self._report.losses.append(
                    f"the codebook {number:#010x}; open the store with it in `codebooks`"
                )

    def _add_known(self, found, keys):
        for key in keys:
            with suppress(StorageCorruption):
                value = found.get(key) or self._source.get("meta", key)
                if value is not None:
                    found[key] = value

    def _profile(self, meta, given):
        try:
            return Profile.from_toml(meta[b"profile"].decode())
        except (KeyError, QuantizationError, UnicodeDecodeError):
            if given is None:
                reason = "it is gone; name the one the store was made with (profile=, --profile)"
                where = f"profile of store {self._path}"
                raise StorageCorruption(where=where, reason=reason) from None
            return Profile.named(given)

    def _note_missing_writes(self):
        logs = [(log, log.read_bytes()) for log in remains.logs(self._path)]
        reached = max([self._source.sequence, *(wal.last_sequence(log) for _, log in logs)])
        with suppress(StorageCorruption):  # a note of a later version
            reach = acknowledged.read_reach(self._path)
            if reach is not None and reached < reach.sequence:
                self._report.losses.append(
                    f"the last {reach.sequence - reached} acknowledged changes of keys; the "
                    "records they were about, which cannot be told, are as they were before"
                )
        gap = wal.gap(logs)
        if gap is not None and gap[2] > 0:
            where = f"{gap[0].name} and {gap[1].name}"
            self._report.losses.append(
                f"{gap[2]} changes of keys in {where}; the records they were about, "
                "which cannot be told, may be as they were before"
            )

    def _rows(self, family):
        """Yield the rows of a family that can be read, and note when that is not all."""
        try:
            yield from self._source.scan(family)
        except StorageCorruption as error:
            self._report.losses.append(f"a part of the family {family} ({error.reason})")

    def _copy_records(self, files):
        puts, count = [], 0
        for key, manifest in _rows(self._source):
            with naming(key):
                puts += self._record(key, manifest)
            count += 1
            if count == BATCH:
                files.write(puts)
                if self._progress is not None:
                    self._progress(count)
                puts, count = [], 0
        files.write(puts)

    def _record(self, key, manifest):
        """Return what to write for a record, nothing for one that is lost."""
        where = f"record {UUID(bytes=key)}"
        if key in self._later:  # what is in the database may be earlier, where a log is damaged
            manifest = self._later[key]
            if manifest is None:
                return []
        try:
            if isinstance(manifest, StorageCorruption):
                raise manifest
            head, reasons = Manifest.from_bytes(manifest or b"", where), {}
            sections = self._sections(key, head.checksums, reasons)
        except UnsupportedVersion:  # nothing is wrong with it
            raise
        except StorageCorruption as error:
            sections = self._sections(key, dict.fromkeys(ModelId), {})
            head = Manifest.now({one: section_crc(part) for one, part in sections.items()})
            reasons = {"manifest": f"its manifest is damaged ({error.reason})"}
        if reasons:
            return self._damaged(key, head, sections, reasons)
        self._report.records += 1
        return _puts(key, manifest, sections)

    def _damaged(self, key, head, sections, reasons):
        if not (self._keep_parts and sections):
            self._lose(key, *reasons.values())
            return []
        self._report.partial[UUID(bytes=key)] = list(reasons.values())
        gone = {one: None for one in head.checksums if one not in sections}
        return _puts(key, head.replaced(gone).to_bytes(), sections)

    def _sections(self, key, checksums, reasons):
        """Return the sound sections, and put into `reasons` what is wrong with the others."""
        found = {}
        for model_id, crc in checksums.items():
            try:
                section = self._source.get("sections", bytes([model_id]) + key)
                if section is None:
                    reasons[model_id] = f"{model_id.short} is missing"
                    continue
                where = f"{model_id.short} of record {UUID(bytes=key)}"
                read_section(section, model_id, where, crc)
            except UnsupportedVersion:
                raise
            except StorageCorruption as error:
                reasons[model_id] = f"{model_id.short} is damaged ({error.reason})"
            else:
                found[model_id] = section
        return found

    def _lose(self, key, *reasons):
        self._report.lost.setdefault(UUID(bytes=key), []).extend(reasons)

    def _copy_trashed(self, files, key, value):
        if value is None:
            return  # restored or purged
        try:
            where = f"record {UUID(bytes=key)} in the trash"
            QuantizedFingerprint.from_bytes(trash.unpack(value, where)[1], where)
        except UnsupportedVersion:
            raise
        except StorageCorruption as error:
            self._lose(key, f"in the trash: {error.reason}")
        else:
            files.write([("trash", key, value)])


def _rows(source):
    """Yield (key, manifest) of all manifests, None where only sections are left."""
    orphans = ((key, None) for key in ids_of_sections(source))
    last = None
    for key, manifest in heapq.merge(manifests(source), orphans, key=itemgetter(0)):
        if key != last:
            last = key
            yield key, manifest


def _puts(key, manifest, sections):
    puts = [("sections", bytes([one]) + key, section) for one, section in sections.items()]
    return [("records", key, manifest), *puts]


def _problem(path):
    """Return what keeps a store from being opened, or None."""
    try:
        opening.open_files(path, None, True, False, False)[0].close()
    except (StorageCorruption, StoreUnavailable) as error:
        return error


def _place(new, path, out, report):
    """Put the new store where it belongs."""
    if out is not None:
        os.rename(new, out)
        report.path = out
        return
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    report.path, report.damaged = path, path.with_name(f"{path.name}.damaged-{stamp}")
    os.rename(path, report.damaged)
    try:
        os.rename(new, path)
    except OSError:
        os.rename(report.damaged, path)
        raise
