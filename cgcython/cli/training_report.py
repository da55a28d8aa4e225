"""Tells what training found: tables, sentences, JSON, and the row that a profile needs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cgcython.base import Embedder, QuantizationMethod
from cgcython.cli.cells import percent
from cgcython.cli.output import print_filled, print_table
from cgcython.cli.streams import say
from cgcython.cluster.training_tasks import TrainingJob
from cgcython.codecs.base import codec_class
from cgcython.codecs.codebook_base import Codebook
from cgcython.codecs.size_search import Trial

HEADERS = ("method", "bytes", "loss", "top 10 kept", "Recall@10 drop", "chosen")
COSTS = ("held_out_loss", "held_out_recall10", "recall10_drop")


@dataclass(frozen=True)
class Request:
    """The codebook that is asked for: the embedder's row, how it is trained, where it goes."""

    row: Embedder
    job: TrainingJob
    path: Path

    @property
    def max_cost(self) -> float:
        """The limit of the method."""
        return QuantizationMethod(self.job.method).max_recall_loss()


def better_row(row: Embedder, codebook: Codebook, trials: Sequence[Trial]) -> Embedder | None:
    """Return the row that fits the codebook or, where it saves bytes, another method's.

    None where the profile's row does.
    """
    said = {key: value for key, value in dict(row.settings).items() if key == "metric"}
    limit = codebook.method.max_recall_loss()
    fitting = [one for one in trials if one.cost <= limit]
    best = min(fitting, key=lambda one: (one.code_size, one.cost), default=None)
    fits = codebook.cost is None or codebook.cost <= limit
    is_best = fits and (best is None or codebook.code_size <= best.code_size)
    if best is not None and not is_best and best.method != codebook.method.value:
        method = QuantizationMethod(best.method)
        return replace(row, method=method, settings={**said, **best.settings})
    if codec_class(row.method).codebook_kind == codebook.method.value:
        return None
    settings = {**said, "bytes": codebook.code_size}
    return replace(row, method=codebook.method, settings=settings)


def remedy(job: TrainingJob, better: Embedder | None) -> str:
    """Return what may be done about a codebook that loses too much, beside forcing it."""
    if better is not None and better.method.value != job.method:
        return f"with this row in the profile: {better.to_toml()}"
    if job.method == "rq8":
        return "with --method pq8 and more bytes"
    return "with more of --input" if job.size is None else "with --bytes of a larger size"


def tell_trials(trials: Sequence[Trial], codebook: Codebook) -> None:
    """Print the table of what the sizes of methods cost."""
    print_table(HEADERS, [_cells(trial, codebook) for trial in trials], keys=2)


def warn_forced(codebook: Codebook) -> None:
    """Warn of a codebook that was kept over its limit."""
    limit = codebook.method.max_recall_loss()
    if codebook.cost is not None and codebook.cost > limit:
        what = "of Recall@10" if "recall10_drop" in codebook.metadata else "of cosine"
        say(
            f"cgcython: warning: forced: embeddings lose {codebook.cost:.2%} {what}, "
            f"the limit is {limit:.0%}"
        )


def report(request: Request, codebook: Codebook, row: Embedder | None) -> None:
    """Print what was written, and the row that the profile then needs."""
    facts = dict(codebook.metadata)
    given = facts["samples_given"]
    drawn = f" (drawn from {given})" if facts["samples"] < given else ""
    print_filled(
        f"{request.job.embedder}: {codebook.code_size} bytes per embedding "
        f"({4 * codebook.embedding_dim} as float32), {codebook.method}, "
        f"loss {facts['held_out_loss']:.2%} on {facts['held_out_samples']} held out of "
        f"{facts['samples']}{drawn}; wrote {request.path}"
    )
    if row is not None:
        _tell_row(row, codebook)


def _tell_row(row: Embedder, codebook: Codebook) -> None:
    """Print the row of a profile: the codebook's, or that of a method of fewer bytes."""
    if row.method is codebook.method:
        print_filled("The profile keeps it otherwise; write this row into it:")
    else:
        needs = codec_class(row.method).needs_codebook
        then = ", and train again with --method " + row.method.value if needs else ""
        print_filled(
            f"{row.method} needs fewer bytes for the same limit. To keep the embedder so, write "
            f"this row into the profile{then}:"
        )
    print(row.to_toml())


def as_json(
    request: Request, codebook: Codebook, trials: Sequence[Trial], row: Embedder | None
) -> dict[str, object]:
    """Return what was written, as JSON has it."""
    about: dict[str, object] = {
        "path": str(request.path),
        "codebook_id": codebook.codebook_id,
        "method": codebook.method.value,
        "bytes": codebook.code_size,
        "width": codebook.width,
        **codebook.metadata,
    }
    if trials:
        about["trials"] = [_trial_as_json(trial) for trial in trials]
    return about if row is None else {**about, "profile_row": row.to_toml()}


def _trial_as_json(trial: Trial) -> dict[str, object]:
    found = {"method": trial.method, "bytes": trial.code_size}
    if trial.method == "pq8":
        found["num_subvectors"] = trial.code_size  # as earlier releases call it
    costs = trial._asdict()
    return found | {name: costs[name] for name in COSTS}


def _cells(trial: Trial, codebook: Codebook) -> list[object]:
    is_chosen = (trial.method, trial.code_size) == (codebook.method.value, codebook.code_size)
    costs = trial.held_out_loss, trial.held_out_recall10, trial.recall10_drop
    return [trial.method, trial.code_size, *map(percent, costs), "yes" if is_chosen else None]
