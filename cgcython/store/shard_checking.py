"""Checks a whole folder of shards: against its manifest where it has one, and its own facts."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from cgcython.base import parse_embedder
from cgcython.checks import require_progress
from cgcython.codecs.codebook_base import Codebook
from cgcython.codecs.codebook_file import codebook_path
from cgcython.errors import CodebookMissing, FileUnavailable, InvalidInput, StorageCorruption
from cgcython.files import as_path
from cgcython.store import shards
from cgcython.store.shard_folder import unfinished_reason
from cgcython.store.shard_manifest import (
    JOB_KIND,
    ShardEntry,
    ShardManifest,
    job_path,
    manifest_path,
    read_manifest,
    shard_count,
)
from cgcython.tensors import open_regular, told_as_damage
from cgcython.types import Progress, StrPath

AGAIN = "run the same cgcython encode again"
OTHER_BYTES = "its bytes are not those that the manifest tells"
BOOK_REMEDY = f"restore it, or {AGAIN}: it writes the one of --models"
_BLOCK = 1 << 20  # bytes that are hashed at once
_MOST_NAMED = 1000  # missing shards that are named


@dataclass
class ShardReport:
    """What a check found: how much is sound, and by file or folder what is wrong and the remedy."""

    shards: int = 0
    records: int = 0
    stored_bytes: int = 0
    problems: dict[str, str] = field(default_factory=dict)


def check_shards(folder: StrPath, progress: Progress | None = None) -> ShardReport:
    """Return what is wrong with a folder of shards; every byte of it is read.

    `progress` is called with the number of memories of each shard that is sound. Folders of earlier
    releases have no manifest: what they lack is told from what their shards say.
    """
    require_progress(progress)
    return _Check(as_path(folder, "folder"), progress).report


def file_hash(path: Path) -> str:
    """Return the sha256 of a file's bytes, in hexadecimal; raises FileUnavailable."""
    digest = hashlib.sha256()
    with told_as_damage(path), open_regular(path) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


class _Check:
    """One check; `report` is filled when it is made."""

    def __init__(self, folder: Path, progress: Progress | None) -> None:
        self.report = ShardReport()
        self._folder, self._progress = folder, progress
        self._there = shards.shard_numbers(folder)
        manifest = None
        with self._noted(manifest_path(folder), f"{AGAIN}: it writes a new one"):
            manifest = read_manifest(folder)
        entries = {one.number: one for one in manifest.entries} if manifest else {}
        facts = self._check_files(entries, manifest is not None)
        if manifest is not None:
            self._check_missing(range(len(entries)))
            self._check_codebooks(manifest.codebooks)
        else:
            self._check_job()
            self._check_facts(facts)
        self._check_profile(manifest)

    @contextmanager
    def _noted(self, path: Path, remedy: str) -> Iterator[None]:
        """Note as a problem of a file what the block raises of its content."""
        try:
            yield
        except (StorageCorruption, FileUnavailable) as error:
            self._note(path, str(error.reason), remedy)

    def _note(self, path: Path, reason: str, remedy: str) -> None:
        self.report.problems[str(path)] = f"{reason}; {remedy}"

    def _check_files(
        self, entries: Mapping[int, ShardEntry], is_told: bool
    ) -> dict[int, Mapping[str, Any]]:
        """Check every shard that is there, and return the facts of the sound ones."""
        facts: dict[int, Mapping[str, Any]] = {}
        for number in self._there:
            path = shards.shard_path(self._folder, number)
            if is_told and number not in entries:
                self._note(path, "the manifest has no such shard", "move it to another folder")
                continue
            with self._noted(path, f"delete it and {AGAIN}"):
                facts[number] = self._checked(path, entries.get(number))
        return facts

    def _checked(self, path: Path, entry: ShardEntry | None) -> Mapping[str, Any]:
        """Read all of a shard, count it, and return its facts."""
        shard = shards.read_shard(path)
        if entry is not None and file_hash(path) != entry.sha256:
            raise StorageCorruption(where=str(path), reason=OTHER_BYTES)
        self.report.shards += 1
        self.report.records += len(shard.ids)
        self.report.stored_bytes += sum(part.batch.nbytes for part in shard.parts.values())
        if self._progress is not None:
            self._progress(len(shard.ids))
        return shard.facts

    def _check_missing(self, expected: range) -> None:
        there = set(self._there)
        missing = (number for number in expected if number not in there)
        for number in islice(missing, _MOST_NAMED):
            path = shards.shard_path(self._folder, number)
            self._note(path, "it is missing", f"{AGAIN}: it writes what is missing")

    def _check_job(self) -> None:
        """Note an unfinished job: it has no manifest yet."""
        path = job_path(self._folder)
        if path.exists():
            with self._noted(path, f"{AGAIN}: it writes a new one"):
                JOB_KIND.read(path)
            reason = unfinished_reason(self._folder)
            self._note(self._folder, reason, f"{AGAIN}: it writes what is missing")

    def _check_facts(self, facts: Mapping[int, Mapping[str, Any]]) -> None:
        """Compare a folder without a manifest with what its shards say, where they agree."""
        for one in facts.values():
            books = one.get("codebooks")
            self._check_codebooks(books if isinstance(books, dict) else {})
        count = _told_count(facts)
        if count is not None and not job_path(self._folder).exists():
            self._check_missing(range(count))

    def _check_codebooks(self, expected: Mapping[str, Any]) -> None:
        """Note the codebooks that are missing, damaged, or others than those of the codes.

        Known are the hashes of codebooks or, in earlier releases, their numbers.
        """
        for name, known in expected.items():
            with self._noted(self._folder, BOOK_REMEDY), told_as_damage(self._folder):
                path = codebook_path(self._folder, parse_embedder(name).title)
                self._check_codebook(path, known)

    def _check_codebook(self, path: Path, known: object) -> None:
        with self._noted(path, BOOK_REMEDY):
            try:
                book = Codebook.load(path)
            except CodebookMissing:
                self._note(path, "it is missing", BOOK_REMEDY)
                return
            if known not in (book.sha256, book.codebook_id):
                self._note(path, "it is not the one that made these codes", BOOK_REMEDY)

    def _check_profile(self, manifest: ShardManifest | None) -> None:
        path = self._folder / shards.PROFILE
        remedy = f"restore it, or {AGAIN}"
        if not path.exists():
            self._note(path, "it is missing", remedy)
            return
        try:
            shards.read_profile(self._folder)
        except InvalidInput as error:
            self._note(path, f"it does not read: {error.actual}", remedy)
            return
        if manifest is not None and file_hash(path) != manifest.profile_sha256:
            self._note(path, "it is not the one of these shards", remedy)


def _told_count(facts: Mapping[int, Mapping[str, Any]]) -> int | None:
    """Return how many shards a folder has by what its shards say, None where they disagree."""
    told = set()
    for number, one in facts.items():
        found: list[Any] = [one.get(name) for name in ("memories", "shard_size", "first")]
        if any(type(value) is not int for value in found) or found[2] != number * found[1]:
            return None
        told.add((found[0], found[1]))
    if len(told) != 1:
        return None
    ((memories, shard_size),) = told
    return shard_count(memories, shard_size) if memories >= 0 < shard_size else None
