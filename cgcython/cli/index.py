"""Keep the columns of a store in files, so that searches of later processes map them.

Columns are derived from the records, follow later writes by the store's journal and may be deleted
at any time. Those of sparse vectors and tokens take as much room as the records, so they are made
when named. Large ones get guides for `search --approximate`; --graphs adds an HNSW graph per dense
embedder for `search --graph`, and so does any setting of graphs.

example:
  cgcython index memories
  cgcython index memories --embedders E1,E9 --graphs --threads 2
  cgcython index memories --embedders E8 --connectivity 32 --expansion-add 200
  cgcython index memories --embedders E6,E12
"""

import argparse
from collections.abc import Collection

from cgcython.base import Embedder, EmbedderId, Profile
from cgcython.cli import options
from cgcython.cli.failures import OK
from cgcython.cli.output import print_json, print_table
from cgcython.cli.progress import progress
from cgcython.codecs.base import InputKind, codec_class
from cgcython.errors import UsageError
from cgcython.search import FingerprintStore
from cgcython.search.graph_settings import USUAL

SETTINGS = {
    "connectivity": "links of a record in graphs; more find more, and take memory and time",
    "expansion_add": "near records from which graphs choose links; more find more, built slower",
    "expansion_search": "records that graphs propose at least, more of over 16,384; more find more",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("store", metavar="STORE", help="folder of a store; nobody else writes it")
    parser.add_argument(
        "--embedders", type=options.embedders, metavar="E1,E9", help="default: the dense ones"
    )
    parser.add_argument("--graphs", action="store_true", help="also build HNSW graphs")
    for name, told in SETTINGS.items():
        usual = getattr(USUAL, name)
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(
            option, type=options.positive, metavar="N", help=f"{told} (default {usual})"
        )
    options.add_threads(parser)
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    with FingerprintStore.open(args.store, create=False) as store:
        wanted = _wanted(store.profile, args.embedders)
        with progress(None, "record", "index") as bar:
            files = store.save_columns(
                wanted, graphs=_graphs(args), num_threads=args.threads, progress=bar.advance
            )
    sizes = {path.name: path.stat().st_size for path in files}
    if args.json:
        print_json({"files": sizes})
    else:
        print_table(["file", "bytes"], list(sizes.items()))
    return OK


def _graphs(args: argparse.Namespace) -> bool | dict[str, int]:
    """Return the settings of graphs that were named, or whether graphs are wanted at all."""
    named = {name: getattr(args, name) for name in SETTINGS if getattr(args, name) is not None}
    return named or bool(args.graphs)


def _is_dense(row: Embedder) -> bool:
    """Return whether the columns of a profile's row take little room beside its records."""
    return codec_class(row.method).inputs is InputKind.DENSE


def _wanted(profile: Profile, embedders: Collection[EmbedderId] | None) -> Collection[EmbedderId]:
    """Return the embedders that were named, or else those whose columns are small."""
    if embedders is None:
        return [one for one, row in profile.items() if _is_dense(row)]
    unable = set(embedders) - set(profile)
    if unable:
        raise UsageError(f"{', '.join(one.short for one in sorted(unable))}: not of this store")
    return embedders
