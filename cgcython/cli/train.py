"""Learn the codebook of an embedder from example embeddings.

The examples must not be the embeddings that will be encoded, only of their kind; 9,984 or more
make a codebook worth trusting. More bytes per embedding lose less; `--bytes auto` tries all sizes
quickly, prints what each costs, and takes the fewest bytes under the limit of 5 %: of cosine on
examples held out or, with judged queries, of Recall@10. Fewer bytes are refused unless forced. The
table has all methods that the embedder could be kept by; where another one needs fewer bytes than
the profile's, the row to write into the profile is printed.

--method rq8 makes additive codes: each byte names a vector, and an embedding is the sum of them.
At 8 to 24 bytes they keep more neighbours than product quantization (pq8) and decode and search as
fast; encoding takes some twenty times as long, and training several. From 32 bytes on take pq8.

Only the rows that are drawn (--sample) are read, so the file may be larger than memory. Ctrl-C ends
the training with the best codebook so far; pressed again, or before there is one, with none.

example:
  cgcython train E1 --input train.npy --models models
  cgcython train E1 --input train.npy --models models --method rq8 --bytes 8 --force
  cgcython train E1 --input a.npy --models models --judged E1=b.npy --queries E1=q.npy --qrels r.npy
  cgcython train Code --input E7=code.npz:vectors --models models --profile mine.toml
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from cgcython.base import Embedder, Profile, QuantizationMethod
from cgcython.cli import options, plots
from cgcython.cli.cells import percent
from cgcython.cli.failures import OK
from cgcython.cli.output import print_filled, print_json, print_table
from cgcython.cli.progress import progress
from cgcython.cli.streams import say
from cgcython.codecs.base import codec_class
from cgcython.codecs.codebook_base import Codebook
from cgcython.codecs.codebook_file import codebook_path
from cgcython.codecs.sizes import METHODS, TRAINED, Trial, sizes_of, train, train_smallest
from cgcython.codecs.training import MAX_SAMPLES, SUBVECTORS
from cgcython.corpus.opening import open_corpus
from cgcython.corpus.specs import spec_of
from cgcython.errors import RecallLossExceeded, UsageError
from cgcython.files import require_place
from cgcython.inputs.columns import DenseColumn
from cgcython.narrow_floats import Rows

Judge: TypeAlias = Callable[[Any], dict[str, Any]]

AUTO = "auto"
HEADERS = ("method", "bytes", "loss", "top 10 kept", "Recall@10 drop", "chosen")
COSTS = ("held_out_loss", "held_out_recall10", "recall10_drop")
ROTATIONS = {"opq": "opq", "pca": "pca", "none": None}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("embedder", metavar="EMBEDDER", type=options.embedder, help="E1, Code, ...")
    parser.add_argument("--input", required=True, metavar="SPEC", help="example embeddings")
    parser.add_argument("--models", required=True, metavar="DIR", help="where codebooks live")
    parser.add_argument(
        "--method", choices=TRAINED, help="how codes are made; default: as the profile says"
    )
    parser.add_argument(
        "--bytes",
        type=_size,
        metavar="N",
        help=f"per embedding: auto, {', '.join(map(str, SUBVECTORS))} (rq8: 8, 16, 24); "
        "default: those of the profile, auto where it says none",
    )
    options.add_inputs(parser, "--judged", help="with --queries and --qrels: a judged corpus")
    options.add_inputs(parser, "--queries", help="its queries")
    options.add_qrels(parser)
    parser.add_argument(
        "--plot", metavar="FILE.png|.svg", help="draw what the sizes of --bytes auto cost"
    )
    parser.add_argument("--rotation", choices=ROTATIONS, help="of pq8 alone (default opq)")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same codebook (default 0)")
    parser.add_argument(
        "--sample",
        type=options.positive,
        metavar="N",
        help=f"train on N rows only (default {MAX_SAMPLES})",
    )
    parser.add_argument("--force", action="store_true", help="keep a codebook over its limit")
    options.add_profile(parser)
    options.add_threads(parser)
    options.add_json(parser)


def _size(text: str) -> int | str:
    if text == AUTO:
        return AUTO
    if text.isdecimal() and int(text) in SUBVECTORS:
        return int(text)
    raise argparse.ArgumentTypeError(
        f"expected auto, {', '.join(map(str, SUBVECTORS))}, got {text!r}"
    )


def run(args: argparse.Namespace) -> int:
    profile = Profile.named(args.profile)
    row = profile.row(args.embedder)
    if not codec_class(row.method).needs_codebook:
        method = row.method
        raise UsageError(
            f"{args.embedder.short} is kept as {method}, which needs no codebook: encode at once"
        )
    kept_as = codec_class(row.method).codebook_kind
    args.method = args.method or kept_as
    if args.rotation and args.method != QuantizationMethod.PQ8.value:
        raise UsageError(f"--rotation is of pq8: leave it out to train {args.method}")
    args.bytes = _chosen(row, args.bytes, args.method, kept_as)
    if args.plot:
        _require_plot(args)
    path = codebook_path(args.models, args.embedder.title)
    require_place(path)
    codebook, trials = _train(args, _samples(args, profile), _judge(args, profile))
    better = _better_row(row, codebook, trials)
    if trials and not args.json:
        print_table(HEADERS, [_cells(trial, codebook) for trial in trials], keys=2)
    try:
        codebook.save(path, force=args.force)
    except RecallLossExceeded as error:
        error.model_id = args.embedder
        error.add_note(f"({_remedy(args, better)}, or --force)")
        raise
    _report(args, codebook, trials, path, better)
    if args.plot:
        limit = codebook.method.max_recall_loss()
        plots.draw_sizes(trials, codebook, limit, args.plot)
    return OK


def _chosen(row: Embedder, given: int | str | None, method: str, kept_as: str) -> int | str:
    """Return the size to train: the one given, which must be the profile's, or else the profile's.

    Raises UsageError.
    """
    size = row.setting("bytes") if method == kept_as else None
    if given is not None and size not in (None, given):
        raise UsageError(
            f"the profile has {size} bytes for {row.model_id.short}, not {given}: change its row"
        )
    chosen: int | str = given or size or AUTO
    if method == "rq8" and chosen != AUTO and chosen not in sizes_of(row.dimension, method):
        known = ", ".join(map(str, sizes_of(row.dimension, method)))
        raise UsageError(
            f"--method rq8 has {known} bytes, not {chosen}; take one of these, or --method pq8"
        )
    return chosen


def _better_row(row: Embedder, codebook: Codebook, trials: Sequence[Trial]) -> Embedder | None:
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


def _remedy(args: argparse.Namespace, better: Embedder | None) -> str:
    """Return what may be done about a codebook that loses too much, beside forcing it."""
    if better is not None and better.method.value != args.method:
        return f"with this row in the profile: {better.to_toml()}"
    if args.method == "rq8":
        return "with --method pq8 and more bytes"
    return "with more of --input" if args.bytes == AUTO else "with --bytes of a larger size"


def _require_plot(args: argparse.Namespace) -> None:
    if args.bytes != AUTO:
        raise UsageError("--plot draws the sizes that --bytes auto tries")
    plots.require("--plot", args.plot)


def _judge(args: argparse.Namespace, profile: Profile) -> Judge | None:
    """Return what measures a codebook on judged queries, or None without any."""
    given = [args.judged, args.queries, args.qrels]
    if not any(given):
        return None
    if not all(given):
        raise UsageError("--judged, --queries and --qrels belong together")
    from cgcython.cli.judging import judge_of

    return judge_of(args, profile)


def _samples(args: argparse.Namespace, profile: Profile) -> Rows:
    corpus = open_corpus(spec_of(args.embedder.short, args.input), profile)
    column = corpus[args.embedder].embeddings if list(corpus) == [args.embedder] else None
    if not isinstance(column, DenseColumn):
        raise UsageError(f"--input {args.input} is not of {args.embedder.short}")
    return column.values


def _train(
    args: argparse.Namespace, rows: Rows, judge: Judge | None
) -> tuple[Codebook, list[Trial]]:
    """Return the codebook and the trials of all sizes, none where the size was given."""
    with progress(None, "step", f"train {args.embedder.short}") as bar:
        rotation = ROTATIONS[args.rotation or "opq"]
        shared = {
            "sample": args.sample,
            "num_threads": args.threads,
            "progress": bar.at_loss,
            "model": args.embedder.title,
        }
        if args.bytes == AUTO:
            limit = QuantizationMethod(args.method).max_recall_loss()
            shared |= {"method": args.method, "compared": METHODS}
            return train_smallest(
                rows, limit, judge=judge, seed=args.seed, rotation=rotation, **shared
            )
        codebook = train(args.method, rows, args.bytes, args.seed, rotation, **shared)
    return codebook.with_facts(judge(codebook) if judge else {}), []


def _report(
    args: argparse.Namespace,
    codebook: Codebook,
    trials: Sequence[Trial],
    path: Path,
    row: Embedder | None,
) -> None:
    facts = dict(codebook.metadata)
    loss, limit = facts["held_out_loss"], codebook.method.max_recall_loss()
    if codebook.cost is not None and codebook.cost > limit:
        what = "of Recall@10" if "recall10_drop" in facts else "of cosine"
        say(
            f"cgcython: warning: forced: embeddings lose {codebook.cost:.2%} {what}, "
            f"the limit is {limit:.0%}"
        )
    if args.json:
        print_json({"path": str(path), **_as_json(codebook, trials, row)})
        return
    given = facts["samples_given"]
    drawn = f" (drawn from {given})" if facts["samples"] < given else ""
    print_filled(
        f"{args.embedder.short}: {codebook.code_size} bytes per embedding "
        f"({4 * codebook.embedding_dim} as float32), {codebook.method}, loss {loss:.2%} on "
        f"{facts['held_out_samples']} held out of {facts['samples']}{drawn}; wrote {path}"
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


def _as_json(
    codebook: Codebook, trials: Sequence[Trial], row: Embedder | None
) -> dict[str, object]:
    about: dict[str, object] = {
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
