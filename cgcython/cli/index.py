"""Keep the columns of a store in files, so that searches of later processes map them.

Columns are derived from the records, follow later writes by the store's journal and may be deleted
at any time. --graphs adds an HNSW graph per embedder for `search --approximate`. Sparse vectors and
tokens have neither.

example:
  cgcython index memories
  cgcython index memories --embedders E1,E9 --graphs --threads 2
"""

from cgcython.base import QuantizationMethod
from cgcython.cli import options
from cgcython.cli.failures import OK, UsageError
from cgcython.cli.output import print_json, print_table
from cgcython.cli.progress import progress
from cgcython.search import FingerprintStore

WITHOUT = (QuantizationMethod.SPARSE_NATIVE, QuantizationMethod.TOKEN_PRUNING)


def add_arguments(parser):
    parser.add_argument("store", metavar="STORE", help="folder of a store; nobody else writes it")
    parser.add_argument(
        "--embedders", type=options.embedders, metavar="E1,E9", help="only these (default all)"
    )
    parser.add_argument("--graphs", action="store_true", help="also build HNSW graphs")
    options.add_threads(parser)
    options.add_json(parser)


def run(args):
    with FingerprintStore.open(args.store, create=False) as store:
        wanted = _wanted(store.profile, args.embedders)
        with progress(len(store) * len(wanted) * args.graphs or None, "record", "index") as bar:
            files = store.save_columns(
                wanted, graphs=args.graphs, num_threads=args.threads, progress=bar.advance
            )
    rows = [[path.name, path.stat().st_size] for path in files]
    if args.json:
        print_json({"files": dict(rows)})
    else:
        print_table(["file", "bytes"], rows)
    return OK


def _wanted(profile, embedders):
    able = [one for one, row in profile.items() if row.method not in WITHOUT]
    if embedders is None:
        return able
    unable = set(embedders) - set(able)
    if unable:
        names = ", ".join(one.short for one in sorted(unable))
        raise UsageError(f"{names}: not of this store, or sparse or tokens, which have no files")
    return embedders
