"""Say what a codebook, record, shard or store holds: layouts, bytes, where they came from.

example:
  cgcython inspect memories
  cgcython inspect memories --id 42b35afc-4ea7-5cd0-bfe2-94947d0e431d
  cgcython inspect models/pq8_codebooks/Semantic_codebook.safetensors --json
"""

from pathlib import Path

from cgcython.cli import options
from cgcython.cli.describe import describe, describe_record, require_record
from cgcython.cli.failures import OK
from cgcython.cli.output import print_json, print_table
from cgcython.cli.progress import progress
from cgcython.corpus.reading import open_store


def add_arguments(parser):
    parser.add_argument("path", metavar="PATH", help="a file or folder that cgcython wrote")
    parser.add_argument("--id", metavar="UUID", help="one record of a store")
    options.add_json(parser)


def run(args):
    if not Path(args.path).exists():
        raise FileNotFoundError(f"{args.path}: no such file or folder")
    found = _record(args) if args.id else _whole(args)
    if args.json:
        print_json(found.as_dict())
        return OK
    print(f"{args.path}: {found.kind}")
    for key, value in found.facts.items():
        print(f"  {key.replace('_', ' ')}: {value}")
    if found.parts:
        headers = [key for key in found.parts[0] if key != "metadata"]
        rows = [[part.get(key) for key in headers] for part in found.parts]
        print_table([key.replace("_", " ") for key in headers], rows)
    return OK


def _whole(args):
    with progress(None, "memory", "inspect") as bar:
        return describe(args.path, bar)


def _record(args):
    with open_store(args.path) as store:
        return describe_record(require_record(store, args.id))
