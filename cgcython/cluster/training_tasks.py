"""One training as a task: plain values name its rows, which it draws itself, wherever it runs."""

import uuid
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from cgcython.base import EmbedderId, Profile, parse_embedder
from cgcython.codecs.codebook_base import Codebook
from cgcython.codecs.samples import as_source, some_rows
from cgcython.codecs.size_search import Trial, Wanted
from cgcython.codecs.sizes import (
    METHODS,
    TRAINED,
    Judge,
    quick_rows,
    train,
    train_smallest,
    train_wanted,
    untrained,
)
from cgcython.codecs.training import CodebookWarning, require_sample
from cgcython.corpus.named_array import named_array
from cgcython.corpus.opening import open_corpus
from cgcython.corpus.remote.urls import without_secrets
from cgcython.errors import UsageError
from cgcython.evaluation.corpora import codebook_judge
from cgcython.evaluation.metrics import judgements
from cgcython.inputs.columns import DenseColumn
from cgcython.types import RowSource, TrainingProgress

HERE = uuid.uuid4().hex  # another in each process


class Done(NamedTuple):
    """What came of a task: a codebook, or the trials of a method without; and in which process."""

    outcome: Codebook | list[Trial]
    process: str = HERE


class JudgedInputs(NamedTuple):
    """A judged corpus, its queries and its judgements, as texts that name files."""

    corpus: tuple[str, ...]
    queries: tuple[str, ...]
    qrels: str


@dataclass(frozen=True)
class TrainingJob:
    """What the codebook of one embedder is trained from and how, as plain values.

    `rows` is an input as `open_corpus` takes it, `profile` TOML; `size` is None where the fewest
    bytes are sought.
    """

    embedder: str
    rows: str = field(repr=False)  # a URL may hold a password
    profile: str = field(repr=False)
    method: str
    size: int | None = None
    seed: int = 0
    rotation: str | None = "opq"
    sample: int | None = None
    num_threads: int = 1
    judged: JudgedInputs | None = field(default=None, repr=False)
    origin: str = field(default=HERE, repr=False)

    @property
    def model_id(self) -> EmbedderId:
        """The embedder."""
        return parse_embedder(self.embedder)

    @property
    def how(self) -> dict[str, Any]:
        """Arguments that all trainings of the job share."""
        model = self.model_id.title
        return {"sample": self.sample, "num_threads": self.num_threads, "model": model}


class Task(NamedTuple):
    """One training of a job."""

    job: TrainingJob
    wanted: Wanted


@contextmanager
def opened(job: TrainingJob) -> Iterator[tuple[RowSource, Judge | None]]:
    """Yield the rows of a job and what judges codebooks; errors as in `open_corpus`."""
    profile = Profile.from_toml(job.profile)
    with ExitStack() as stack:
        corpus = stack.enter_context(open_corpus(job.rows, profile))
        column = corpus[job.model_id].embeddings if list(corpus) == [job.model_id] else None
        if not isinstance(column, DenseColumn):
            raise UsageError(f"--input {without_secrets(job.rows)} is not of {job.embedder}")
        yield column.values, None if job.judged is None else _judge(job, profile, stack)


def _judge(job: TrainingJob, profile: Profile, stack: ExitStack) -> Judge:
    """Return what measures a codebook or a codec on judged queries."""
    judged = job.judged or JudgedInputs((), (), "")
    corpus = stack.enter_context(open_corpus(judged.corpus, profile))
    queries = stack.enter_context(open_corpus(judged.queries, profile))
    if list(corpus) != [job.model_id]:
        told = " ".join(map(without_secrets, judged.corpus))
        raise UsageError(f"--judged {told} is not of {job.embedder}")
    asked = queries.fingerprints(0, queries.num_memories)
    relevant = judgements(named_array(judged.qrels), len(asked), corpus.num_memories)
    return codebook_judge(corpus, job.model_id, asked, relevant, job.num_threads)


def train_here(
    job: TrainingJob, max_cost: float, progress: TrainingProgress | None = None
) -> tuple[Codebook, list[Trial]]:
    """Return the codebook of a job and the trials of all sizes, none where the size is given.

    Errors, warnings and Ctrl-C as in `train_smallest`.
    """
    with opened(job) as (rows, judge):
        how = {**job.how, "progress": progress}
        if job.size is None:
            return train_smallest(
                rows,
                max_cost,
                method=job.method,
                compared=METHODS,
                judge=judge,
                seed=job.seed,
                rotation=job.rotation,
                **how,
            )
        book = train(job.method, rows, job.size, job.seed, job.rotation, **how)
        return book.with_facts(judge(book) if judge else {}), []


def work(task: Task) -> Done:
    """Do a task, with the rows that `train_here` draws.

    Another process than the one that made the job does not warn: that one does, from the facts.
    """
    if task.job.origin != HERE:
        warnings.simplefilter("ignore", CodebookWarning)
    return Done(_outcome(*task), HERE)


def _outcome(job: TrainingJob, wanted: Wanted) -> Codebook | list[Trial]:
    with opened(job) as (given, judge):
        source = as_source(given)
        if job.size is not None:
            book = train(job.method, source, job.size, job.seed, job.rotation, **job.how)
            return book.with_facts(judge(book) if judge else {})
        drawn = some_rows(source, require_sample(job.sample), job.seed)
        rows = quick_rows(drawn, job.seed) if wanted.quick else drawn
        if wanted.method not in TRAINED:
            return untrained(wanted.method, rows, job.seed, judge)
        count = source.shape[0]
        return train_wanted(wanted, rows, count, job.seed, job.rotation, judge, **job.how)
