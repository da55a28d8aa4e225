"""One job of a folder of shards, and the work of one shard: all arguments are texts and numbers."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from cgcython.base import EmbedderId, Profile, parse_embedder
from cgcython.checksums import crc32
from cgcython.codecs.codebook_base import Codebook
from cgcython.codecs.codebook_file import codebook_path
from cgcython.corpus.byte_counts import ByteCounts
from cgcython.corpus.corpus import Corpus, Stamp
from cgcython.corpus.opening import open_corpus
from cgcython.corpus.remote.urls import without_secrets
from cgcython.corpus.shard_encoding import RangeEncoder, input_checksums
from cgcython.embedders.losses import LossTotals, loss_line
from cgcython.errors import CodebookCorrupt, StorageCorruption, UsageError
from cgcython.router import QuantizationRouter
from cgcython.store import shards
from cgcython.store.key_columns import KeyColumn
from cgcython.store.shard_checking import file_hash
from cgcython.store.shard_manifest import (
    JOB_KIND,
    ShardEntry,
    job_path,
    shard_count,
    shard_range,
)

_LOGGER = logging.getLogger(__name__)
_KEPT_CODEBOOKS = 64  # of a process, over all jobs
OTHERS = (
    "was made from other inputs or codebooks, or with another shard size; "
    "choose another folder, or delete the old shards"
)


@dataclass(frozen=True)
class ShardJob:
    """What a folder of shards is made from: picklable, and plain enough for JSON.

    `inputs` are texts as `open_corpus` takes them, paths absolute; a corpus in memory has none.
    `codebooks` has the sha256 of each by the short name of its embedder; they lie in the folder,
    as the profile does. Memories without ids have UUIDs in folders that began with `earlier_ids`.
    """

    folder: str
    inputs: tuple[str, ...] = field(repr=False)  # a URL may have a password
    profile: str  # as TOML
    ids: str | None
    shard_size: int
    memories: int
    budget_bytes: int | None
    codebooks: Mapping[str, str]
    num_threads: int = 1
    earlier_ids: bool = False

    @property
    def shards(self) -> int:
        """How many shards the job has."""
        return shard_count(self.memories, self.shard_size)

    def range(self, number: int) -> tuple[int, int]:
        """Return the first memory of a shard, and the one after its last."""
        return shard_range(number, self.memories, self.shard_size)

    def plan(self) -> dict[str, Any]:
        """Return what makes its shards those of this job: not where it runs, and on how many."""
        told = {**asdict(self), "inputs": list(map(without_secrets, self.inputs))}
        return {name: one for name, one in told.items() if name not in ("folder", "num_threads")}


class ShardDone(NamedTuple):
    """A shard that is on the disk, what was encoded for it, and whether it had been there."""

    entry: ShardEntry
    counts: ByteCounts
    losses: Mapping[EmbedderId, LossTotals]
    skipped: bool = False


def encode_shard(job: ShardJob, number: int) -> ShardDone:
    """Write one shard of a job whose folder was made ready, or keep it where it is there already.

    Only the rows of the shard are read. Raises what encoding raises, with a note that names the
    memory; UsageError where the folder is of another job; StorageCorruption where the shard that is
    there is damaged.
    """
    with opened(job) as corpus:
        if shards.shard_path(job.folder, number).exists():
            return keep_shard(job, number, corpus)
        _require_current(job)
        return write_shard(job, number, corpus, router_of(job))


@contextmanager
def opened(job: ShardJob) -> Iterator[Corpus]:
    """Yield the corpus of a job's inputs, whose ids were seen to be unique when it began."""
    profile = Profile.kept(job.profile)
    with open_corpus(job.inputs, profile, ids=job.ids, checked=True) as corpus:
        yield corpus


def write_shard(
    job: ShardJob, number: int, corpus: Corpus, router: QuantizationRouter
) -> ShardDone:
    """Encode and write one shard of a corpus, whole or not at all."""
    start, stop = job.range(number)
    path, ids = shards.shard_path(job.folder, number), _ids(job, corpus, start, stop)
    encoder = RangeEncoder(corpus, router, (start, stop), job.num_threads)
    before = router.loss_totals()
    parts, sizes = encoder.within_budget(job.budget_bytes)
    facts = {**_facts(job, number, ids), "inputs": encoder.checksums}
    if job.inputs:  # a corpus in memory has one process, which has the lock
        _require_current(job)  # encoding takes a while; the job may have been given up
    shards.write_shard(path, shards.Shard(ids, parts, facts))
    counts = ByteCounts()
    counts.add_batches({one: part.batch for one, part in parts.items()}, sizes)
    losses = _since(router.loss_totals(), before)
    _LOGGER.info("%s: %s", path, loss_line(f"{stop - start} records", losses))
    return ShardDone(ShardEntry(number, start, stop - start, file_hash(path)), counts, losses)


def keep_shard(
    job: ShardJob,
    number: int,
    corpus: Corpus,
    stamps: Sequence[Stamp] | None = None,
    believed: bool = False,
) -> ShardDone:
    """Return the entry of a shard that is there.

    Its inputs are read and compared unless their `stamps`, by default those of the corpus, are
    believed. Raises UsageError where the shard is of another job, StorageCorruption for a damaged
    one.
    """
    start, stop = job.range(number)
    path = shards.shard_path(job.folder, number)
    with repairable(path):
        shard = shards.read_shard(path)
    expected, facts = _facts(job, number, _ids(job, corpus, start, stop)), dict(shard.facts)
    inputs, embedders = facts.pop("inputs", None), {one.short for one in corpus}
    if isinstance(inputs, list):  # an earlier release
        del expected["budget_bytes"]
        same = inputs == [list(one) for one in (corpus.stamps() if stamps is None else stamps)]
    elif believed:
        same = isinstance(inputs, dict) and inputs.keys() == embedders
    else:
        same = inputs == input_checksums(corpus, start, stop)
    if not same or facts != expected or {one.short for one in shard.parts} != embedders:
        raise UsageError(f"{path} {OTHERS}")
    entry = ShardEntry(number, start, stop - start, file_hash(path))
    return ShardDone(entry, ByteCounts(), {}, skipped=True)


def check_shard(job: ShardJob, stamps: Sequence[Stamp], believed: bool, number: int) -> ShardDone:
    """Return the entry of a shard that is there, as `keep_shard` does, of a job of files."""
    with opened(job) as corpus:
        return keep_shard(job, number, corpus, stamps, believed)


@contextmanager
def repairable(path: Path) -> Iterator[None]:
    """Add the way to repair a shard to the errors of a damaged one."""
    try:
        yield
    except StorageCorruption as error:
        error.add_note(f"(delete {path} and run the same command again)")
        raise


def codebook_id_of(sha256: str) -> int:
    """Return the number that codes carry of a codebook with a hash."""
    return int(sha256[:8], 16) or 1


def _facts(job: ShardJob, number: int, ids: KeyColumn) -> dict[str, Any]:
    """Return what a shard says of itself, but for its inputs."""
    return {
        "memories": job.memories,
        "shard_size": job.shard_size,
        "budget_bytes": job.budget_bytes,
        "codebooks": {one: codebook_id_of(sha256) for one, sha256 in job.codebooks.items()},
        "first": job.range(number)[0],
        "ids_crc32": crc32(ids.data.data),
    }


def _ids(job: ShardJob, corpus: Corpus, start: int, stop: int) -> KeyColumn:
    ids = corpus.ids.as_uuids() if job.earlier_ids else corpus.ids
    return KeyColumn.of(ids[start:stop])


def _require_current(job: ShardJob) -> None:
    """Raise UsageError unless the folder waits for shards of this job.

    What a worker of a job that was given up still does must not reach the folder of the next one.
    """
    found = JOB_KIND.read(job_path(job.folder))
    if found is None or found.get("job") != job.plan():
        raise UsageError(
            f"{job.folder} is not made ready for this job: start it with shard_job, "
            "and let workers of other machines see the same folder at this path"
        )


def router_of(job: ShardJob) -> QuantizationRouter:
    """Return a router with the codebooks that lie in the folder; raises CodebookCorrupt."""
    return QuantizationRouter(codebooks_of(job), Profile.kept(job.profile))


def codebooks_of(job: ShardJob) -> dict[EmbedderId, Codebook]:
    """Return the codebooks of a job, which lie in its folder; raises CodebookCorrupt."""
    books = {}
    for name, sha256 in job.codebooks.items():
        model_id = parse_embedder(name)
        books[model_id] = _codebook(str(codebook_path(job.folder, model_id.title)), sha256)
    return books


@lru_cache(_KEPT_CODEBOOKS)
def _codebook(path: str, sha256: str) -> Codebook:
    found = Codebook.load(path)
    if found.sha256 != sha256:
        raise CodebookCorrupt(where=path, reason="it is another one than that of this job")
    return found


def _since(
    now: Mapping[EmbedderId, LossTotals], before: Mapping[EmbedderId, LossTotals]
) -> dict[EmbedderId, LossTotals]:
    found = {one: totals.minus(before.get(one, LossTotals())) for one, totals in now.items()}
    return {one: totals for one, totals in found.items() if totals.encoded}
