"""Say what a codebook, record, shard or store holds: layouts, bytes, where they came from.

example:
  cgcython inspect memories
  cgcython inspect memories --id 42b35afc-4ea7-5cd0-bfe2-94947d0e431d
  cgcython inspect models/pq8_codebooks/Semantic_codebook.safetensors --json
"""

import argparse
from pathlib import Path

from cgcython.cli import options
from cgcython.cli.failures import OK
from cgcython.cli.output import print_filled, print_json, print_table
from cgcython.cli.progress import progress
from cgcython.corpus.describing import Description, describe, describe_record
from cgcython.errors import UsageError
from cgcython.store import RecordStore
from cgcython.store.ids import spelled
from cgcython.store.places import is_address, name_of_place


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="PATH", help="a file or folder that cgcython wrote")
    parser.add_argument("--id", type=options.record_id, metavar="ID", help="one record of a store")
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    if not (is_address(args.path) or Path(args.path).exists()):
        raise FileNotFoundError(f"{args.path}: no such file or folder")
    found = _record(args) if args.id is not None else _whole(args)
    if args.json:
        print_json(found.as_dict())
        return OK
    print(f"{name_of_place(args.path)}: {found.kind}")
    for key, value in found.facts.items():
        print_filled(f"{key.replace('_', ' ')}: {value}", indent="  ")
    if found.parts:
        headers = [key for key in found.parts[0] if key != "metadata"]
        rows = [[part.get(key) for key in headers] for part in found.parts]
        print_table([key.replace("_", " ") for key in headers], rows)
    return OK


def _whole(args: argparse.Namespace) -> Description:
    with progress(None, "memory", "inspect") as bar:
        return describe(args.path, bar.advance)


def _record(args: argparse.Namespace) -> Description:
    with RecordStore.open(args.path, read_only=True) as store:
        record = store.quantized(args.id)
        if record is None:
            raise UsageError(f"{store.place} has no record {spelled(args.id)}")
        return describe_record(record)
