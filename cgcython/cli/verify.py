"""Read and check every record of a store, or a folder of shards against its manifest.

Checks frames, checksums, codebooks and that nothing is missing or left over. A damaged store
exits with 5 and names the records; the others stay readable. --repair writes what is good into a
new store, which takes the place of the damaged one, and names what was lost. A folder of shards
that is not whole exits with 5, too, and names the files that are missing, damaged, others or too
many, each with the remedy.

example:
  cgcython verify memories
  cgcython verify memories --repair --dry-run
  cgcython verify shards --json
"""

import argparse
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from cgcython.cli import options
from cgcython.cli.failures import OK, STORE
from cgcython.cli.output import print_json
from cgcython.cli.progress import Silence, progress
from cgcython.cli.streams import say
from cgcython.corpus.reading import ShardReader, StoreReader, open_reader
from cgcython.errors import FileUnavailable, StorageCorruption, UsageError
from cgcython.store import RepairReport, repair
from cgcython.store.ids import StoredId, spelled
from cgcython.store.places import is_address
from cgcython.store.shard_checking import check_shards
from cgcython.store.shard_folder import has_shards
from cgcython.store.shard_manifest import read_manifest

Checked: TypeAlias = tuple[dict[str, int], dict[str, str]]  # counts, and what is wrong by name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="STORE|SHARDS", help="what encode wrote")
    group = parser.add_argument_group("repair of a store")
    group.add_argument(
        "--repair",
        action="store_true",
        help="keep what is good in a new store; the damaged one stays as STORE.damaged-TIME",
    )
    group.add_argument("--out", metavar="NEW", help="write the new store here, move nothing")
    group.add_argument("--dry-run", action="store_true", help="only say what would be lost")
    group.add_argument(
        "--keep-parts", action="store_true", help="keep the sound embedders of damaged records too"
    )
    group.add_argument("--profile", help="that of the store, where it has lost its own")
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    if args.repair:
        return _repair(args)
    if args.out or args.dry_run or args.keep_parts or args.profile:
        raise UsageError("--out, --dry-run, --keep-parts and --profile belong to --repair")
    counts, problems = _checked(args.source)
    if args.json:
        print_json({"ok": not problems, **counts, "damaged": problems})
    elif not problems:
        print(", ".join(f"{n} {what.replace('_', ' ')}" for what, n in counts.items()) + ": sound")
    for name, reason in problems.items():
        say(f"cgcython: error: {name}: {reason}")
    return STORE if problems else OK


def _checked(path: str) -> Checked:
    if not is_address(path) and has_shards(path):
        return _check_shards(path)
    with open_reader(path) as reader, progress(_count(reader), "memory", "verify") as bar:
        if isinstance(reader, StoreReader):
            return _check_store(reader, bar)
        raise UsageError(f"{path}: neither a store nor a folder of shards")


def _count(reader: StoreReader | ShardReader) -> int | None:
    try:
        return len(reader)
    except StorageCorruption:  # the check says where
        return None


def _check_store(reader: StoreReader, bar: Silence) -> Checked:
    report = reader.store.check(bar.advance)
    counts = {
        "records": report.records,
        "sections": report.sections,
        "stored_bytes": report.stored_bytes,
    }
    return counts, {one: ", ".join(reasons) for one, reasons in report.named.items()}


def _check_shards(folder: str) -> Checked:
    with progress(_told_memories(folder), "memory", "verify") as bar:
        report = check_shards(folder, bar.advance)
    names = "shards", "records", "stored_bytes"
    return {name: getattr(report, name) for name in names}, report.problems


def _told_memories(folder: str) -> int | None:
    """Return how many memories a folder of shards should have, None where it does not tell."""
    try:
        manifest = read_manifest(folder)
    except (StorageCorruption, FileUnavailable):  # the check says where
        return None
    return None if manifest is None else manifest.memories


def _repair(args: argparse.Namespace) -> int:
    if not is_address(args.source) and has_shards(args.source):
        raise UsageError("shards cannot be repaired; encode the damaged ones again")
    with progress(None, "memory", "repair") as bar:
        report = repair(
            args.source,
            args.out,
            keep_parts=args.keep_parts,
            dry_run=args.dry_run,
            profile=args.profile,
            progress=bar.advance,
        )
    lost, partial = _named(report.lost), _named(report.partial)
    if args.json:
        print_json(_as_dict(report, lost, partial))
    else:
        print(f"{report.records} whole records, {len(partial)} in part, {len(lost)} lost")
    for name, reason in {**partial, **lost}.items():
        say(f"cgcython: {'lost' if name in lost else 'in part'}: {name}: {reason}")
    for loss in report.losses:
        say(f"cgcython: lost: {loss}")
    say(f"cgcython: {_outcome(args, report)}")
    return OK if report.ok else STORE


def _named(reasons: Mapping[StoredId, Sequence[str]]) -> dict[str, str]:
    return {spelled(one): ", ".join(some) for one, some in reasons.items()}


def _as_dict(
    report: RepairReport, lost: Mapping[str, str], partial: Mapping[str, str]
) -> dict[str, object]:
    return {
        "ok": report.ok,
        "records": report.records,
        "lost": lost,
        "partial": partial,
        "losses": report.losses,
        "path": report.path and str(report.path),
        "damaged": report.damaged and str(report.damaged),
    }


def _outcome(args: argparse.Namespace, report: RepairReport) -> str:
    if report.path is None:
        return "nothing was written" if args.dry_run else "nothing needs repair"
    if report.damaged is None:
        return f"the new store is {report.path}; {args.source} is as it was"
    return f"repaired {report.path}; the damaged store is {report.damaged}: delete it when you wish"
