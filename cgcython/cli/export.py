"""Export memories of a store to a Parquet or .npz file: ids, metadata and embeddings.

A Parquet file (the extra `arrow`) has a row for each memory, a column for each embedder and for
each key of the metadata; what a memory does not have is null. An .npz file has the arrays that
`encode` reads, and `metadata` as JSON. Memory is needed for some memories at a time, and the file
appears whole or not at all.

example:
  cgcython export memories --out memories.parquet
  cgcython export memories --out some.npz --embedders E1,E8 --where '{"lang": "en"}'
"""

import argparse
from contextlib import ExitStack
from pathlib import Path

from cgcython.cli import options
from cgcython.cli.failures import OK
from cgcython.cli.output import print_json
from cgcython.cli.progress import progress
from cgcython.corpus.exporting import export
from cgcython.files import require_place
from cgcython.search import FingerprintStore


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("store", metavar="STORE", help="the folder of a store")
    parser.add_argument("--out", required=True, metavar="FILE", help="a .parquet or .npz file")
    parser.add_argument(
        "--embedders", type=options.embedders, metavar="E1,E6", help="only these (default all)"
    )
    options.add_where(parser, "only memories")
    options.add_threads(parser)
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    require_place(args.out)
    with ExitStack() as stack:
        store = stack.enter_context(FingerprintStore.open(args.store, read_only=True))
        bar = stack.enter_context(progress(store.statistics().records, "memory", "export"))
        how = {"where": args.where, "num_threads": args.threads, "progress": bar.advance}
        survey = export(store, args.out, args.embedders, **how)
    names = [one.short for one in survey.embedders]
    size = Path(args.out).stat().st_size
    fields = sorted(survey.fields)
    if args.json:
        facts = {"path": args.out, "memories": survey.memories, "bytes": size}
        print_json({**facts, "embedders": names, "metadata": fields})
    else:
        print(f"{survey.memories} memories of {', '.join(names)} to {args.out}, {size} bytes")
    return OK
