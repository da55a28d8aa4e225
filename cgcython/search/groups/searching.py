"""A folder of shards that is searched group by group, by workers that each hold some shards."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from cgcython.base import EmbedderName
from cgcython.checks import require_callable, require_choice, require_whole
from cgcython.errors import FileUnavailable, InvalidInput, StorageCorruption
from cgcython.files import as_path
from cgcython.inputs.batches import Arrays
from cgcython.router import QuantizationRouter
from cgcython.runners import InProcess, Runner
from cgcython.search.arguments import (
    Among,
    Approximate,
    Embedders,
    Query,
    Request,
    Weights,
    checked_request,
)
from cgcython.search.chosen_shards import ChosenShard, chosen_shards
from cgcython.search.fusion import deciding_depth
from cgcython.search.groups.asked import Asked, Place, bytes_of
from cgcython.search.groups.passes import Passes
from cgcython.search.groups.tops import known_of
from cgcython.search.hits import Hits
from cgcython.search.many import MOST_HITS, SearchResult, gathered, numbered, queries_of
from cgcython.search.open_shards import OpenShards
from cgcython.search.query_embeddings import Embeddings, all_embeddings_of, all_queries
from cgcython.store import shards
from cgcython.store.shard_manifest import manifest_path
from cgcython.types import StrPath

BATCH_BYTES = 1 << 26  # of the queries of one batch and what all groups tell of them
KEY_BYTES = 24  # of a key and a score that travel


class GroupSearcher:
    """Finds in a folder of shards what a `ShardSearcher` does, with groups of shards on workers.

    A worker keeps the columns of its groups from one batch to the next. Here, no codes are read.
    """

    def __init__(
        self,
        folder: StrPath,
        *,
        num_groups: int | None = None,
        runner: Runner | None = None,
        partial: bool = False,
        on_damage: str = "stop",
        cache: StrPath | None = None,
    ) -> None:
        """`num_groups` of consecutive shards, one for each worker of the `runner` unless given.

        Shards that are missing are searched without if `partial`; those that are damaged are left
        out if `on_damage` is "skip". `cache` is that of a `ShardSearcher`, which workers share.
        Raises InvalidInput, StorageCorruption.
        """
        self.path, self._runner = as_path(folder, "folder").absolute(), runner or InProcess()
        require_callable(getattr(self._runner, "run", None), "runner.run")
        self.profile = shards.read_profile(folder)
        self.router = QuantizationRouter(folder, self.profile)
        skip = require_choice(on_damage, "on_damage", ("stop", "skip")) == "skip"
        partial = bool(partial)  # a part of a key
        chosen = chosen_shards(self.path, None, partial)
        numbers = np.array([one.number for one in chosen], np.int64)
        wanted = self._runner.num_workers if num_groups is None else num_groups
        groups = min(require_whole(wanted, "num_groups", 1), len(numbers))
        if groups > 1 and not manifest_path(self.path).exists():
            _require_each_id_once(_readable(chosen) if skip else chosen)
        version = _version(self.path)
        kept_in = None if cache is None else str(as_path(cache).absolute())
        self._places = [
            Place(str(self.path), tuple(own.tolist()), version, skip, partial, kept_in)
            for own in np.array_split(numbers, max(1, groups))
        ]

    def __repr__(self) -> str:
        numbers = sum(len(place.numbers) for place in self._places)
        return f"GroupSearcher({str(self.path)!r}, shards={numbers}, groups={len(self._places)})"

    def search_many(
        self,
        queries: Arrays,
        k: int = 10,
        embedders: Embedders | None = None,
        weights: Weights | None = None,
        *,
        metric: str | None = None,
        among: Among | None = None,
        rerank: EmbedderName | None = None,
        oversample: int = 4,
        approximate: Approximate = False,
        num_threads: int = 1,
    ) -> SearchResult:
        """Return what `ShardSearcher.search_many` returns, bit for bit; `num_threads` of a worker.

        `approximate` finds at least as much: each group proposes what the folder does. The result
        names shards that were `left_out`. Errors are those of `search_many`, and StorageCorruption
        of a damaged shard.
        """
        k = require_whole(k, "k", 1, MOST_HITS)
        rows = queries_of(queries, self.profile)
        if not rows:
            return gathered([], k, {}, False)
        ways = metric, among, rerank, oversample, approximate, num_threads
        with numbered(0):
            request = checked_request(rows[0], self.profile, k, embedders, weights, *ways)
        passes = Passes(self._places, self._runner)
        found = gathered(self._hits(passes, request, rows), k, request.all_weights, False)
        return replace(found, left_out=passes.left_out)

    def _hits(self, passes: Passes, request: Request, rows: Sequence[Query]) -> list[Hits]:
        every = all_embeddings_of(request, all_queries(request, rows), self.router)
        if not request.weights or not self._places:
            return [Hits() for _ in rows]
        depth = deciding_depth([*request.weights.values()], request.shortlist)
        size = _queries_at_once(request, every, depth, len(self._places))
        found: list[Hits] = []
        for start in range(0, len(rows), size):
            found += passes.hits(Asked.of(request, every[start : start + size]), depth)
        return found


def search_groups(
    folder: StrPath,
    queries: Arrays,
    k: int = 10,
    embedders: Embedders | None = None,
    weights: Weights | None = None,
    *,
    metric: str | None = None,
    among: Among | None = None,
    rerank: EmbedderName | None = None,
    oversample: int = 4,
    approximate: Approximate = False,
    num_threads: int = 1,
    num_groups: int | None = None,
    runner: Runner | None = None,
    partial: bool = False,
    on_damage: str = "stop",
    cache: StrPath | None = None,
) -> SearchResult:
    """Return what a `GroupSearcher` of a folder finds for many queries."""
    searcher = GroupSearcher(
        folder,
        num_groups=num_groups,
        runner=runner,
        partial=partial,
        on_damage=on_damage,
        cache=cache,
    )
    return searcher.search_many(
        queries,
        k,
        embedders,
        weights,
        metric=metric,
        among=among,
        rerank=rerank,
        oversample=oversample,
        approximate=approximate,
        num_threads=num_threads,
    )


def _queries_at_once(
    request: Request, queries: Sequence[Embeddings], depth: int, groups: int
) -> int:
    """Return how many queries one batch has, so that about BATCH_BYTES travel to groups and back.

    The largest query counts for all.
    """
    embedders = len(request.weights)
    if embedders > 1:
        each = embedders * (4 * known_of(depth) + depth * (KEY_BYTES + 4 * embedders))
    else:
        each = request.shortlist * KEY_BYTES
    return max(1, BATCH_BYTES // (groups * (each + max(map(bytes_of, queries)))))


def _require_each_id_once(chosen: Sequence[ChosenShard]) -> None:
    """Raise InvalidInput where shards have an id twice, as only those of earlier releases may."""
    replaced = OpenShards(chosen).places.replaced
    if replaced:
        number = min(replaced)
        raise InvalidInput(
            what=f"ids of {chosen[number].path}",
            expected="each once in the folder; search it as one group: num_groups=1, --groups 1",
            actual=f"{np.count_nonzero(replaced[number])} that a later shard has too",
        )


def _readable(chosen: Sequence[ChosenShard]) -> list[ChosenShard]:
    """Return the shards whose ids are not damaged."""
    found = []
    for shard in chosen:
        with suppress(StorageCorruption, FileUnavailable):
            shard.open()
            found.append(shard)
    return found


def _version(folder: Path) -> str:
    """Return a text that differs where the shards of a folder do."""
    path = manifest_path(folder)
    if path.exists():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    stats = [(one.name, one.stat()) for one in shards.shard_paths(folder)]
    told = [(name, one.st_size, one.st_mtime_ns) for name, one in stats]
    return hashlib.sha256(repr(told).encode()).hexdigest()
