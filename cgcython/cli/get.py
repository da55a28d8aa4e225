"""Show one memory of a store: its embeddings as float32 again, its times and its metadata.

Of an embedding the table shows how it begins; --json prints all of it.

example:
  cgcython get memories 42b35afc-4ea7-5cd0-bfe2-94947d0e431d
  cgcython get memories 42b35afc-4ea7-5cd0-bfe2-94947d0e431d --embedder E8 --json
"""

import argparse
from collections.abc import Mapping
from typing import Any

import numpy as np

from cgcython.base import EmbedderId
from cgcython.cli import options
from cgcython.cli.failures import BAD_DATA, OK
from cgcython.cli.output import print_filled, print_json, print_table
from cgcython.cli.streams import say
from cgcython.corpus.describing import describe_record
from cgcython.errors import UsageError
from cgcython.inputs.columns import Embedding
from cgcython.records import SparseVector
from cgcython.store import RecordStore
from cgcython.store.ids import spelled
from cgcython.store.places import name_of_place

SHOWN = 4  # values of an embedding in the table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("store", metavar="STORE", help="the folder of a store")
    options.add_ids(parser, "id", metavar="ID")
    parser.add_argument(
        "--embedder", type=options.embedder, metavar="E8", help="only this embedding"
    )
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    with RecordStore.open(args.store, read_only=True) as store:
        record = store.quantized(args.id)
        memory = store.retrieve(args.id)
    if record is None or memory is None:
        say(f"cgcython: error: {name_of_place(args.store)} has no record {spelled(args.id)}")
        return BAD_DATA
    embeddings = {
        one: embedding for one, embedding in memory.items() if args.embedder in (None, one)
    }
    if not embeddings and args.embedder is not None:
        have = ", ".join(one.short for one in memory)
        raise UsageError(f"{spelled(args.id)} has no {args.embedder.short}; it has {have}")
    facts = describe_record(record).facts
    if args.json:
        listed = {one.short: _listed(embedding) for one, embedding in embeddings.items()}
        print_json({"id": args.id, **facts, "embeddings": listed})
    else:
        _print(facts, embeddings)
    return OK


def _print(facts: Mapping[str, Any], embeddings: Mapping[EmbedderId, Embedding]) -> None:
    for name, value in facts.items():
        print_filled(f"{name.replace('_', ' ')}: {value}")
    rows = [[one.short, *_cells(embedding)] for one, embedding in sorted(embeddings.items())]
    print_table(["embedder", "values", "first"], rows)


def _cells(embedding: Embedding) -> tuple[str, str]:
    """Return the size of an embedding, and how it begins."""
    if isinstance(embedding, SparseVector):
        pairs = zip(embedding.indices[:SHOWN].tolist(), embedding.weights[:SHOWN].tolist())
        begin = " ".join(f"{index}:{weight:.4g}" for index, weight in pairs)
        return f"{len(embedding.indices)} of {embedding.dimension}", begin
    values = np.asarray(embedding)
    begin = " ".join(f"{value:.4g}" for value in values.ravel()[:SHOWN].tolist())
    return " x ".join(map(str, values.shape)), begin


def _listed(embedding: Embedding) -> object:
    """Return an embedding as JSON keeps it."""
    if isinstance(embedding, SparseVector):
        return {
            "indices": embedding.indices.tolist(),
            "weights": embedding.weights.tolist(),
            "dimension": embedding.dimension,
        }
    return np.asarray(embedding).tolist()
