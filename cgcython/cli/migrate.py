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
import shutil
import time
from contextlib import ExitStack, nullcontext
from dataclasses import asdict
from pathlib import Path

from cgcython.base import Profile
from cgcython.cli import options
from cgcython.cli.failures import BAD_DATA, OK
from cgcython.cli.legacy_training import require_codebooks
from cgcython.cli.output import print_json, print_table
from cgcython.cli.progress import progress, say
from cgcython.corpus.legacy_folder import open_folder
from cgcython.errors import InvalidInput, UsageError
from cgcython.evaluation.losses import LossSamples
from cgcython.fingerprint import DEFAULT_BUDGET_BYTES
from cgcython.router import QuantizationRouter
from cgcython.store import RecordStore
from cgcython.store.migration import InPlace, LegacyDatabase, migrate, require_all_there
from cgcython.store.opening import has_database


def add_arguments(parser):
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
    parser.add_argument(
        "--budget",
        type=options.positive,
        default=DEFAULT_BUDGET_BYTES,
        metavar="BYTES",
        help=f"refuse larger memories (default {DEFAULT_BUDGET_BYTES})",
    )
    options.add_profile(parser)
    options.add_threads(parser)
    options.add_json(parser)


def _family(text):
    name, equals, family = text.partition("=")
    if not equals or not family:
        raise argparse.ArgumentTypeError(f"expected E1=NAME, got {text!r}")
    return options.embedder(name), family


def run(args):
    place = InPlace(args.store) if _is_same(args.source, args.store) else None
    if place is None and args.delete_source:
        raise UsageError("--delete-source is for migrations in place, where SOURCE is --store")
    if place is not None and Path(args.source).is_dir() and not place.has_database():
        reason = f"only a {LegacyDatabase.KIND} migrates in place; choose another --store"
        raise UsageError(f"{args.source}: {reason}")
    if place is not None and place.is_done():
        say(f"cgcython: {args.store} is a store already")
        return _deleted(place, args)
    with nullcontext() if place is None else place.locked():
        report, losses, facts = _migrate(
            args, Path(args.store) if place is None else place.building
        )
        if place is not None and not args.dry_run:
            facts["legacy"] = str(place.finish())
    _report(args, report, losses, facts)
    if place is not None and not args.dry_run and args.delete_source and not report.failed:
        _deleted(place, args)
    return BAD_DATA if report.failed else OK


def _is_same(source, store):
    return Path(source).resolve() == Path(store).resolve()


def _migrate(args, target):
    """Return the report, the losses and what else is to be told of a migration into a folder."""
    started = time.perf_counter()
    with ExitStack() as stack:
        there = has_database(target)
        store = _open(args, target) if there else None
        profile = Profile.named(args.profile) if store is None else store.profile
        if store is not None:
            stack.enter_context(store)
        source = stack.enter_context(_open_source(args, profile))
        if args.strict and source.unknown:
            actual = ", ".join(source.unknown)
            expected = "only those of the profile's embedders, or --family"
            raise InvalidInput(what="families", expected=expected, actual=actual)
        known = None if store is None else store.router.codebooks
        require_codebooks(args, source, profile, known)
        if not args.dry_run and store is None:
            store = stack.enter_context(_open(args, target))
        router = QuantizationRouter(args.models, profile) if store is None else store.router
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
        facts = {"ignored_families": list(source.unknown), "legacy": None}
    return report, losses.summary(), facts | {"seconds": time.perf_counter() - started}


def _open(args, target):
    return RecordStore.open(target, args.models, args.profile, read_only=args.dry_run)


def _open_source(args, profile):
    if not Path(args.source).is_dir():
        raise UsageError(f"{args.source}: no such folder; name a database or a folder of arrays")
    if has_database(args.source):
        return LegacyDatabase(args.source, profile, dict(args.family))
    if args.family:
        raise UsageError(f"--family is for a database, and {args.source} is a folder of arrays")
    return open_folder(args.source, profile)


def _deleted(place, args):
    """Delete the kept legacy databases where asked to, each once all of it is in the store."""
    for legacy in place.legacy() if args.delete_source else ():
        with (
            RecordStore.open(args.store, read_only=True) as store,
            LegacyDatabase(legacy, store.profile, dict(args.family)) as source,
        ):
            require_all_there(source, store)
        shutil.rmtree(legacy)
        say(f"cgcython: deleted {legacy}")
    return OK


def _report(args, report, losses, facts):
    """Print the counts and losses, and on stderr what was left behind."""
    for name in facts["ignored_families"]:
        say(f"cgcython: warning: family {name!r} is no embedder of the profile and was left out")
    for kind in ("skipped", "failed"):
        for name, reason in getattr(report, kind).items():
            say(f"cgcython: {kind}: {name}: {reason}")
    if facts["legacy"]:
        say(f"cgcython: the legacy database is kept as {facts['legacy']}")
    if args.json:
        measured = {
            one.short: {**asdict(loss), "samples": samples}
            for one, (loss, samples) in losses.items()
        }
        print_json({"dry_run": args.dry_run, **asdict(report), "loss": measured, **facts})
        return
    rows = [
        [one.short, samples, *(f"{100 * part:.3f}" for part in (loss.mean, loss.p99, loss.max))]
        for one, (loss, samples) in losses.items()
    ]
    if rows:
        print_table(["embedder", "measured", "loss%", "p99%", "max%"], rows)
    print(_summary(args, report, facts["seconds"]))


def _summary(args, report, seconds):
    count = max(report.migrated, 1)
    sizes = f"{report.stored_bytes / count:.0f} bytes each, {report.float32_bytes / count:.0f}"
    return (
        f"{report.migrated} memories {'would be ' * args.dry_run}migrated, {sizes} as float32; "
        f"{report.already_there} already there, {len(report.skipped)} skipped, "
        f"{len(report.failed)} failed; {seconds:.1f} s"
    )
