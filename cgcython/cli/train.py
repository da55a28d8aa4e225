"""Learn the codebook of a PQ embedder from example embeddings.

The examples must not be the embeddings that will be encoded, only of their kind; 9,984 or more
make a codebook worth trusting. More bytes per embedding lose less; `--bytes auto` tries all sizes
quickly, prints what each costs, and takes the fewest bytes under the limit of 5 %: of cosine on
examples held out or, with judged queries, of Recall@10. Fewer bytes are refused unless forced.

Only the rows that are drawn (--sample) are read, so the file may be larger than memory. Ctrl-C ends
the training with the best codebook so far; pressed again, or before there is one, with none.

example:
  cgcython train E1 --input train.npy --models models
  cgcython train E1 --input a.npy --models models --judged E1=b.npy --queries E1=q.npy --qrels r.npy
  cgcython train Code --input E7=code.npz:vectors --models models --profile mine.toml
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from cgcython.base import Embedder, Profile
from cgcython.cli import options, plots
from cgcython.cli.cells import percent
from cgcython.cli.failures import OK
from cgcython.cli.output import print_filled, print_json, print_table
from cgcython.cli.progress import progress
from cgcython.cli.streams import say
from cgcython.codecs.base import codec_class
from cgcython.codecs.codebook import PQ8Codebook
from cgcython.codecs.codebook_file import codebook_path
from cgcython.codecs.sizes import Trial, train_smallest
from cgcython.codecs.training import MAX_SAMPLES, SUBVECTORS
from cgcython.corpus.opening import open_corpus
from cgcython.errors import RecallLossExceeded, UsageError
from cgcython.files import require_place
from cgcython.inputs.columns import DenseColumn
from cgcython.narrow_floats import Rows

Judge: TypeAlias = Callable[[PQ8Codebook], dict[str, Any]]

AUTO = "auto"
HEADERS = ("bytes", "loss", "top 10 kept", "Recall@10 drop", "chosen")
ROTATIONS = {"opq": "opq", "pca": "pca", "none": None}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("embedder", metavar="EMBEDDER", type=options.embedder, help="E1, Code, ...")
    parser.add_argument("--input", required=True, metavar="SPEC", help="example embeddings")
    parser.add_argument("--models", required=True, metavar="DIR", help="where codebooks live")
    parser.add_argument(
        "--bytes",
        type=_size,
        metavar="N",
        help=f"per embedding: auto, {', '.join(map(str, SUBVECTORS))}; default: those of the "
        "profile, auto where it says none",
    )
    options.add_inputs(parser, "--judged", help="with --queries and --qrels: a judged corpus")
    options.add_inputs(parser, "--queries", help="its queries")
    options.add_qrels(parser)
    parser.add_argument(
        "--plot", metavar="FILE.png|.svg", help="draw what the sizes of --bytes auto cost"
    )
    parser.add_argument(
        "--rotation", choices=ROTATIONS, default="opq", help="before cutting (default opq)"
    )
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
    args.bytes = _chosen(row, args.bytes)
    if not codec_class(row.method).needs_codebook:
        method = row.method
        raise UsageError(f"{args.embedder.short} is kept as {method}, which needs no codebook")
    if args.plot:
        _require_plot(args)
    path = codebook_path(args.models, args.embedder.title)
    require_place(path)
    judge = _judge(args, profile)
    codebook, trials = _train(args, _samples(args, profile), judge)
    try:
        codebook.save(path, force=args.force)
    except RecallLossExceeded as error:
        error.model_id = args.embedder
        error.add_note("(with --bytes of a larger size, or --force)")
        raise
    _report(args, codebook, trials, path)
    if args.plot:
        limit = codebook.method.max_recall_loss()
        plots.draw_sizes(trials, codebook.num_subvectors, limit, args.plot)
    return OK


def _chosen(row: Embedder, given: int | str | None) -> int | str:
    """Return the size to train: the one given, which must be the profile's, or else the profile's.

    Raises UsageError.
    """
    size = row.setting("bytes")
    if given is not None and size not in (None, given):
        raise UsageError(f"the profile has {size} bytes for {row.model_id.short}, not {given}")
    return given or size or AUTO


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
    spec = args.input if "=" in args.input else f"{args.embedder.short}={args.input}"
    corpus = open_corpus(spec, profile)
    column = corpus[args.embedder].embeddings if list(corpus) == [args.embedder] else None
    if not isinstance(column, DenseColumn):
        raise UsageError(f"--input {args.input} is not of {args.embedder.short}")
    return column.values


def _train(
    args: argparse.Namespace, rows: Rows, judge: Judge | None
) -> tuple[PQ8Codebook, list[Trial]]:
    """Return the codebook and the trials of all sizes, none where the size was given."""
    with progress(None, "step", f"train {args.embedder.short}") as bar:
        shared = {
            "seed": args.seed,
            "rotation": ROTATIONS[args.rotation],
            "sample": args.sample,
            "num_threads": args.threads,
            "progress": bar.at_loss,
            "model": args.embedder.title,
        }
        if args.bytes == AUTO:
            return train_smallest(rows, PQ8Codebook.method.max_recall_loss(), judge=judge, **shared)
        codebook = PQ8Codebook.train(rows, args.bytes, **shared)
    return codebook.with_facts(judge(codebook) if judge else {}), []


def _report(
    args: argparse.Namespace, codebook: PQ8Codebook, trials: Sequence[Trial], path: Path
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
        about = {"codebook_id": codebook.codebook_id, "bytes": codebook.num_subvectors}
        tried = {"trials": [trial._asdict() for trial in trials]} if trials else {}
        print_json({"path": str(path), **about, "width": codebook.width, **facts, **tried})
        return
    if trials:
        print_table(HEADERS, [_cells(trial, codebook) for trial in trials])
    few = facts["samples"] < facts["samples_given"]
    drawn = f" (drawn from {facts['samples_given']})" if few else ""
    print_filled(
        f"{args.embedder.short}: {codebook.num_subvectors} bytes per embedding "
        f"({4 * codebook.embedding_dim} as float32), loss {loss:.2%} on "
        f"{facts['held_out_samples']} held out of {facts['samples']}{drawn}; wrote {path}"
    )


def _cells(trial: Trial, codebook: PQ8Codebook) -> list[object]:
    size, *costs = trial
    return [size, *map(percent, costs), "yes" if size == codebook.num_subvectors else None]
