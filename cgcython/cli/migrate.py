"""Turn float32 embeddings of an earlier system into a store.

SOURCE is a database with a column family of little-endian float32 values per embedder (emb_0 to
emb_12, or --family) under 16-byte UUIDs, or a folder of .npy, .npz or .safetensors files. With
--store the same as SOURCE the store takes the place of the database, which is kept beside it as
PATH.legacy-TIME until --delete-source. A run that was stopped goes on with --resume. A dry run
writes only the codebooks that --train makes. Memories that cannot be read or encoded are listed,
and the rest is migrated; the exit status is then 3.

example:
  cgcython migrate old.db --store memories --models models --dry-run
  cgcython migrate memories --store memories --models models --train
  cgcython migrate arrays --store memories --models models --resume --json
"""

import argparse
import os
import shutil
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from cgcython.base import EmbedderId, Profile
from cgcython.cli import options
from cgcython.cli.cells import loss_cells
from cgcython.cli.failures import BAD_DATA, OK
from cgcython.cli.output import print_json, print_table
from cgcython.cli.progress import progress
from cgcython.cli.streams import say
from cgcython.codecs.base import codec_class
from cgcython.codecs.codebook_file import codebook_path
from cgcython.corpus.legacy_folder import LegacyColumns
from cgcython.corpus.legacy_source import LegacySource, open_legacy
from cgcython.corpus.legacy_training import lacking_codebooks, train_codebook
from cgcython.corpus.writing import new_store
from cgcython.embedders import Codebooks
from cgcython.errors import InvalidInput, RecallLossExceeded, UsageError
from cgcython.evaluation.comparison import Loss
from cgcython.evaluation.losses import LossSamples
from cgcython.fingerprint import DEFAULT_BUDGET_BYTES
from cgcython.router import QuantizationRouter
from cgcython.store import RecordStore
from cgcython.store.migration import (
    InPlace,
    LegacyDatabase,
    MigrationReport,
    migrate,
    require_all_there,
)
from cgcython.store.opening import has_database
from cgcython.store.places import is_address
from cgcython.types import StrPath


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source", metavar="SOURCE", help=f"a {LegacyDatabase.KIND} or a folder of arrays"
    )
    parser.add_argument("--store", required=True, metavar="PATH", help="made when missing")
    options.add_models(parser)
    parser.add_argument(
        "--family",
        action="append",
        default=[],
        type=_family,
        metavar="E1=NAME",
        help="the column family of an embedder, where its name does not say it; may be repeated",
    )
    _add_ways(parser)
    options.add_budget(parser, DEFAULT_BUDGET_BYTES)
    options.add_profile(parser)
    options.add_threads(parser)
    options.add_json(parser)


def _add_ways(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="encode and measure, write nothing")
    parser.add_argument("--resume", action="store_true", help="go on; keep what the store has")
    parser.add_argument("--strict", action="store_true", help="stop at the first bad memory")
    parser.add_argument(
        "--train", action="store_true", help="train the codebooks that --models lacks on SOURCE"
    )
    parser.add_argument(
        "--delete-source",
        action="store_true",
        help="in place only: delete the legacy database once all of it is in the store",
    )
    parser.add_argument(
        "--loss-every",
        type=options.positive,
        default=64,
        metavar="N",
        help="measure the first 1000 memories and every Nth after them (default 64; 1: all)",
    )


def _family(text: str) -> tuple[EmbedderId, str]:
    name, equals, family = text.partition("=")
    if not equals or not family:
        raise argparse.ArgumentTypeError(f"expected E1=NAME, got {text!r}")
    return options.embedder(name), family


class Outcome(NamedTuple):
    """What a migration did: losses by embedder with their number, and where the old data are."""

    report: MigrationReport
    losses: dict[EmbedderId, tuple[Loss, int]]
    ignored: list[str]
    seconds: float
    legacy: Path | None = None


def run(args: argparse.Namespace) -> int:
    if is_address(args.store):
        return _report(args, _migrate(args, args.store))
    if os.path.realpath(args.source) == os.path.realpath(args.store):
        return _in_place(args, InPlace(args.store))
    if args.delete_source:
        raise UsageError("--delete-source is for migrations in place, where SOURCE is --store")
    return _report(args, _migrate(args, Path(args.store)))


def _in_place(args: argparse.Namespace, place: InPlace) -> int:
    if Path(args.source).is_dir() and not place.has_database():
        reason = f"only a {LegacyDatabase.KIND} migrates in place; choose another --store"
        raise UsageError(f"{args.source}: {reason}")
    if place.is_done():
        say(f"cgcython: {args.store} is a store already")
        _delete_legacy(args, place)
        return OK
    with place.locked():
        outcome = _migrate(args, place.building)
        if not args.dry_run:
            outcome = outcome._replace(legacy=place.finish())
    code = _report(args, outcome)
    if code == OK and not args.dry_run:
        _delete_legacy(args, place)
    return code


def _migrate(args: argparse.Namespace, target: StrPath) -> Outcome:
    """Migrate into a store."""
    started = time.perf_counter()
    with ExitStack() as stack:
        store = None
        if has_database(target):
            opened = RecordStore.open(target, profile=args.profile, read_only=args.dry_run)
            store = stack.enter_context(opened)
        profile = Profile.named(args.profile) if store is None else store.profile
        source = stack.enter_context(open_legacy(args.source, profile, dict(args.family)))
        if store is not None and isinstance(source, LegacyColumns):
            source.follow(store)
        if args.strict and source.unknown:
            actual = ", ".join(source.unknown)
            expected = "only those of the profile's embedders, or --family"
            raise InvalidInput(what="families", expected=expected, actual=actual)
        _require_codebooks(args, source, profile, store)
        if store is not None:
            store.use_codebooks(args.models)
        elif not args.dry_run:
            store = stack.enter_context(new_store(target, args.models, profile))
        router = QuantizationRouter(args.models, profile) if store is None else store.router
        report, losses = _run_migration(args, source, router, store)
        ignored = list(source.unknown)
    return Outcome(report, losses, ignored, time.perf_counter() - started)


def _run_migration(
    args: argparse.Namespace,
    source: LegacySource,
    router: QuantizationRouter,
    store: RecordStore | None,
) -> tuple[MigrationReport, dict[EmbedderId, tuple[Loss, int]]]:
    """Migrate an opened source; return the report, and the losses with their number."""
    losses = LossSamples(router, args.loss_every)
    with progress(len(source), "memory", "migrate") as bar:
        report = migrate(
            source,
            router,
            store,
            resume=args.resume,
            strict=args.strict,
            num_threads=args.threads,
            budget_bytes=args.budget,
            dry_run=args.dry_run,
            watch=losses.add,
            progress=bar.advance,
        )
    return report, losses.summary()


def _require_codebooks(
    args: argparse.Namespace, source: LegacySource, profile: Profile, store: RecordStore | None
) -> None:
    """Make sure that each PQ embedder has a codebook, trained where `--train` says so."""
    known = [] if store is None else list(store.router.codebooks)
    lacking = lacking_codebooks(source, profile, known)
    if args.train:
        if args.models is None:
            raise UsageError("--train needs --models, where the codebooks are kept")
        for model_id in lacking:
            if not codebook_path(args.models, model_id.title).exists():
                method = codec_class(profile[model_id].method).codebook_kind
                _train(args, source, model_id, method)
    if lacking:
        Codebooks(args.models, profile).require(lacking)


def _train(
    args: argparse.Namespace, source: LegacySource, model_id: EmbedderId, method: str
) -> None:
    with progress(None, "step", f"train {model_id.short}") as bar:
        codebook = train_codebook(source, model_id, args.threads, bar.at_loss, method)
    path = codebook_path(args.models, model_id.title)
    try:
        codebook.save(path)
    except RecallLossExceeded as error:
        error.add_note(f"(cgcython train {model_id.short} --force keeps a codebook all the same)")
        raise error.about(model_id) from None
    rows = codebook.metadata["samples"]
    say(f"cgcython: trained {path}, {codebook.code_size} bytes, on {rows} embeddings")


def _delete_legacy(args: argparse.Namespace, place: InPlace) -> None:
    """Delete the kept legacy databases where asked to, each once all of it is in the store."""
    for legacy in place.legacy() if args.delete_source else ():
        with (
            RecordStore.open(args.store, read_only=True) as store,
            LegacyDatabase(legacy, store.profile, dict(args.family)) as source,
        ):
            require_all_there(source, store)
        shutil.rmtree(legacy)
        say(f"cgcython: deleted {legacy}")


def _report(args: argparse.Namespace, outcome: Outcome) -> int:
    """Print counts and losses, and on stderr what was left behind; return the exit code."""
    report = outcome.report
    for name in outcome.ignored:
        say(f"cgcython: warning: family {name!r} is no embedder of the profile and was left out")
    for kind, reasons in (("skipped", report.skipped), ("failed", report.failed)):
        for name, reason in reasons.items():
            say(f"cgcython: {kind}: {name}: {reason}")
    if outcome.legacy is not None:
        say(f"cgcython: the legacy database is kept as {outcome.legacy}")
    if args.json:
        print_json(_as_dict(args, outcome))
    else:
        rows = [
            [one.short, samples, *loss_cells(loss)]
            for one, (loss, samples) in outcome.losses.items()
        ]
        if rows:
            print_table(["embedder", "measured", "loss%", "p99%", "max%"], rows)
        print(_summary(args, report, outcome.seconds))
    return BAD_DATA if report.failed else OK


def _as_dict(args: argparse.Namespace, outcome: Outcome) -> dict[str, object]:
    return {
        "dry_run": args.dry_run,
        **asdict(outcome.report),
        "loss": {
            one.short: {**asdict(loss), "samples": samples}
            for one, (loss, samples) in outcome.losses.items()
        },
        "ignored_families": outcome.ignored,
        "legacy": None if outcome.legacy is None else str(outcome.legacy),
        "seconds": outcome.seconds,
    }


def _summary(args: argparse.Namespace, report: MigrationReport, seconds: float) -> str:
    count = max(report.migrated, 1)
    sizes = f"{report.stored_bytes / count:.0f} bytes each, {report.float32_bytes / count:.0f}"
    return (
        f"{report.migrated} memories {'would be ' * args.dry_run}migrated, {sizes} as float32; "
        f"{report.already_there} already there, {len(report.skipped)} skipped, "
        f"{len(report.failed)} failed; {seconds:.1f} s"
    )
