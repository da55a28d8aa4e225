"""Compares all methods on one embedder of a corpus by tasks, each of one training or coding."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import NamedTuple, TypeAlias

from cgcython import runners
from cgcython.base import EmbedderId, Profile
from cgcython.corpus.corpus import Corpus, CorpusColumn
from cgcython.corpus.named_array import named_array
from cgcython.corpus.naming import naming
from cgcython.corpus.opening import open_corpus
from cgcython.corpus.remote.urls import without_secrets
from cgcython.errors import DimensionMismatch, QuantizationError, UsageError
from cgcython.evaluation.choices import dense_methods, own_kinds, sparse_methods, trained_methods
from cgcython.evaluation.comparison import Judged
from cgcython.evaluation.methods import (
    FLOAT32,
    Method,
    MethodRow,
    Run,
    compare_methods,
    exact_of,
    rows_of,
    run_of,
)
from cgcython.evaluation.peers import faiss_kinds
from cgcython.evaluation.ranking import Embedding
from cgcython.inputs.columns import DenseColumn, SparseColumn
from cgcython.narrow_floats import Rows

Judgements: TypeAlias = Callable[[int, int], Sequence[Judged] | None]  # of (queries, memories)
Hear: TypeAlias = Callable[[int, int, str], object]  # (done, total, what is done now)


@dataclass(frozen=True)
class MethodsJob:
    """What a worker needs to measure a method, as plain values; no text of it shows places.

    Inputs, queries and `train` are texts that name files, absolute, `profile` is TOML.
    """

    inputs: tuple[str, ...] = field(repr=False)
    queries: tuple[str, ...] = field(repr=False)
    profile: str
    train: str | None = field(default=None, repr=False)
    in_domain: bool = False
    folds: int = 2
    seeds: int = 5
    sizes: tuple[int, ...] | None = None
    peers: bool = False
    metric: str = "cosine"
    num_threads: int = 1


class Task(NamedTuple):
    """One run of the methods of some numbers, which share what is trained; none: of float32."""

    methods: tuple[int, ...]
    run: int


class _Opened(NamedTuple):
    """One embedder of a job's corpus, its queries, and the methods that suit it."""

    corpus: Corpus
    queries: Corpus
    model_id: EmbedderId
    column: CorpusColumn
    methods: list[Method]

    @property
    def asked(self) -> Sequence[Embedding]:
        """The queries that have the embedder."""
        asked = self.queries[self.model_id].embeddings
        return asked.some(0, len(asked))

    def relevant(self, judgements: Judgements) -> Sequence[Judged] | None:
        """Return the judgements of these queries."""
        found = judgements(self.queries.num_memories, self.corpus.num_memories)
        if found is None:
            return None
        column = self.queries[self.model_id]
        numbers = column.memories(0, len(column.embeddings)).tolist()
        return [found[query] for query in numbers]


@contextmanager
def _opened(job: MethodsJob, *, is_checked: bool = False) -> Iterator[_Opened]:
    profile = Profile.kept(job.profile)
    with ExitStack() as stack:
        corpus = stack.enter_context(open_corpus(job.inputs, profile, checked=is_checked))
        queries = stack.enter_context(open_corpus(job.queries, profile))
        model_id, column = _only(corpus, job.inputs)
        if model_id not in queries:
            raise UsageError(f"--queries {_told(job.queries)} are not of {model_id.short}")
        stack.enter_context(naming(memory=corpus, query=queries))
        yield _Opened(corpus, queries, model_id, column, _methods(job, column))


def compare_job(
    job: MethodsJob,
    judgements: Judgements = lambda queries, memories: None,
    *,
    run: runners.Run | None = None,
    hear: Hear = lambda done, total, what: None,
) -> list[MethodRow]:
    """Return the MethodRows of a job, from tasks where `run` is given, else in this process.

    `run(function, tasks)` yields (task, result or error) of each task as it ends; all but the
    times are the same. `judgements(queries, memories)` returns what `read_judgements` does.
    """
    with _opened(job) as opened:
        relevant, rows = opened.relevant(judgements), len(opened.column.embeddings)
        memories = opened.column.memories(0, rows)
        if run is not None:
            exact, found = _by_tasks(job, opened.methods, run, hear)
            return rows_of(opened.model_id.short, opened.methods, memories, exact, found, relevant)
        return compare_methods(
            opened.model_id.short,
            opened.column.embeddings,
            opened.methods,
            opened.asked,
            relevant,
            memories=memories,
            metric=job.metric,
            num_threads=job.num_threads,
            hear=hear,
        )


def _by_tasks(
    job: MethodsJob, methods: Sequence[Method], run: runners.Run, hear: Hear
) -> tuple[Run, list[list[Run]]]:
    """Return the Run of float32, and those of each method."""
    tasks = tasks_of(methods)
    total, done = sum(max(1, len(task.methods)) for task in tasks), 0
    found: dict[tuple[int, int], Run] = {}
    hear(0, total, FLOAT32)
    for task, result in run(partial(run_task, job), tasks):
        if isinstance(result, QuantizationError):
            raise result
        found |= {(number, task.run): one for number, one in zip(task.methods or [-1], result)}
        done += len(result)
        hear(done, total, str(methods[task.methods[-1]]) if task.methods else FLOAT32)
    return found[-1, 0], [
        [found[number, one] for one in range(len(method.runs))]
        for number, method in enumerate(methods)
    ]


def tasks_of(methods: Sequence[Method]) -> list[Task]:
    """Return the tasks of float32 and of methods."""

    def shared(number: int) -> object:
        one = methods[number]
        return (one.books, one.training, one.size) if one.books else number

    tasks = [Task((), 0)]
    for _, group in groupby(range(len(methods)), shared):
        numbers = tuple(group)
        tasks += [Task(numbers, one) for one in range(len(methods[numbers[0]].runs))]
    return tasks


def run_task(job: MethodsJob, task: Task) -> list[Run]:
    """Return the Run of each method of a task, or that of float32."""
    with _opened(job, is_checked=True) as opened:
        column, asked = opened.column.embeddings, opened.asked
        makes = [opened.methods[number].runs[task.run] for number in task.methods]
        return [
            run_of(make(), column, asked, metric=job.metric, num_threads=job.num_threads)
            for make in makes or [partial(exact_of, column)]
        ]


def _only(corpus: Corpus, specs: Sequence[str]) -> tuple[EmbedderId, CorpusColumn]:
    """Return the one embedder of a corpus and its column."""
    found = [(one, column) for one, column in corpus.items() if len(column.embeddings)]
    if len(found) != 1 or len(corpus) != 1:
        names = ", ".join(one.short for one in corpus) or "none"
        raise UsageError(f"{_told(specs)}: expected embeddings of one embedder, got {names}")
    return found[0]


def _told(inputs: Sequence[str]) -> str:
    return " ".join(map(without_secrets, inputs))


def _methods(job: MethodsJob, column: CorpusColumn) -> list[Method]:
    """Return the Methods that suit a column."""
    match column.embeddings:
        case SparseColumn(dimension=dimension):
            return sparse_methods(dimension)
        case DenseColumn(values=values):
            return dense_methods(values.shape[1]) + _trained(job, values)
    raise UsageError("tokens have other methods: cgcython eval tokens")


def _trained(job: MethodsJob, values: Rows) -> list[Method]:
    """Return the Methods that are trained, on other texts and the folds."""
    dim = values.shape[1]
    others = None if job.train is None else named_array(job.train)
    if others is not None and (others.ndim != 2 or others.shape[1] != dim):
        actual = others.shape[-1] if others.ndim else 0
        what = f"values per row of {without_secrets(job.train or '')}"
        raise DimensionMismatch(expected=dim, actual=actual, what=what)
    if wrong := [size for size in job.sizes or () if dim % size]:
        raise UsageError(f"--sizes {', '.join(map(str, wrong))}: no divisor of {dim} values")
    kinds = own_kinds(dim, job.sizes, job.num_threads)
    trained = partial(trained_methods, values, others, folds=job.folds, seeds=job.seeds)
    found = trained(kinds, in_domain=job.in_domain)
    return found + trained(faiss_kinds(dim, job.sizes, job.num_threads)) if job.peers else found
