"""Read and check every record of a store, or every array of shards.

Checks frames, checksums, codebooks and that nothing is missing or left over. A damaged store
exits with 5 and names the records; the others stay readable. --repair writes what is good into a
new store, which takes the place of the damaged one, and names what was lost.

example:
  cgcython verify memories
  cgcython verify memories --repair --dry-run
  cgcython verify shards --json
"""

from cgcython.cli import options
from cgcython.cli.failures import OK, STORE
from cgcython.cli.output import print_json
from cgcython.cli.progress import progress, say
from cgcython.corpus.reading import ShardReader, open_reader
from cgcython.errors import StorageCorruption, UsageError
from cgcython.store import repair, shards


def add_arguments(parser):
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


def run(args):
    if args.repair:
        return _repair(args)
    if args.out or args.dry_run or args.keep_parts or args.profile:
        raise UsageError("--out, --dry-run, --keep-parts and --profile belong to --repair")
    with open_reader(args.source) as source, progress(_count(source), "memory", "verify") as bar:
        check = _check_shards if isinstance(source, ShardReader) else _check_store
        counts, problems = check(source, bar)
    if args.json:
        print_json({"ok": not problems, **counts, "damaged": problems})
    elif not problems:
        print(", ".join(f"{n} {what.replace('_', ' ')}" for what, n in counts.items()) + ": sound")
    for name, reason in problems.items():
        say(f"cgcython: error: {name}: {reason}")
    return STORE if problems else OK


def _count(source):
    try:
        return len(source)
    except StorageCorruption:  # the check says where
        return None


def _check_store(source, bar):
    report = source.store.check(bar.advance)
    counts = {
        "records": report.records,
        "sections": report.sections,
        "stored_bytes": report.stored_bytes,
    }
    return counts, {str(one): ", ".join(reasons) for one, reasons in report.problems.items()}


def _check_shards(source, bar):
    counts, problems = {"shards": 0, "records": 0, "stored_bytes": 0}, {}
    for path in source.paths:
        try:
            shard = shards.read_shard(path)
        except StorageCorruption as error:
            problems[str(path)] = error.reason
            continue
        bar.advance(len(shard.ids))
        counts["shards"] += 1
        counts["records"] += len(shard.ids)
        counts["stored_bytes"] += sum(part.batch.nbytes for part in shard.parts.values())
    return counts, problems


def _repair(args):
    if shards.shard_paths(args.source):
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
        print_json(
            {
                "ok": report.ok,
                "records": report.records,
                "lost": lost,
                "partial": partial,
                "losses": report.losses,
                "path": report.path and str(report.path),
                "damaged": report.damaged and str(report.damaged),
            }
        )
    else:
        print(f"{report.records} whole records, {len(partial)} in part, {len(lost)} lost")
    for name, reason in {**partial, **lost}.items():
        say(f"cgcython: {'lost' if name in lost else 'in part'}: {name}: {reason}")
    for loss in report.losses:
        say(f"cgcython: lost: {loss}")
    say(f"cgcython: {_outcome(args, report)}")
    return OK if report.ok else STORE


def _named(reasons):
    return {str(one): ", ".join(some) for one, some in reasons.items()}


def _outcome(args, report):
    if report.path is None:
        return "nothing was written" if args.dry_run else "nothing needs repair"
    if report.damaged is None:
        return f"the new store is {report.path}; {args.source} is as it was"
    return f"repaired {report.path}; the damaged store is {report.damaged}: delete it when you wish"
