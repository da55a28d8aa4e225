"""Delete memories of a store, softly: they move to the trash.

From the trash `--restore` brings them back until `cgcython store purge`; --hard deletes for good.
All of them go, or none does. Without --yes a terminal is asked first; --dry-run only tells.

example:
  cgcython delete memories 42b35afc-4ea7-5cd0-bfe2-94947d0e431d --dry-run
  cgcython delete memories --from ids.txt --yes
  cgcython delete memories --where '{"lang": "en"}' --dry-run
  cgcython delete memories 42b35afc-4ea7-5cd0-bfe2-94947d0e431d --restore
"""

import argparse
import sys

from cgcython.cli import options
from cgcython.cli.failures import BAD_DATA, OK
from cgcython.cli.output import print_json
from cgcython.cli.streams import say
from cgcython.cli.text_files import read_lines
from cgcython.errors import UsageError
from cgcython.search import FingerprintStore
from cgcython.store.ids import StoredId, spelled
from cgcython.store.places import name_of_place


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("store", metavar="STORE", help="the folder of a store")
    options.add_ids(parser, "ids", nargs="*", metavar="ID")
    parser.add_argument("--from", dest="file", metavar="FILE", help="more ids, one a line")
    options.add_where(parser, "and all memories")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--hard", action="store_true", help="for good, past the trash")
    way.add_argument("--restore", action="store_true", help="bring them back from the trash")
    parser.add_argument("--dry-run", action="store_true", help="only tell what would be deleted")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    if not (args.ids or args.file or args.where):
        raise UsageError("no ids were given; name some, or --from FILE, or --where JSON")
    with FingerprintStore.open(args.store, read_only=args.dry_run, create=False) as store:
        ids = _ids(store, args)
        missing = [] if args.restore else [one for one in ids if one not in store]
        found = len(ids) - len(missing)
        if not (args.dry_run or args.restore or args.yes or _agreed(found, args)):
            say("cgcython: nothing was deleted")
            return OK
        if args.restore and not args.dry_run:
            missing = [one for one in ids if not store.restore(one)]
            found = len(ids) - len(missing)
        elif not args.dry_run:
            found = store.delete_many(ids, soft=not args.hard)
    _report(args, found, missing)
    return BAD_DATA if missing else OK


def _ids(store: FingerprintStore, args: argparse.Namespace) -> list[StoredId]:
    """Return the ids that are given, and those of memories whose metadata meet --where."""
    ids: list[StoredId] = list(args.ids)
    if args.file is not None:
        lines = filter(None, map(str.strip, read_lines(args.file, "an id per line")))
        ids += map(options.record_id, lines)
    if args.where is not None:
        ids += store.ids(where=args.where)
    return list(dict.fromkeys(ids))


def _agreed(count: int, args: argparse.Namespace) -> bool:
    """Ask on a terminal; where nobody can answer, deleting softly needs no leave."""
    if not sys.stdin.isatty():
        if args.hard:
            raise UsageError("--hard deletes for good; say --yes too")
        return True
    way = "for good" if args.hard else "(they can be brought back)"
    say(f"cgcython: delete {count} memories of {name_of_place(args.store)} {way}? [y/N]")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _report(args: argparse.Namespace, found: int, missing: list[StoredId]) -> None:
    done = "restored" if args.restore else "deleted"
    if args.json:
        print_json({"dry_run": args.dry_run, done: found, "missing": missing})
    else:
        print(f"{found} memories {'would be ' * args.dry_run}{done}")
    for one in missing:
        place = "in the trash" if args.restore else "there"
        say(f"cgcython: {spelled(one)} is not {place}")
