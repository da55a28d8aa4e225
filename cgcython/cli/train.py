"""Learn the codebooks of embedders from example embeddings.

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

Of several embedders, E1,E4 say, one after the other gets its codebook; one that is refused costs no
other. With --scheduler all their sizes and methods are tried side by side: the same codebooks.

example:
  cgcython train E1 --input train.npy --models models
  cgcython train E1 --input train.npy --models models --method rq8 --bytes 8 --force
  cgcython train E1 --input a.npy --models models --judged E1=b.npy --queries E1=q.npy --qrels r.npy
  cgcython train E1,E4 --input train.npz --models models --scheduler processes
  cgcython train Code --input E7=code.npz:vectors --models models --profile mine.toml
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

from cgcython.base import Embedder, EmbedderId, Profile, QuantizationMethod
from cgcython.cli import options, plots
from cgcython.cli.failures import INTERRUPTED
from cgcython.cli.output import print_json
from cgcython.cli.progress import progress
from cgcython.cli.scheduling import Units, runner_of
from cgcython.cli.streams import say
from cgcython.cli.training_report import (
    Request,
    as_json,
    better_row,
    remedy,
    report,
    tell_trials,
    warn_forced,
)
from cgcython.cluster.training import train_all
from cgcython.cluster.training_tasks import JudgedInputs, TrainingJob, opened, train_here
from cgcython.codecs.base import codec_class
from cgcython.codecs.codebook_base import Codebook
from cgcython.codecs.codebook_file import codebook_path
from cgcython.codecs.size_search import Trial
from cgcython.codecs.sizes import TRAINED, sizes_of
from cgcython.codecs.training import MAX_SAMPLES, SUBVECTORS
from cgcython.corpus.specs import Spec, absolute, spec_of
from cgcython.errors import QuantizationError, RecallLossExceeded, UsageError
from cgcython.files import require_place

Found: TypeAlias = tuple[Codebook, list[Trial]]

AUTO = "auto"
ROTATIONS = {"opq": "opq", "pca": "pca", "none": None}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "embedders",
        metavar="EMBEDDER[,...]",
        type=options.embedders,
        help="E1, Code, ...; of several, each gets a codebook of its own",
    )
    options.add_inputs(parser, "--input", required=True, help="example embeddings")
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
    options.add_scheduler(parser, unit=None)
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
    requests = [_request(args, profile, one) for one in dict.fromkeys(args.embedders)]
    if args.plot:
        _require_plot(args, requests)
    units, told, missing = Units("embedder", "skip"), [], []
    for request, found in _trained(args, requests):
        if found is None:
            missing.append(request.job.embedder)
            continue
        try:
            told.append(_kept(args, request, found))
        except QuantizationError as error:
            if len(requests) == 1:
                raise
            units.failed[request.job.embedder] = error
    if args.json and told:
        print_json(told if len(requests) > 1 else told[0])
    code = units.exit_code()
    if missing:
        say(f"cgcython: interrupted before there was a codebook of {', '.join(missing)}")
    return INTERRUPTED if missing else code


def _request(args: argparse.Namespace, profile: Profile, embedder: EmbedderId) -> Request:
    """Return what is asked for one embedder; raises UsageError for what cannot be."""
    row = profile.row(embedder)
    if not codec_class(row.method).needs_codebook:
        raise UsageError(
            f"{embedder.short} is kept as {row.method}, which needs no codebook: encode at once"
        )
    kept_as = codec_class(row.method).codebook_kind
    method = args.method or kept_as
    if args.rotation and method != QuantizationMethod.PQ8.value:
        raise UsageError(f"--rotation is of pq8: leave it out to train {method}")
    size = _chosen(row, args.bytes, method, kept_as)
    path = codebook_path(args.models, embedder.title)
    require_place(path)
    job = TrainingJob(
        embedder.short,
        _rows_of(args, embedder),
        profile.to_toml(),
        method,
        None if size == AUTO else int(size),
        args.seed,
        ROTATIONS[args.rotation or "opq"],
        args.sample,
        args.threads,
        _judged(args),
    )
    return Request(row, job, path)


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


def _rows_of(args: argparse.Namespace, embedder: EmbedderId) -> str:
    """Return the input that has the rows of an embedder."""
    if len(args.input) == len(args.embedders) == 1:
        return spec_of(embedder.short, args.input[0])
    targets = [Spec.parse(text).target for text in args.input]
    named = [text for text, target in zip(args.input, targets) if target == embedder]
    found = named or [text for text, target in zip(args.input, targets) if target is None]
    if len(found) != 1:
        how = f"name one, such as {embedder.short}=train.npy"
        raise UsageError(f"--input has {len(found)} files that may be of {embedder.short}: {how}")
    return spec_of(embedder.short, found[0])


def _require_plot(args: argparse.Namespace, requests: Sequence[Request]) -> None:
    if len(requests) > 1:
        raise UsageError("--plot draws the sizes of one embedder: train them one by one")
    if requests[0].job.size is not None:
        raise UsageError("--plot draws the sizes that --bytes auto tries")
    plots.require("--plot", args.plot)


def _judged(args: argparse.Namespace) -> JudgedInputs | None:
    """Return the judged queries that measure codebooks, or None without any."""
    given = [args.judged, args.queries, args.qrels]
    if not any(given):
        return None
    if not all(given):
        raise UsageError("--judged, --queries and --qrels belong together")
    if len(args.embedders) > 1:
        raise UsageError("--judged measures one embedder: train them one by one")
    return JudgedInputs(tuple(args.judged), tuple(args.queries), args.qrels)


def _trained(
    args: argparse.Namespace, requests: Sequence[Request]
) -> Iterator[tuple[Request, Found | QuantizationError | None]]:
    """Yield each request with its codebook and trials, its error, or None after Ctrl-C."""
    with runner_of(args) as runner:
        if args.scheduler is None:
            yield from _one_by_one(requests)
            return
        threads = max(1, args.threads // runner.num_workers)
        jobs = [_for_workers(request.job, threads) for request in requests]
        what = f"train {', '.join(job.embedder for job in jobs)}"
        with progress(None, "codebook", what) as bar:
            limits = [request.max_cost for request in requests]
            found = train_all(jobs, limits, runner.run, bar.at)
    if found == [None]:
        raise KeyboardInterrupt
    yield from zip(requests, found)


def _one_by_one(
    requests: Sequence[Request],
) -> Iterator[tuple[Request, Found | QuantizationError | None]]:
    """Train in this process; Ctrl-C ends it with the best codebook of the one at work."""
    for request in requests[1:]:
        with opened(request.job):  # what cannot be opened is told before the first is trained
            pass
    is_interrupted = False
    for request in requests:
        if is_interrupted:
            yield request, None
            continue
        try:
            with progress(None, "step", f"train {request.job.embedder}") as bar:
                found = train_here(request.job, request.max_cost, bar.at_loss)
        except QuantizationError as error:
            yield request, error
        else:
            is_interrupted = bool(found[0].metadata.get("interrupted"))
            yield request, found


def _for_workers(job: TrainingJob, threads: int) -> TrainingJob:
    """Return a job whose inputs mean the same in any working directory."""
    judged = job.judged
    if judged is not None:
        corpus, queries = (tuple(map(absolute, some)) for some in judged[:2])
        judged = JudgedInputs(corpus, queries, absolute(judged.qrels))
    return replace(job, rows=absolute(job.rows), judged=judged, num_threads=threads)


def _kept(
    args: argparse.Namespace, request: Request, found: Found | QuantizationError
) -> dict[str, object]:
    """Write a codebook and tell what it costs. Raises the error of training, or of its limit."""
    if isinstance(found, QuantizationError):
        raise found
    codebook, trials = found
    better = better_row(request.row, codebook, trials)
    if trials and not args.json:
        tell_trials(trials, codebook)
    try:
        codebook.save(request.path, force=args.force)
    except RecallLossExceeded as error:
        error.model_id = request.row.model_id
        error.add_note(f"({remedy(request.job, better)}, or --force)")
        raise
    warn_forced(codebook)
    if not args.json:
        report(request, codebook, better)
    if args.plot:
        plots.draw_sizes(trials, codebook, request.max_cost, args.plot)
    return as_json(request, codebook, trials, better)
