"""Encodes a corpus into shards or a store, here or on the workers of --scheduler."""

import argparse
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

from cgcython.base import EmbedderId, Profile
from cgcython.cli.failures import OK
from cgcython.cli.progress import progress
from cgcython.cli.scheduling import Units, runner_of
from cgcython.codecs.codebook_base import Codebook
from cgcython.corpus.byte_counts import ByteCounts
from cgcython.corpus.opening import open_corpus
from cgcython.corpus.shard_job import (
    ShardDone,
    ShardJob,
    codebooks_of,
    encode_shard,
    opened,
    router_of,
    write_shard,
)
from cgcython.corpus.shard_jobs import shard_job
from cgcython.corpus.store_jobs import require_servers, run_store_job, store_job
from cgcython.corpus.writing import StoreWriter
from cgcython.embedders.losses import LossTotals
from cgcython.embedders.route import DriftWarning, drift_told, trained_loss
from cgcython.store import RecordStore


class Encoded(NamedTuple):
    """What came of a command: its memories, those that were encoded, and the exit code."""

    memories: int
    counts: ByteCounts
    losses: Mapping[EmbedderId, LossTotals]
    skipped: int
    code: int = OK


def into_shards(args: argparse.Namespace, profile: Profile | None) -> Encoded:
    """Write a folder of shards; those that fail with --on-damage skip are named at the end."""
    units = Units("shard", args.on_damage)
    found: dict[int, ShardDone] = {}
    with (
        runner_of(args) as runner,
        shard_job(
            args.out,
            args.inputs,
            args.models,
            profile=profile,
            ids=args.ids,
            shard_size=args.shard_size,
            budget_bytes=args.budget,
            num_threads=_threads(args),
            run=runner.run,
        ) as running,
    ):
        with _encoder(args, running.job) as encode:
            found.update(units.results(runner, encode, running.unfinished, "encode"))
        for number in sorted(found):  # sums of losses depend on the order
            running.add(found[number])
        _warn_of_drift(running.losses, codebooks_of(running.job) if found else {})
        done = running.job.memories, running.counts, running.losses, running.skipped
    return Encoded(*done, units.exit_code())


@contextmanager
def _encoder(args: argparse.Namespace, job: ShardJob) -> Iterator[Callable[[int], ShardDone]]:
    """Yield what encodes a shard. Here the inputs stay open; a worker opens them for each shard."""
    if args.scheduler is not None:
        yield partial(encode_shard, job)
        return
    with opened(job) as corpus:
        yield lambda number: write_shard(job, number, corpus, router_of(job))


def into_servers(args: argparse.Namespace, profile: Profile | None) -> Encoded:
    """Write to a store on servers from many workers."""
    require_servers(args.store)
    units = Units("range", args.on_damage)
    with (
        runner_of(args) as runner,
        store_job(
            args.inputs,
            args.store,
            args.models,
            profile=profile,
            ids=args.ids,
            metadata=args.metadata,
            budget_bytes=args.budget,
            num_threads=_threads(args),
            resume=args.resume,
        ) as job,
        progress(job.memories, "memory", "encode") as bar,
    ):
        skips = args.on_damage == "skip"
        done = run_store_job(job, runner.run, skip_damage=skips, progress=bar.advance)
    with RecordStore.open(args.store, create=False) as store:
        books = {one: store.codebook(made) for one, made in job.codebooks.items()}
        _warn_of_drift(done.losses, books)
    units.failed.update(done.failed)
    return Encoded(job.memories, done.counts, done.losses, done.skipped, units.exit_code())


def into_store(args: argparse.Namespace, profile: Profile | None) -> Encoded:
    """Write to a store, some memories after the others."""
    with StoreWriter(
        args.store,
        args.models,
        profile=profile,
        budget_bytes=args.budget,
        num_threads=args.threads,
        resume=args.resume,
    ) as writer:
        corpus = open_corpus(args.inputs, writer.profile, ids=args.ids, metadata=args.metadata)
        memories = corpus.num_memories
        with corpus, progress(memories, "memory", "encode") as bar:
            counts = writer.write_all(corpus, bar.advance)
        return Encoded(memories, counts, writer.losses(), writer.skipped)


def _warn_of_drift(
    losses: Mapping[EmbedderId, LossTotals], codebooks: Mapping[EmbedderId, Codebook]
) -> None:
    """Warn of embedders that lose far more than training measured; one task has few samples."""
    for model_id, totals in losses.items():
        trained = trained_loss(codebooks.get(model_id))
        if told := drift_told(model_id, trained, totals.samples, totals.total):
            warnings.warn(told, DriftWarning, stacklevel=2)


def _threads(args: argparse.Namespace) -> int:
    """Return the threads of one task: a worker of a scheduler has as many tasks as threads."""
    threads: int = args.threads
    return threads if args.scheduler is None else 1
