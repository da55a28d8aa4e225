"""Compares a corpus with its codes by tasks, each of some documents of one embedder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

from cgcython.base import EmbedderId, Profile
from cgcython.checks import require_callable
from cgcython.corpus.corpus import Corpus
from cgcython.corpus.naming import naming
from cgcython.corpus.opening import open_corpus
from cgcython.errors import QuantizationError
from cgcython.evaluation.comparison import Judged, Row, depth_of, rows_of
from cgcython.evaluation.contenders import Contender, Rankings
from cgcython.evaluation.corpora import contender
from cgcython.evaluation.ranking import Embedding
from cgcython.router import QuantizationRouter
from cgcython.runners import Run
from cgcython.store import RecordStore
from cgcython.types import Int64Array, Progress

BLOCKS = 16  # of a task, of 16 MB as float32 each


@dataclass(frozen=True)
class EvalJob:
    """What a worker needs to rank some documents, as plain values; no text of it shows places.

    Inputs and queries are texts as `open_corpus` takes them, absolute. `models` is the folder of
    the codebooks, `profile` its TOML; with `store` the records there are evaluated, by its own.
    """

    inputs: tuple[str, ...] = field(repr=False)
    queries: tuple[str, ...] = field(repr=False)
    store: str | None = field(default=None, repr=False)
    models: str | None = None
    profile: str | None = None
    step: int = 0
    metric: str = "cosine"
    num_threads: int = 1
    depth: int = 0  # of each query's ranking


class Part(NamedTuple):
    """Some blocks of an embedder's documents, by their numbers, and how many documents they have.

    The order of parts is that of embedders and documents.
    """

    model_id: EmbedderId
    first: int
    last: int
    rows: int


class _Opened(NamedTuple):
    """The corpus and the queries of a job, and what makes and reads codes."""

    corpus: Corpus
    queries: Corpus
    router: QuantizationRouter
    store: RecordStore | None

    def contender(self, job: EvalJob, model_id: EmbedderId) -> Contender:
        """Return the Contender of an embedder."""
        return contender(
            self.corpus,
            model_id,
            self.router,
            step=job.step,
            metric=job.metric,
            store=self.store,
        )


@contextmanager
def _opened(job: EvalJob, *, is_checked: bool = False) -> Iterator[_Opened]:
    """Yield the inputs of a job; ids that were checked are not searched for duplicates."""
    with ExitStack() as stack:
        store = None
        if job.store is not None:
            store = stack.enter_context(RecordStore.open(job.store, read_only=True))
        profile = Profile.kept(job.profile or "") if store is None else store.profile
        corpus = stack.enter_context(open_corpus(job.inputs, profile, checked=is_checked))
        queries = stack.enter_context(open_corpus(job.queries, profile))
        router = QuantizationRouter(job.models, profile) if store is None else store.router
        stack.enter_context(naming(memory=corpus, query=queries))
        yield _Opened(corpus, queries, router, store)


def rank_part(job: EvalJob, part: Part) -> Rankings:
    """Return the Rankings of some documents for all queries that have their embedder.

    They are without the memories of the column, which who joins parts knows.
    """
    with _opened(job, is_checked=True) as opened:
        one, column = opened.contender(job, part.model_id), opened.queries.get(part.model_id)
        numbers: list[int] = []
        asked: Sequence[Embedding] = []
        if column is not None:
            numbers = column.memories(0, len(column.embeddings)).tolist()
            asked = column.embeddings.some(0, len(column.embeddings))
        blocks = one.blocks()[part.first : part.last]
        found = one.rankings(numbers, asked, job.depth, job.num_threads, blocks=blocks)
        return found._replace(memories=one.memories[:0])


class Plan(NamedTuple):
    """The parts of a job, the memories of each embedder's documents, and the numbers of all."""

    parts: list[Part]
    documents: dict[EmbedderId, Int64Array]
    queries: int
    memories: int


def plan_of(job: EvalJob, blocks: int = BLOCKS) -> Plan:
    """Return the Plan of a job, with parts of some blocks of each embedder."""
    with _opened(job) as opened:
        parts, documents = [], {}
        for model_id in opened.corpus:
            one = opened.contender(job, model_id)
            documents[model_id], spans = one.memories, one.blocks()
            for first in range(0, len(spans), blocks):
                some = spans[first : first + blocks]
                rows = some[-1][1] - some[0][0]
                parts.append(Part(model_id, first, first + len(some), rows))
        counts = opened.queries.num_memories, opened.corpus.num_memories
        return Plan(parts, documents, *counts)


class _Joining:
    """Joins the Rankings of an embedder's parts as soon as all before them are there."""

    def __init__(self, memories: Int64Array) -> None:
        self.memories, self._next = memories, 0
        self._joined: list[Rankings] = []
        self._waiting: dict[int, tuple[Part, Rankings]] = {}

    def add(self, part: Part, found: Rankings) -> None:
        """Take the Rankings of a part."""
        self._waiting[part.first] = part, found
        while self._next in self._waiting:
            part, found = self._waiting.pop(self._next)
            self._joined = [Rankings.joined([*self._joined, found])]
            self._next = part.last

    @property
    def whole(self) -> Rankings:
        """The Rankings of all parts."""
        return self._joined[0]._replace(memories=self.memories)


def compare_by(
    run: Run,
    job: EvalJob,
    plan: Plan,
    relevant: Sequence[Judged] | None = None,
    progress: Progress | None = None,
) -> list[Row]:
    """Return the rows that `comparison.compare` does, with all parts of a job ranked by tasks.

    `run(function, parts)` yields (part, result or error) of each part as it ends. `relevant` has
    one `{memory: gain}`, or None, for each query. `progress` is called with the documents of each
    part.
    """
    require_callable(run, "run")
    job = replace(job, depth=depth_of(len(plan.documents)))
    found = {one: _Joining(memories) for one, memories in plan.documents.items()}
    for part, result in run(partial(rank_part, job), plan.parts):
        if isinstance(result, QuantizationError):
            raise result
        found[part.model_id].add(part, result)
        if progress is not None:
            progress(part.rows)
    every = [one.whole for one in found.values()]
    return rows_of(every, relevant or [None] * plan.queries)
