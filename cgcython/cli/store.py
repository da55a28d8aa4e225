"""Look after a store: how large it is, what is deleted for good, copies and codebooks.

`stats` estimates at once what `--exact` counts. `purge` deletes for good what was deleted softly
longer ago than `--older-than`, and `compact` then frees its room on the disk. `backup` writes a
copy of a folder that is a store. `copy` writes one anywhere: to a folder, PostgreSQL or Cassandra.
`reencode` moves the records of an embedder to the codebook in `--models`; with --scheduler, for a
store in PostgreSQL or Cassandra, on several workers. Interrupted, `copy` and `reencode` go on where
they stopped.

example:
  cgcython store stats memories --exact
  cgcython store stats memories --prometheus
  cgcython store purge memories --older-than 30d
  cgcython store backup memories /backup/memories
  cgcython store copy memories postgresql://localhost/memories
  cgcython store reencode memories E1 --models models --drop
  cgcython store reencode postgresql://localhost/memories E1 --models models --scheduler processes
"""

import argparse
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeAlias

from cgcython.cli import options
from cgcython.cli.cells import percent
from cgcython.cli.failures import OK
from cgcython.cli.output import print_json, print_table
from cgcython.cli.progress import progress
from cgcython.cli.prometheus import exposition
from cgcython.cli.scheduling import runner_of
from cgcython.codecs.codebook_base import Codebook
from cgcython.codecs.codebook_file import codebook_path
from cgcython.corpus.shard_records import copy_shards
from cgcython.runners import Run
from cgcython.store import RecordStore, Reencoded
from cgcython.store.copying import copy_store
from cgcython.store.places import is_address, require_servers
from cgcython.store.quality import QualitySample
from cgcython.store.reencode_jobs import reencode_by
from cgcython.store.shards import count_memories, shard_paths

Facts: TypeAlias = dict[str, Any]  # what an action did, as JSON keeps it
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
ACTIONS = {
    "stats": "records, bytes by embedder and layout, bytes on disk, codebooks",
    "compact": "rewrite the files without what was replaced or deleted",
    "purge": "delete for good what was deleted softly",
    "backup": "write a copy to a new folder, whole or not at all",
    "copy": "copy a store to another place, byte for byte, and compare both",
    "reencode": "move the records of an embedder to another codebook",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", dest="action", required=True)
    for name, summary in ACTIONS.items():
        action = actions.add_parser(name, help=summary, description=summary)
        action.add_argument("store", metavar="STORE", help="the folder or address of a store")
        if name in _ARGUMENTS:
            _ARGUMENTS[name](action)
        options.add_json(action)


def _add_stats(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--exact", action="store_true", help="count all, by reading all")
    told = "print the text that Prometheus scrapes"
    parser.add_argument("--prometheus", action="store_true", help=told)


def _add_purge(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--older-than",
        type=duration,
        default=timedelta(0),
        metavar="TIME",
        help="keep what was deleted since, as 90s, 15m, 12h or 30d ago (default: delete all)",
    )


def _add_backup(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="FOLDER", help="made by this; it must not exist")


def _add_copy(parser: argparse.ArgumentParser) -> None:
    told = "where no store is: a folder, postgresql://... or cql://..."
    parser.add_argument("target", metavar="TARGET", help=told)


def _add_reencode(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("embedder", type=options.embedder, metavar="EMBEDDER", help="such as E1")
    options.add_models(parser, required=True)
    parser.add_argument("--drop", action="store_true", help="remove codebooks no record needs then")
    options.add_scheduler(parser, unit=None)


_ARGUMENTS: dict[str, Callable[[argparse.ArgumentParser], None]] = {
    "stats": _add_stats,
    "purge": _add_purge,
    "backup": _add_backup,
    "copy": _add_copy,
    "reencode": _add_reencode,
}


def duration(text: str) -> timedelta:
    """Return the timedelta of `90s`, `15m`, `12h` or `30d`, for argparse.

    >>> duration("12h")
    datetime.timedelta(seconds=43200)
    """
    number, unit = text[:-1], text[-1:]
    if unit not in UNITS or not number.isdecimal() or len(number) > 6:
        raise argparse.ArgumentTypeError(f"expected 90s, 15m, 12h or 30d, got {text!r}")
    return timedelta(**{UNITS[unit]: int(number)})


def run(args: argparse.Namespace) -> int:
    found = _ALONE.get(args.action, _run_opened)(args)
    if args.json:
        print_json(found)
    elif "exposition" in found:
        print(found["exposition"], end="")
    elif args.action == "stats":
        _print_stats(found)
    else:
        print(", ".join(f"{value} {name.replace('_', ' ')}" for name, value in found.items()))
    return OK


def _run_opened(args: argparse.Namespace) -> Facts:
    read_only = args.action in ("stats", "backup")
    with RecordStore.open(args.store, read_only=read_only, create=False) as store:
        return _RUNS[args.action](store, args)


def _copy(args: argparse.Namespace) -> Facts:
    paths = [] if is_address(args.store) else shard_paths(args.store)
    count = count_memories(paths[0]) if paths else _about_all(args.store)
    copy = copy_shards if paths else copy_store
    with progress(count, "record", "copy") as bar, progress(2 * count, "record", "verify") as both:
        copied = copy(args.store, args.target, progress=bar.advance, verifying=both.advance)
    return {
        "records_copied": copied.records,
        "of_the_trash": copied.trashed,
        "bytes": copied.bytes,
        "digest": copied.digest,
    }


def _about_all(place: str) -> int:
    """Return about how many records there are, with those in the trash."""
    with RecordStore.open(place, read_only=True, create=False) as store:
        known = store.statistics()
    return known.records + known.trashed


def _stats(store: RecordStore, args: argparse.Namespace) -> Facts:
    statistics = store.statistics(args.exact)
    if args.prometheus:
        return {"exposition": exposition(statistics)}
    found = statistics._asdict()
    found["quality"] = [_told(one) for one in statistics.quality]
    found["parts"] = [
        {**part._asdict(), "embedder": part.embedder.short} for part in found["parts"]
    ]
    found["codebooks"] = {
        model_id.short: [f"{one:#010x}" for one in ids]
        for model_id, ids in found["codebooks"].items()
    }
    return found


def _told(sample: QualitySample) -> Facts:
    """Return a sample as JSON keeps it."""
    facts = {**sample._asdict(), "until": sample.until.isoformat(), "loss": sample.losses.mean}
    del facts["losses"]
    return {**facts, "encoded": sample.losses.encoded, "samples": sample.losses.samples}


def _print_quality(samples: list[Facts]) -> None:
    """Print the newest samples of each kind and embedder."""
    newest = {(one["kind"], one["embedder"]): one for one in samples}
    shares = "loss", "trained_loss"
    rows: list[list[object]] = [
        [
            *(one[name] for name in ("embedder", "kind", "samples")),
            *(percent(one[name]) for name in shares),
            one["until"][:16],
        ]
        for one in newest.values()
    ]
    if rows:
        print()
        print_table(["embedder", "of", "samples", "loss", "trained", "until"], rows)


def _print_stats(found: Facts) -> None:
    about = "" if found["exact"] else "about "
    print(f"{about}{found['records']} records, {about}{found['record_bytes']} bytes")
    print(f"{about}{found['trashed']} in the trash, {about}{found['trash_bytes']} bytes")
    print(f"{found['database_bytes']} bytes on disk")
    for name, ids in found["codebooks"].items():
        print(f"codebooks of {name}: {', '.join(ids)}")
    rows = [list(part.values()) for part in found["parts"]]
    if rows:
        print_table(["embedder", "layout", "sections", "bytes"], rows)
    _print_quality(found["quality"])


def _compact(store: RecordStore, args: argparse.Namespace) -> Facts:
    return {"bytes_freed": store.compact()}


def _purge(store: RecordStore, args: argparse.Namespace) -> Facts:
    return {"records_purged": store.purge(args.older_than)}


def _backup(store: RecordStore, args: argparse.Namespace) -> Facts:
    store.backup(args.target)
    return {"records_copied": len(store)}


def _reencode(args: argparse.Namespace) -> Facts:
    if args.scheduler is not None:
        require_servers(args.store, "leave out --scheduler")
    with runner_of(args) as runner:
        if args.scheduler is not None:
            return _reencode_by(runner.run, args)
        with RecordStore.open(args.store, create=False) as store:
            codebook, count = _codebook_for(store, args), store.statistics().records
            with progress(count, "record", "reencode") as bar:
                done = store.reencode(args.embedder, codebook, progress=bar.advance)
            return _moved(store, done, args)


def _reencode_by(run: Run, args: argparse.Namespace) -> Facts:
    with RecordStore.open(args.store, read_only=True, create=False) as store:
        codebook, count = _codebook_for(store, args), store.statistics().records
    with progress(count, "record", "reencode") as bar:
        done = reencode_by(run, args.store, args.embedder, codebook, progress=bar.advance)
    with RecordStore.open(args.store, create=False) as store:
        return _moved(store, done, args)


def _codebook_for(store: RecordStore, args: argparse.Namespace) -> Codebook:
    path = codebook_path(args.models, args.embedder.title)
    return Codebook.load(path, store.profile[args.embedder].dimension)


def _moved(store: RecordStore, done: Reencoded, args: argparse.Namespace) -> Facts:
    """Return what a move came to, once codebooks are dropped where that is asked for."""
    found: Facts = {
        "records_moved": done.records,
        "mean_loss": round(done.mean_loss, 6),
        "max_loss": round(done.max_loss, 6),
    }
    if args.drop:
        found["codebooks_dropped"] = len(store.drop_codebooks())
    return found


_RUNS: dict[str, Callable[[RecordStore, argparse.Namespace], Facts]] = {
    "stats": _stats,
    "compact": _compact,
    "purge": _purge,
    "backup": _backup,
}
# Those that open the store themselves.
_ALONE: dict[str, Callable[[argparse.Namespace], Facts]] = {"copy": _copy, "reencode": _reencode}
