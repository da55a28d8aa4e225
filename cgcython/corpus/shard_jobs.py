"""Begins the job of a folder of shards."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from cgcython.base import EmbedderId, ProfileName
from cgcython.checks import iterated, require_callable, require_whole
from cgcython.codecs.base import codec_class
from cgcython.codecs.codebook_base import Codebook
from cgcython.corpus.corpus import Corpus, Stamp
from cgcython.corpus.opening import open_corpus
from cgcython.corpus.remote.urls import is_url, without_secrets
from cgcython.corpus.running_job import RunningJob
from cgcython.corpus.shard_job import ShardDone, ShardJob, check_shard
from cgcython.corpus.specs import absolute
from cgcython.corpus.writing import CodebookSource
from cgcython.errors import InvalidInput
from cgcython.files import absolute_path, as_path
from cgcython.fingerprint import DEFAULT_BUDGET_BYTES
from cgcython.router import QuantizationRouter
from cgcython.runners import Run, run_here
from cgcython.types import StrPath

SHARD_SIZE = 65536


@contextmanager
def shard_job(
    folder: StrPath,
    inputs: StrPath | Iterable[StrPath],
    codebooks: CodebookSource | None = None,
    *,
    profile: ProfileName | None = None,
    ids: str | None = None,
    shard_size: int = SHARD_SIZE,
    budget_bytes: int | None = DEFAULT_BUDGET_BYTES,
    num_threads: int = 1,
    run: Run = run_here,
) -> Iterator[RunningJob]:
    """Yield the job that encodes inputs into a folder, which is made ready for `encode_shard`.

    `run` is what compares the shards that are there. Raises UsageError for a folder of other
    inputs, codebooks or another profile, StoreUnavailable where another job is writing to it,
    StorageCorruption for a damaged shard, and what `open_corpus` raises.

    >>> with shard_job("out", "corpus.npz", "models") as running:  # doctest: +SKIP
    ...     for number, done in run_here(partial(encode_shard, running.job), running.unfinished):
    ...         running.add(done)
    """
    require_callable(run, "run")
    texts = _absolute(inputs)
    with open_corpus(texts, profile, ids=ids) as corpus:
        books = codebooks_for(corpus, QuantizationRouter(codebooks, corpus.profile))
        job = new_job(folder, corpus, books, shard_size, budget_bytes, num_threads)
        job = replace(job, inputs=tuple(texts), ids=ids)
        running = RunningJob(job, corpus, books, _keep, run)
    with running:
        yield running


def new_job(
    folder: StrPath,
    corpus: Corpus,
    books: Mapping[EmbedderId, Codebook],
    shard_size: int,
    budget_bytes: int | None,
    num_threads: int,
) -> ShardJob:
    """Return the job of a corpus in memory; raises InvalidInput for a URL to write to."""
    return ShardJob(
        folder=absolute_path(local_folder(folder)),
        inputs=(),
        profile=corpus.profile.to_toml(),
        ids=None,
        shard_size=require_whole(shard_size, "shard_size", least=1),
        memories=corpus.num_memories,
        budget_bytes=budget_bytes,
        codebooks={one.short: book.sha256 for one, book in books.items()},
        num_threads=num_threads,
    )


def local_folder(folder: StrPath) -> Path:
    """Return the folder that shards are written to; raises InvalidInput for a URL."""
    path = as_path(folder, "folder")
    if is_url(folder):
        expected = "a folder, which all workers see; copy it to objects when it is whole"
        raise InvalidInput(what="folder", expected=expected, actual=without_secrets(str(folder)))
    return path


def codebooks_for(corpus: Corpus, router: QuantizationRouter) -> dict[EmbedderId, Codebook]:
    """Return the codebooks that the codes of a corpus need; raises CodebookMissing."""
    return {
        one: router.codebooks[one]
        for one in corpus
        if codec_class(corpus.profile[one].method).needs_codebook
    }


def _keep(job: ShardJob, stamps: Sequence[Stamp], believed: bool) -> Callable[[int], ShardDone]:
    return partial(check_shard, job, stamps, believed)


def _absolute(inputs: StrPath | Iterable[StrPath]) -> list[str]:
    """Return texts that name inputs, with paths that mean the same in any process."""
    if isinstance(inputs, Mapping):
        expected = "files; write arrays in memory with ShardWriter"
        raise InvalidInput(what="inputs", expected=expected, actual="arrays")
    every = [inputs] if isinstance(inputs, (str, os.PathLike)) else inputs
    return [_absolute_text(one) for one in iterated(every, "inputs", "inputs")]


def _absolute_text(one: StrPath) -> str:
    as_path(one, "input")
    return absolute(os.fspath(one))  # a Path of a URL has lost one of its slashes
