"""Copies what is good of a damaged store into a new one, and notes what is lost and why.

A record is kept when its manifest and all its sections are whole and belong together, and when no
later change of it lies in a damaged log.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from operator import itemgetter
from pathlib import Path
from typing import TypeAlias

from cgcython.base import EmbedderId, Profile, ProfileName
from cgcython.codecs.codebook_base import Codebook
from cgcython.errors import QuantizationError, StorageCorruption, UnsupportedVersion
from cgcython.fingerprint import QuantizedFingerprint, read_section
from cgcython.manifest import Manifest, section_crc
from cgcython.store import opening, trash
from cgcython.store.fitting import Decoding
from cgcython.store.ids import id_of, name_of
from cgcython.store.keeper import Change
from cgcython.store.keepers.rocksdb import (
    Folder,
    FolderKeeper,
    Row,
    Salvaged,
    ids_of_sections,
    manifests,
    read_row,
)
from cgcython.store.naming import naming
from cgcython.store.opening import parsed_profile
from cgcython.store.repair_report import RepairReport
from cgcython.store.shelf import (
    CODEBOOK,
    GENERATIONS,
    codebook_keys,
    codebook_note,
    parsed_ids,
)
from cgcython.types import Progress

BATCH = 256
_OWN = {b"format", b"profile", b"journal/floor"}  # of the new store
_Found: TypeAlias = bytes | StorageCorruption | None  # a manifest, what is wrong with it, or none
_Reasons: TypeAlias = dict[EmbedderId | str, str]


class Rescue:
    """One rescue of a store: what is read from `source` is checked, and written anew."""

    def __init__(
        self, source: Salvaged, path: Path, keep_parts: bool, progress: Progress | None
    ) -> None:
        self._source, self._path = source, path
        self._keep_parts, self._progress = keep_parts, progress
        self._report = RepairReport()
        self._later = source.last_changes()

    def run(self, new: Path, profile: ProfileName | None) -> RepairReport:
        """Write the new store and return the report."""
        self._report.losses += self._source.missing_changes()
        meta = self._meta(profile)
        found = self._profile(meta, profile)
        self._decoding = Decoding(found, _codebooks(meta))
        Folder(new).create(opening.notes_of(found), [*map(int, found.storable)])
        keeper = FolderKeeper(new)
        try:
            kept = {key: value for key, value in meta.items() if key not in _OWN}
            keeper.put_notes(kept)
            self._copy_records(keeper)
            self._note_missing_codebooks(meta)
            for key, value in {**dict(self._rows("trash")), **self._later.trash}.items():
                if value is not None:  # otherwise it was restored or purged
                    with naming(key):
                        self._copy_trashed(keeper, key, value)
            keeper.forget_changes()
            keeper.files.flush()
        finally:
            keeper.close()
        return self._report

    def _meta(self, profile: ProfileName | None) -> dict[bytes, bytes]:
        """Return the rows of `meta` that are whole, each from whichever copy is."""
        found = dict(self._rows("meta"))
        self._add_whole(found, b"profile", parsed_profile)
        for model_id in self._profile(found, profile).storable:
            self._add_whole(found, GENERATIONS + bytes([model_id]), parsed_ids)
        for key in codebook_keys(found):
            self._add_whole(found, key, codebook_note(self._path, key).parse)
        return found

    def _add_whole(
        self, found: dict[bytes, bytes], key: bytes, parse: Callable[[bytes], object]
    ) -> None:
        """Take the copy of a row that is whole, one of a later release too; none if none is."""

        def unchanged(value: bytes) -> bytes:
            parse(value)
            return value

        try:
            value = read_row(self._source, key, unchanged, "meta")
        except UnsupportedVersion:
            return
        except StorageCorruption:
            value = None
        found.pop(key, None)
        found |= {} if value is None else {key: value}

    def _note_missing_codebooks(self, meta: Mapping[bytes, bytes]) -> None:
        """Note the codebooks that are lost, and how many of the records kept need each."""
        listed = [int.from_bytes(key[len(CODEBOOK) :], "big") for key in codebook_keys(meta)]
        for number in sorted({*listed, *self._decoding.waiting}):
            if CODEBOOK + number.to_bytes(4, "big") not in meta:
                self._report.losses.append(
                    f"the codebook {number:#010x}, which {self._decoding.waiting[number]} records "
                    "need; open the store with it in `codebooks`"
                )

    def _profile(self, meta: Mapping[bytes, bytes], given: ProfileName | None) -> Profile:
        try:
            return parsed_profile(meta[b"profile"])
        except (KeyError, QuantizationError):
            if given is None:
                reason = "it is gone; name the one the store was made with (profile=, --profile)"
                where = f"profile of store {self._path}"
                raise StorageCorruption(where=where, reason=reason) from None
            return Profile.named(given)

    def _rows(self, family: str) -> Iterator[Row]:
        """Yield the rows of a family that can be read; note a loss where there were more."""
        try:
            yield from self._source.scan(family)
        except StorageCorruption as error:
            self._report.losses.append(f"a part of the family {family} ({error.reason})")

    def _copy_records(self, keeper: FolderKeeper) -> None:
        changes: list[Change] = []
        count = 0
        for key, manifest in _rows(self._source):
            with naming(key):
                changes += self._record(key, manifest)
            count += 1
            if count == BATCH:
                keeper.write(changes)
                if self._progress is not None:
                    self._progress(count)
                changes, count = [], 0
        keeper.write(changes)

    def _record(self, key: bytes, manifest: _Found) -> list[Change]:
        """Return what to write for a record, nothing for one that is lost."""
        where = f"record {name_of(key)}"
        if key in self._later.records:  # where a log is damaged, the database may lag behind it
            manifest = self._later.records[key]
            if manifest is None:
                return []
        reasons: _Reasons = {}
        try:
            if isinstance(manifest, StorageCorruption):
                raise manifest
            whole = manifest or b""
            head = Manifest.from_bytes(whole, where, self._decoding.profile)
            sections = self._sections(key, head.checksums, reasons)
        except UnsupportedVersion:  # nothing is wrong with it
            raise
        except StorageCorruption as error:
            sections = self._sections(key, dict.fromkeys(self._decoding.profile.storable), {})
            head = Manifest.now({one: section_crc(part) for one, part in sections.items()})
            reasons = {"manifest": f"its manifest is damaged ({error.reason})"}
        if reasons:
            return self._damaged(key, head, sections, reasons)
        self._report.records += 1
        return [_kept(key, whole, sections)]

    def _damaged(
        self, key: bytes, head: Manifest, sections: Mapping[EmbedderId, bytes], reasons: _Reasons
    ) -> list[Change]:
        """Return what to write for a record that is not whole: its sound sections, if asked for."""
        if not (self._keep_parts and sections):
            self._lose(key, *reasons.values())
            return []
        self._report.partial[id_of(key)] = list(reasons.values())
        gone: dict[EmbedderId, bytes | None] = {
            one: None for one in head.checksums if one not in sections
        }
        return [_kept(key, head.replaced(gone).to_bytes(), sections)]

    def _sections(
        self, key: bytes, checksums: Mapping[EmbedderId, int | None], reasons: _Reasons
    ) -> dict[EmbedderId, bytes]:
        """Return the sound sections, and put into `reasons` what is wrong with the others."""
        found: dict[EmbedderId, bytes] = {}
        for model_id, crc in checksums.items():
            try:
                section = self._source.get("sections", bytes([model_id]) + key)
                if section is None:
                    reasons[model_id] = f"{model_id.short} is missing"
                    continue
                where = f"{model_id.short} of record {name_of(key)}"
                quantized = read_section(section, model_id, where, crc)
            except UnsupportedVersion:
                raise
            except StorageCorruption as error:
                reasons[model_id] = f"{model_id.short} is damaged ({error.reason})"
                continue
            self._decoding.missing_codebook(quantized)  # counts it
            wrong = self._decoding.wrong(model_id, quantized)
            if wrong is None:
                found[model_id] = section
            else:
                reasons[model_id] = f"{model_id.short} is {wrong}"
        return found

    def _lose(self, key: bytes, *reasons: str) -> None:
        self._report.lost.setdefault(id_of(key), []).extend(reasons)

    def _copy_trashed(self, keeper: FolderKeeper, key: bytes, value: bytes) -> None:
        where = f"record {name_of(key)} in the trash"
        try:
            QuantizedFingerprint.from_bytes(
                trash.unpack(value, where)[1], where, self._decoding.profile
            )
        except UnsupportedVersion:
            raise
        except StorageCorruption as error:
            self._lose(key, f"in the trash: {error.reason}")
        else:
            keeper.write([Change(key, None, {}, None, (), gone=value)])


def _kept(key: bytes, head: bytes, sections: Mapping[EmbedderId, bytes]) -> Change:
    return Change(key, head, sections, None, sections.keys())


def _codebooks(meta: Mapping[bytes, bytes]) -> Iterator[Codebook]:
    """Yield the codebooks among the rows of `meta` that are whole."""
    for key in codebook_keys(meta):
        with suppress(StorageCorruption):
            yield Codebook.from_bytes(meta.get(key, b""), where="of the store")


def _rows(source: Salvaged) -> Iterator[tuple[bytes, _Found]]:
    """Yield (key, manifest) of all manifests, None where only sections are left."""
    orphans: Iterator[tuple[bytes, _Found]] = ((key, None) for key in ids_of_sections(source))
    last = None
    for key, manifest in heapq.merge(manifests(source), orphans, key=itemgetter(0)):
        if key != last:
            last = key
            yield key, manifest
