"""A job that writes into a folder of shards: it refuses, makes ready, and says what is whole.

Nothing of a folder changes before all that could be refused was compared. Where no shard was
written, nothing stays.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from cgcython.base import EmbedderId
from cgcython.codecs.codebook_base import Codebook
from cgcython.corpus.byte_counts import ByteCounts
from cgcython.corpus.corpus import Corpus, Stamp
from cgcython.corpus.memory_ids import FIRST_ROWS
from cgcython.corpus.shard_files import FolderChanges, clear_unfinished, missing_files
from cgcython.corpus.shard_job import OTHERS, ShardDone, ShardJob, codebook_id_of, repairable
from cgcython.embedders.losses import LossTotals
from cgcython.errors import QuantizationError, StorageCorruption, UnsupportedVersion, UsageError
from cgcython.runners import Run, run_here
from cgcython.store import shards
from cgcython.store.folder_lock import FolderLock
from cgcython.store.ids import StoredId, id_of
from cgcython.store.keepers.rocksdb import layout
from cgcython.store.shard_checking import OTHER_BYTES, file_hash
from cgcython.store.shard_manifest import (
    JOB_KIND,
    ShardEntry,
    ShardManifest,
    job_path,
    manifest_bytes,
    manifest_path,
    read_manifest,
)

Keep = Callable[[ShardJob, Sequence[Stamp], bool], Callable[[int], ShardDone]]


class RunningJob:
    """A job that has the lock of its folder, until `close`; a context manager.

    `job` is what `encode_shard` takes, `unfinished` the numbers of shards that are not there;
    `counts`, `losses` and `skipped` are of the memories that were written, and kept.
    """

    def __init__(
        self,
        job: ShardJob,
        corpus: Corpus,
        books: Mapping[EmbedderId, Codebook],
        keep: Keep,
        run: Run = run_here,
    ) -> None:
        self.folder = Path(job.folder)
        self.counts, self.losses, self.skipped = ByteCounts(), dict[EmbedderId, LossTotals](), 0
        self._entries: dict[int, ShardEntry] = {}
        self._changes, self._is_open, self._has_stamps = FolderChanges(), True, False
        self._lock = FolderLock(self.folder)
        try:
            self.job = replace(job, earlier_ids=_has_earlier_ids(self.folder, corpus))
            self._begin(corpus, books, keep, run)
        except BaseException:
            self._abandon()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def unfinished(self) -> list[int]:
        """The numbers of the shards that are still to be written, ascending."""
        return [one for one in range(self.job.shards) if one not in self._entries]

    @property
    def is_whole(self) -> bool:
        """Whether all shards are there."""
        return len(self._entries) == self.job.shards

    def has(self, number: int) -> bool:
        """Return whether a shard was found there, or noted since."""
        return number in self._entries

    def may_write(self, number: int) -> bool:
        """Return whether this job has the lock of the folder, or needs none to keep a shard."""
        return self._is_open or (
            self.has(number) and shards.shard_path(self.folder, number).exists()
        )

    def add(self, done: ShardDone) -> None:
        """Note that a shard is on the disk."""
        self._entries[done.entry.number] = done.entry
        self.skipped += done.entry.rows if done.skipped else 0
        self.counts.add_counts(done.counts)
        for one, totals in done.losses.items():
            self.losses[one] = self.losses.get(one, LossTotals()).plus(totals)

    def close(self) -> None:
        """End the job: with the manifest where all shards are there.

        Where no shard was written, the folder is what it was.
        """
        if not self._is_open:
            return
        if not self.is_whole and set(shards.shard_numbers(self.folder)) <= self._kept:
            self._abandon()
            return
        try:
            if self.is_whole:
                self._finish()
        finally:
            self._is_open = False
            self._lock.release()

    def _abandon(self) -> None:
        self._is_open = False
        try:
            self._changes.undo()
        finally:
            self._lock.release()

    def _begin(
        self, corpus: Corpus, books: Mapping[EmbedderId, Codebook], keep: Keep, run: Run
    ) -> None:
        """Compare all that is there, then make the folder ready."""
        self._kept = set(shards.shard_numbers(self.folder))
        manifest = self._manifest() if self._kept else None
        self._refuse_others(manifest)
        own = hashlib.sha256(self.job.profile.encode()).hexdigest()
        is_told = manifest is not None and manifest.profile_sha256 == own
        missing = missing_files(self.folder, corpus.profile, books, is_told)
        stamps, before = self._stamps_of(corpus), _read_job(self.folder)
        about = {"job": self.job.plan(), "stamps": stamps}
        if self._kept and self.folder / shards.PROFILE in missing and not is_told:
            self._require_profile(manifest, before)
        believed = bool(stamps) and before == about
        for _, done in run(keep(self.job, stamps, believed), sorted(self._kept)):
            self.add(_checked(done, manifest, self.folder))
        clear_unfinished(self.folder, books)
        for path, content in missing.items():
            self._changes.write(path, content)
        if not self.is_whole:
            self._changes.write(job_path(self.folder), JOB_KIND.to_bytes(about))
            self._changes.remove(manifest_path(self.folder))

    def _stamps_of(self, corpus: Corpus) -> list[Stamp]:
        """Return the stamps of the inputs; of arrays in memory only where old shards tell theirs.

        Those are checksums of all they hold, and the rows of each shard have checksums anyway.
        """
        if any(isinstance(one, Mapping) for one in corpus.origins) and not self._has_stamps:
            return []
        return [list(one) for one in corpus.stamps()]

    def _manifest(self) -> ShardManifest | None:
        """Return the manifest, None where it is missing or damaged: it will be written anew."""
        try:
            return read_manifest(self.folder)
        except UnsupportedVersion:
            raise
        except StorageCorruption:
            return None

    def _refuse_others(self, manifest: ShardManifest | None) -> None:
        """Raise UsageError where the folder is of another job, as far as headers tell.

        What reads a folder with shards takes it for one of shards: a store in it would be hidden.
        """
        if not self._kept and layout.exists(self.folder):
            raise UsageError(f"{self.folder} is a store; choose another folder for shards")
        own = self.job.memories, self.job.shard_size, dict(self.job.codebooks)
        if manifest is not None and (manifest.memories, manifest.shard_size) != own[:2]:
            raise UsageError(f"{manifest_path(self.folder)} {OTHERS}")
        ids = {one: codebook_id_of(book) for one, book in self.job.codebooks.items()}
        for number in sorted(self._kept):
            path = shards.shard_path(self.folder, number)
            with repairable(path):
                facts = shards.read_facts(path)
            self._has_stamps |= isinstance(facts.get("inputs"), list)  # an earlier release
            found = tuple(facts.get(name) for name in ("memories", "shard_size", "codebooks"))
            if found != (*own[:2], ids) or number >= self.job.shards:
                raise UsageError(f"{path} {OTHERS}")
        if manifest is not None and dict(manifest.codebooks) != own[2]:
            raise UsageError(f"{manifest_path(self.folder)} {OTHERS}")

    def _require_profile(
        self, manifest: ShardManifest | None, before: Mapping[str, Any] | None
    ) -> None:
        """Raise UsageError where the profile that was lost is known to be another one."""
        job = (before or {}).get("job")
        told = job.get("profile", self.job.profile) if type(job) is dict else self.job.profile
        if told != self.job.profile or manifest is not None:
            path = self.folder / shards.PROFILE
            raise UsageError(f"{path}, which is gone or damaged, was another profile; restore it")

    def _finish(self) -> None:
        """Write the manifest, last, unless the one that is there says the same."""
        manifest = ShardManifest(
            self.job.memories,
            self.job.shard_size,
            self.job.codebooks,
            file_hash(self.folder / shards.PROFILE),
            tuple(self._entries[number] for number in range(self.job.shards)),
        )
        path, content = manifest_path(self.folder), manifest_bytes(manifest)
        if not path.is_file() or path.read_bytes() != content:
            self._changes.write(path, content)
        job_path(self.folder).unlink(missing_ok=True)


def _has_earlier_ids(folder: Path, corpus: Corpus) -> bool:
    """Tell whether the first shard names rows as releases up to 0.1 did."""
    path = shards.shard_path(folder, 0)
    try:
        keys = shards.read_shard(path).ids.keys()[:FIRST_ROWS] if path.exists() else []
    except StorageCorruption:
        return False
    known: set[StoredId] = set(map(id_of, keys))
    return bool(known) and corpus.ids.as_known(known) is not corpus.ids


def _read_job(folder: Path) -> dict[str, Any] | None:
    try:
        return JOB_KIND.read(job_path(folder))
    except StorageCorruption:
        return None


def _checked(
    done: ShardDone | QuantizationError, manifest: ShardManifest | None, folder: Path
) -> ShardDone:
    """Return what was found of a shard; raises what is wrong with it."""
    if isinstance(done, QuantizationError):
        raise done
    if manifest is not None and manifest.entries[done.entry.number] != done.entry:
        path = shards.shard_path(folder, done.entry.number)
        with repairable(path):
            raise StorageCorruption(where=str(path), reason=OTHER_BYTES)
    return done
