"""Lets `search` ask groups of shards, on the workers of --scheduler."""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import NamedTuple

import numpy as np

from cgcython.base import EmbedderId, EmbedderName
from cgcython.cli import options
from cgcython.cli.failures import OK, STORE
from cgcython.cli.scheduling import runner_of
from cgcython.cli.streams import say
from cgcython.cli.text_files import read_lines
from cgcython.corpus.array_files import ONLY, open_arrays
from cgcython.corpus.corpus import Corpus
from cgcython.corpus.memory_ids import array_keys
from cgcython.corpus.naming import naming
from cgcython.corpus.remote.urls import input_place
from cgcython.errors import UsageError
from cgcython.inputs.columns import Embedding
from cgcython.search.groups import GroupSearcher
from cgcython.search.hits import Hit
from cgcython.store import shards
from cgcython.store.ids import StoredId, id_of, parse_id
from cgcython.store.places import is_address, name_of_place
from cgcython.store.shard_folder import has_shards, why_partial

BATCH = 1 << 8  # queries, which are read at a time


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add who searches groups of shards, and what of a folder that is not whole."""
    options.add_scheduler(parser)
    parser.add_argument(
        "--groups",
        type=options.positive,
        metavar="N",
        help="of consecutive shards, one a task (default: as many as workers)",
    )
    parser.add_argument(
        "--partial", action="store_true", help="search a folder although shards are missing"
    )
    parser.add_argument(
        "--cache",
        metavar="DIR",
        help="keep the guides of shards there, which --approximate makes, for other searches",
    )


def is_asked(args: argparse.Namespace) -> bool:
    """Tell whether groups are to be searched."""
    numbers = args.groups, args.workers
    return args.scheduler is not None or numbers != (None, None) or args.on_damage != "stop"


class Groups:
    """The groups of a folder, which answer queries; `left_out` says which shards did not."""

    def __init__(self, searcher: GroupSearcher) -> None:
        self._searcher = searcher
        self.left_out: dict[int, str] = {}

    def hits(self, queries: Corpus, args: argparse.Namespace) -> Iterator[Sequence[Hit]]:
        """Yield the hits of every query."""
        how = {
            "metric": args.metric,
            "among": among(args.among),
            "oversample": args.oversample,
            "approximate": "graph" if args.graph else args.candidates or args.approximate,
            "num_threads": args.threads if args.scheduler is None else 1,
        }
        for batch in _batches(queries, args.embedders, args.rerank):
            if not batch.ranking:
                yield from [[] for _ in range(batch.size)]
                continue
            with naming(query=queries):
                ways = {"rerank": batch.rerank, **how}
                wanted = args.k, batch.ranking, args.weights
                found = self._searcher.search_many(batch.columns, *wanted, **ways)
            self.left_out |= found.left_out
            yield from found.hits

    def tell_left_out(self) -> int:
        """Name the shards that were left out, and return the exit code."""
        for number, reason in sorted(self.left_out.items()):
            name = shards.shard_path("", number).name
            say(f"cgcython: warning: {name} was left out: {reason}")
        return STORE if self.left_out else OK


@contextmanager
def open_groups(args: argparse.Namespace) -> Iterator[Groups]:
    """Yield the groups of a folder of shards. Raises UsageError for what only stores have."""
    _require_shards(args, "--scheduler, --groups and --on-damage")
    if args.where is not None or args.metadata:
        raise UsageError("shards keep no metadata: leave --where and --metadata out")
    with runner_of(args) as runner:
        ways = {"partial": args.partial, "on_damage": args.on_damage, "cache": args.cache}
        yield Groups(GroupSearcher(args.store, num_groups=args.groups, runner=runner, **ways))


def tell_missing(args: argparse.Namespace) -> None:
    """Say which shards are missing that a folder is to have; raises UsageError for a store."""
    if args.cache is not None:
        _require_shards(args, "--cache")
    if args.partial:
        _require_shards(args, "--partial")
        reason = why_partial(args.store)
        if reason is not None:
            say(f"cgcython: warning: {args.store} is searched as it is: {reason}")


def _require_shards(args: argparse.Namespace, options: str) -> None:
    if is_address(args.store) or not has_shards(args.store):
        place = name_of_place(args.store)
        raise UsageError(
            f"{place} is no folder of shards, which alone {options} can search; leave out {options}"
        )


def among(path: str | None) -> list[StoredId] | None:
    """Return the ids of a file, None without one."""
    if path is None:
        return None
    if input_place(path).suffix != ".npy":
        return list(map(parse_id, filter(None, map(str.strip, read_lines(path, "an id per line")))))
    return list(map(id_of, array_keys(np.asarray(open_arrays(path)[ONLY]), path)))


class _Batch(NamedTuple):
    """Consecutive queries that have the same embedders."""

    size: int
    columns: dict[EmbedderName, list[Embedding]]
    ranking: list[EmbedderId]
    rerank: EmbedderId | None


def _batches(
    queries: Corpus, embedders: Sequence[EmbedderId] | None, rerank: EmbedderId | None
) -> Iterator[_Batch]:
    """Yield all queries in their order."""
    for start in range(0, queries.num_memories, BATCH):
        every = queries.fingerprints(start, min(start + BATCH, queries.num_memories))
        for names, run in groupby(every, tuple):
            rows = list(run)
            ranking = [one for one in embedders or names if one in names]
            last = rerank if rerank in names else None
            wanted = {*ranking, *([] if last is None else [last])}
            yield _Batch(len(rows), _columns(rows, wanted), ranking, last)


def _columns(
    rows: Sequence[Mapping[EmbedderId, Embedding]], embedders: set[EmbedderId]
) -> dict[EmbedderName, list[Embedding]]:
    return {one: [row[one] for row in rows] for one in sorted(embedders)}
