"""Encodes a corpus into a store on servers by many workers, each a range of memories at a time.

Storing a record again changes nothing, so the range of a worker that was killed is done again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

from cgcython.base import EmbedderId, ProfileName
from cgcython.checks import require_callable
from cgcython.corpus.byte_counts import ByteCounts
from cgcython.corpus.corpus import Corpus, Stamp
from cgcython.corpus.opening import open_corpus
from cgcython.corpus.specs import absolute
from cgcython.corpus.writing import CodebookSource, StoreWriter, remove_if_empty
from cgcython.embedders.losses import LossTotals
from cgcython.errors import InvalidInput, QuantizationError, StoreUnavailable
from cgcython.fingerprint import DEFAULT_BUDGET_BYTES
from cgcython.router import QuantizationRouter
from cgcython.runners import Run
from cgcython.store import RecordStore, places
from cgcython.store.places import name_of_place
from cgcython.types import Progress

RANGE = 8192  # memories of a task, which opens the inputs and the store anew


@dataclass(frozen=True)
class StoreJob:
    """What a worker needs to encode a range of memories into a store, as plain values.

    Addresses may hold passwords, so no text of a job shows them. `codebooks` are the ids of those
    that encode, by embedder, which the store keeps. `uuid_rows` says that memories without ids are
    known by the UUIDs that an earlier release gave them.
    """

    inputs: tuple[str, ...] = field(repr=False)
    place: str = field(repr=False)
    codebooks: Mapping[EmbedderId, int] = field(default_factory=dict)
    memories: int = 0
    stamps: Sequence[Stamp] = ()
    ids: str | None = None
    metadata: tuple[str, ...] | None = None
    budget_bytes: int | None = DEFAULT_BUDGET_BYTES
    num_threads: int = 1
    resume: bool = False
    uuid_rows: bool = False
    size: int = RANGE

    @property
    def ranges(self) -> int:
        """How many ranges there are; they are numbered from 0."""
        return -(-self.memories // self.size)

    def bounds(self, number: int) -> tuple[int, int]:
        """Return the first memory of a range, and the one behind its last."""
        return number * self.size, min((number + 1) * self.size, self.memories)

    def corpus(self, store: RecordStore) -> Corpus:
        """Return the corpus of the inputs; raises InvalidInput where they are others by now."""
        corpus = open_corpus(
            self.inputs, store.profile, ids=self.ids, metadata=self.metadata, checked=True
        )
        if corpus.num_memories == self.memories and corpus.stamps() == self.stamps:
            return corpus
        corpus.close()
        raise InvalidInput(
            what="inputs",
            expected="those with which the job began",
            actual="others; leave them as they are until it ends, and run it again",
        )


class StoreDone(NamedTuple):
    """What came of some ranges: bytes, sampled losses, memories skipped, and ranges that failed."""

    counts: ByteCounts
    losses: dict[EmbedderId, LossTotals]
    skipped: int
    failed: Mapping[int, QuantizationError] = {}


def encode_range(job: StoreJob, number: int) -> StoreDone:
    """Encode a range of memories into the store, which must be there, and return what came of it.

    Raises what encoding and the store raise; then what was stored before stays.
    """
    start, stop = job.bounds(number)
    with RecordStore.open(job.place, create=False) as store, job.corpus(store) as corpus:
        books = {one: store.codebook(made) for one, made in job.codebooks.items()}
        writer = StoreWriter.of(
            store,
            QuantizationRouter(books, store.profile),
            budget_bytes=job.budget_bytes,
            num_threads=job.num_threads,
            resume=job.resume,
        )
        writer.know_ids(corpus, corpus.ids.as_uuids() if job.uuid_rows else corpus.ids)
        for first in range(start, stop, writer.chunk):
            writer.write(corpus, first, min(first + writer.chunk, stop))
        return StoreDone(writer.counts, writer.losses(), writer.skipped)


@contextmanager
def store_job(
    inputs: Iterable[str],
    place: str,
    codebooks: CodebookSource | None = None,
    *,
    profile: ProfileName | None = None,
    ids: str | None = None,
    metadata: Iterable[str] | None = None,
    budget_bytes: int | None = DEFAULT_BUDGET_BYTES,
    num_threads: int = 1,
    resume: bool = False,
    size: int = RANGE,
) -> Iterator[StoreJob]:
    """Make a store on servers ready for workers and yield their job; arguments as of StoreWriter.

    The store is made where there is none and gets the codebooks. A new one that holds nothing when
    the block fails is removed. Raises UsageError for a folder, which one process at a time writes.
    """
    require_servers(place)
    columns = None if metadata is None else tuple(metadata)
    asked = StoreJob(
        tuple(map(absolute, inputs)),
        place,
        ids=ids,
        metadata=columns,
        budget_bytes=budget_bytes,
        num_threads=num_threads,
        resume=resume,
        size=size,
    )
    job, is_new = _begun(asked, codebooks, profile)
    try:
        yield job
    except BaseException:
        if is_new:
            _remove_if_empty(place)
        raise


def _begun(
    asked: StoreJob, codebooks: CodebookSource | None, profile: ProfileName | None
) -> tuple[StoreJob, bool]:
    """Return a job whose store is there and has the codebooks, and whether it is a new one."""
    with StoreWriter(asked.place, codebooks, profile=profile) as writer:
        corpus = open_corpus(asked.inputs, writer.profile, ids=asked.ids, metadata=asked.metadata)
        is_new = writer.is_new
        job = replace(
            asked,
            codebooks=writer.begin(corpus),
            memories=corpus.num_memories,
            stamps=corpus.stamps(),
            uuid_rows=writer.knows_uuids(corpus),
        )
    return job, is_new


def require_servers(place: str) -> None:
    """Raise UsageError for a folder, with what else to do."""
    places.require_servers(
        place,
        "leave out --scheduler, or encode with --out SHARDS on workers, "
        f"then: cgcython store copy SHARDS {place}",
    )


def run_store_job(
    job: StoreJob, run: Run, *, skip_damage: bool = False, progress: Progress | None = None
) -> StoreDone:
    """Have all ranges of a job encoded, and return what came of all, whatever the order.

    `run(function, numbers)` yields (number, result or error) of each range as it ends. An error is
    raised, or, with `skip_damage`, kept in `failed`, but for those of the store itself. `progress`
    is called with the number of memories of each range.
    """
    require_callable(run, "run")
    done: dict[int, StoreDone] = {}
    failed: dict[int, QuantizationError] = {}
    for number, result in run(partial(encode_range, job), range(job.ranges)):
        start, stop = job.bounds(number)
        if isinstance(result, StoreDone):
            done[number] = result
        else:
            failed[number] = _named(result, start, stop, job)
            if not skip_damage or isinstance(result, StoreUnavailable):
                raise result
        if progress is not None:
            progress(stop - start)
    if failed and not done:
        raise failed[min(failed)]
    return _sum([done[number] for number in sorted(done)], dict(sorted(failed.items())))


def _named(error: QuantizationError, start: int, stop: int, job: StoreJob) -> QuantizationError:
    """Return an error that names its range, and for a store that went away what to do then."""
    error.add_note(f"(memories {start} to {stop - 1})")
    if isinstance(error, StoreUnavailable):
        store = name_of_place(job.place)
        error.add_note(f"(what {store} acknowledged stays; go on by the same with --resume)")
    return error


def _sum(done: Iterable[StoreDone], failed: Mapping[int, QuantizationError]) -> StoreDone:
    """Return the sums over ranges, which depend on their order alone."""
    counts, skipped = ByteCounts(), 0
    losses: dict[EmbedderId, LossTotals] = {}
    for one in done:
        counts.add_counts(one.counts)
        skipped += one.skipped
        for model_id, totals in one.losses.items():
            losses[model_id] = losses.get(model_id, LossTotals()).plus(totals)
    return StoreDone(counts, losses, skipped, failed)


def _remove_if_empty(place: str) -> None:
    """Remove a store that holds nothing, where it can be reached."""
    with suppress(StoreUnavailable):
        remove_if_empty(RecordStore.open(place, create=False), place)
