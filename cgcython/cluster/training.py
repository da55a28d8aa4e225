"""Trains the codebooks of several embedders side by side, one training a task.

Rounds of tasks: first all sizes of all embedders quickly, then in full the size of each that fits,
and the next larger where it does not. Codebooks, trials and their order are those of one process.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from cgcython.cluster.training_tasks import HERE, Done, Task, TrainingJob, opened, work
from cgcython.codecs.codebook_base import Codebook
from cgcython.codecs.samples import as_source
from cgcython.codecs.size_search import Search, Trial, Wanted, in_order, trial_of
from cgcython.codecs.sizes import (
    METHODS,
    TRIAL_ROWS,
    interrupted,
    sizes_of,
    tell_untried,
    tries,
)
from cgcython.codecs.training import require_enough, require_sample
from cgcython.errors import QuantizationError
from cgcython.runners import Run

Trained: TypeAlias = tuple[Codebook, list[Trial]]
Hear: TypeAlias = Callable[[int, int], object]  # told how many tasks are done, and of how many


def train_all(
    jobs: Sequence[TrainingJob],
    max_costs: Sequence[float],
    run: Run,
    hear: Hear = lambda done, total: None,
) -> list[Trained | QuantizationError | None]:
    """Return the codebook and the trials of each job, or its error, which costs no other job.

    `max_costs` are limits as in `train_smallest`. Ctrl-C ends all with the best codebooks so far:
    None where there is none yet.
    """
    plans = [_Plan(job, cost) for job, cost in zip(jobs, max_costs)]
    is_interrupted = False
    try:
        while tasks := [Task(plan.job, one) for plan in plans for one in plan.wanted()]:
            _one_round(plans, tasks, run, hear)
    except KeyboardInterrupt:
        is_interrupted = True
    return [plan.result(is_interrupted) for plan in plans]


def _one_round(plans: Iterable["_Plan"], tasks: list[Task], run: Run, hear: Hear) -> None:
    """Do tasks and hand their outcomes over in order, also those that came before Ctrl-C."""
    found: dict[Task, Done | QuantizationError] = {}
    plan_of = {plan.job: plan for plan in plans}
    try:
        hear(0, len(tasks))
        for task, done in run(work, tasks):
            found[task] = done
            hear(len(found), len(tasks))
    finally:
        for task in tasks:
            if task in found:
                plan_of[task.job].keep(task.wanted, found[task])


class _Plan:
    """What is wanted and known of one job."""

    def __init__(self, job: TrainingJob, max_cost: float) -> None:
        self.job = job
        self.error: QuantizationError | None = None
        self.book: Codebook | None = None  # of a size that was asked for
        self.search = Search(job.method, [], max_cost)
        self.others: list[Wanted] = []  # of methods beside the one sought
        self.is_begun = False
        self.beside: dict[Wanted, list[Trial]] = {}
        try:
            self._look(job)
        except QuantizationError as error:
            self.error = error

    def _look(self, job: TrainingJob) -> None:
        """Note the sizes that the rows can have; only their shape is read."""
        with opened(job) as (given, _):
            rows, dim = as_source(given).shape
        if job.size is None:
            self.search.sizes = sizes_of(dim, job.method)
            shape = min(rows, require_sample(job.sample), TRIAL_ROWS), dim
            others = [name for name in METHODS if name != job.method]
            self.others = [one for name in others for one in tries(name, shape)]

    def wanted(self) -> list[Wanted]:
        """Return what is to be trained next, nothing where all is known or one failed."""
        if self.error is not None or self.book is not None:
            return []
        if self.job.size is not None:
            return [Wanted(self.job.method, self.job.size, quick=False)]
        others = [] if self.is_begun else self.others
        self.is_begun = True
        return [*self.search.wanted(), *others]

    def keep(self, wanted: Wanted, done: Done | QuantizationError) -> None:
        """Take what came of a task."""
        if isinstance(done, QuantizationError):
            self.error = self.error or done
        elif isinstance(done.outcome, list):
            self.beside[wanted] = done.outcome
        else:
            self._keep_codebook(wanted, done.outcome, is_warned=done.process == HERE)

    def _keep_codebook(self, wanted: Wanted, book: Codebook, is_warned: bool) -> None:
        if not is_warned:
            require_enough(book.metadata["samples"])
        if self.job.size is not None:
            self.book = book
        elif wanted.method == self.job.method:
            self.search.keep(wanted, book)
        else:
            self.beside[wanted] = [trial_of(book)]

    def result(self, is_interrupted: bool) -> Trained | QuantizationError | None:
        """Return the codebook and the trials, the error, or None before there is a codebook."""
        if self.error is not None:
            return self.error
        if self.job.size is not None:
            return None if self.book is None else (self.book, [])
        tried = list(map(trial_of, self.search.tried))
        if not is_interrupted or not self.search.wanted():
            if len(self.beside) < len(self.others):
                tell_untried()
            beside = [trial for found in self.beside.values() for trial in found]
            return self.search.found[-1], in_order([*tried, *beside])
        try:
            return interrupted(self.search), in_order(tried)
        except KeyboardInterrupt:
            return None
