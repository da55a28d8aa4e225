"""Read and check every record of a store, or every array of shards.

Checks frames, checksums, codebooks and that nothing is missing or left over. A damaged store
exits with 5 and names the records; the others stay readable.

example:
  cgcython verify memories
  cgcython verify shards --json
"""

from cgcython.cli import options
from cgcython.cli.failures import OK, STORE
from cgcython.cli.output import print_json
from cgcython.cli.progress import progress, say
from cgcython.cli.sources import ShardSource, open_source
from cgcython.errors import StorageCorruption
from cgcython.store import shards


def add_arguments(parser):
    parser.add_argument("source", metavar="STORE|SHARDS", help="what encode wrote")
    options.add_json(parser)


def run(args):
    with open_source(args.source) as source, progress(len(source), "memory", "verify") as bar:
        check = _check_shards if isinstance(source, ShardSource) else _check_store
        counts, problems = check(source, bar)
    if args.json:
        print_json({"ok": not problems, **counts, "damaged": problems})
    elif not problems:
        print(", ".join(f"{n} {what.replace('_', ' ')}" for what, n in counts.items()) + ": sound")
    for name, reason in problems.items():
        say(f"cgcython: error: {name}: {reason}")
    return STORE if problems else OK


def _check_store(source, bar):
    try:
        report = source.store.verify(bar.advance)
    except StorageCorruption as error:
        if not error.ids:
            raise
        return {}, {str(one): error.reason for one in error.ids}
    counts = {
        "records": report.records,
        "sections": report.sections,
        "stored_bytes": report.stored_bytes,
    }
    return counts, {}


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
