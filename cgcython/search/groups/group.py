"""A group of shards that a process has open, and what it finds there for batches of queries."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Generic, NamedTuple, TypeAlias, TypeVar

import numpy as np

from cgcython.base import EmbedderId
from cgcython.errors import FileUnavailable, StorageCorruption
from cgcython.locks import ForkSafeLock
from cgcython.search.chosen_shards import chosen_shards
from cgcython.search.fusion import count_above
from cgcython.search.groups.asked import Asked, Place, Task
from cgcython.search.groups.tops import (
    GroupTops,
    NearTop,
    ScannedTop,
    gathered,
    known_of,
    ranks_of,
    undominated,
)
from cgcython.search.query_column import QueryColumn
from cgcython.search.scan import Best
from cgcython.search.shards import ShardSearcher
from cgcython.types import Array, BoolArray, Float32Array, Int64Array, KeyArray

MOST_OPEN = 32  # groups of a process whose columns are kept, those that were asked last

T = TypeVar("T")
Tops: TypeAlias = list[ScannedTop] | list[NearTop]


class Nearest(NamedTuple):
    """The best rows of the only embedder that ranks, best first."""

    keys: KeyArray
    ranks: Float32Array  # what orders them
    scores: Float32Array
    alike: Float32Array | None  # how alike rows and query are, both as records hold them
    read: int


class Told(NamedTuple):
    """What one embedder says of some keys."""

    known: BoolArray  # which keys have it; the others are of those keys alone
    scores: Float32Array
    ranks: Float32Array | None  # what orders them
    alike: Float32Array | None


class ShardGroup(ShardSearcher):
    """Some shards of a folder, which answer batches of queries for a `GroupSearcher`."""

    def nearest(self, asked: Asked, _: object) -> list[Nearest]:
        """Return the best rows of each query, where one embedder ranks."""
        (model_id,) = asked.request.weights
        columns, found = self._best(asked, model_id, asked.request.shortlist)
        alike = asked.request.rerank is None
        return [_nearest(column, best, alike) for column, best in zip(columns, found)]

    def _best(
        self, asked: Asked, model_id: EmbedderId, count: int
    ) -> tuple[list[QueryColumn], list[Best]]:
        """Return the column with each query, and its best rows."""
        request = asked.request
        if request.approximate:
            columns = self._columns_of(asked, model_id)
            return columns, [column.best(request) for column in columns]
        column, metric = self._columns.get(model_id), request.metrics[model_id]
        given, stored = asked.given[model_id], asked.stored[model_id]
        ways = metric, request.num_threads
        best = column.best_many(list(given), count, *ways, request.among)
        made = partial(QueryColumn, column, model_id, request.weights[model_id])
        return [made(*pair, *ways) for pair in zip(given, stored)], best

    def _columns_of(self, asked: Asked, model_id: EmbedderId) -> list[QueryColumn]:
        made = partial(self._query_column, asked.request, model_id)
        return list(map(made, asked.given[model_id], asked.stored[model_id]))

    def tops(self, asked: Asked, depth: int) -> list[GroupTops]:
        """Return what decides, of each query, where several embedders rank."""
        every = [self._tops(asked, model_id, depth) for model_id in asked.request.weights]
        return list(map(gathered, zip(*every)))

    def _tops(self, asked: Asked, model_id: EmbedderId, depth: int) -> Tops:
        if asked.request.approximate:
            columns = self._columns_of(asked, model_id)
            return [NearTop(column, asked.request, depth) for column in columns]
        most = known_of(depth)
        columns, found = self._best(asked, model_id, most)
        pairs = zip(columns, found)
        return [ScannedTop(*pair, asked.request, depth, most) for pair in pairs]

    def ties(
        self, asked: Asked, least: Sequence[Float32Array]
    ) -> list[tuple[KeyArray, Float32Array]]:
        """Return the keys of each query with a score of `least` or more in some embedder.

        `least` has a score for each embedder of the queries. Those that cannot be among the best
        are left out.
        """
        return [self._ties(asked.some([number]), own) for number, own in enumerate(least)]

    def _ties(self, asked: Asked, least: Float32Array) -> tuple[KeyArray, Float32Array]:
        request = asked.request
        columns = [self._columns_of(asked, model_id)[0] for model_id in request.weights]
        rankings = [column.rank(request) for column in columns]
        found = [
            one.keys[(one.scores >= limit).nonzero()[0]] for one, limit in zip(rankings, least)
        ]
        keys = np.unique(np.concatenate(found))
        scores = np.array([one.scores_of(keys) for one in rankings], np.float32)
        kept = undominated(keys, scores, request.shortlist)
        return keys[kept], scores[:, kept]

    def counts(
        self, asked: Asked, wanted: Sequence[Mapping[EmbedderId, Array]]
    ) -> list[dict[EmbedderId, Int64Array]]:
        """Return how many rows score above each of the `wanted` scores of each query."""
        found = []
        for number, scores in enumerate(wanted):
            own = asked.some([number])
            columns = {model_id: self._columns_of(own, model_id)[0] for model_id in scores}
            found.append(
                {
                    model_id: count_above(columns[model_id].rank(asked.request).scores, some)
                    for model_id, some in scores.items()
                }
            )
        return found

    def told(self, asked: Asked, wanted: "Wanted") -> list[dict[EmbedderId, Told]]:
        """Return what embedders say of some keys of each query."""
        found: list[dict[EmbedderId, Told]] = [{} for _ in wanted.keys]
        every = np.unique(np.concatenate(wanted.keys))
        for model_id in wanted.embedders:
            column, metric = self._columns.some(model_id, every), asked.request.metrics[model_id]
            pairs = zip(asked.given[model_id], asked.stored[model_id])
            for keys, pair, own in zip(wanted.keys, pairs, found):
                mine = QueryColumn(column, model_id, 1.0, *pair, metric)
                own[model_id] = _told(mine, keys, wanted.alike)
        return found


class Wanted(NamedTuple):
    """The keys of each query that embedders are asked about: for similarities, or what orders."""

    keys: Sequence[KeyArray]
    embedders: Sequence[EmbedderId]
    alike: bool


class Opened(NamedTuple):
    """A group, and why shards of it are left out, by number."""

    group: ShardGroup
    left_out: Mapping[int, str]


class Answer(NamedTuple, Generic[T]):
    """What a group found, and why shards of it were left out."""

    found: T
    left_out: Mapping[int, str]


class Ask(Generic[T]):
    """Asks the group of a task, opening it where this process has not; it survives pickling."""

    def __init__(self, method: Callable[[ShardGroup, Asked, object], T]) -> None:
        self.method = method

    def __call__(self, task: Task) -> Answer[T]:
        """Return what the group finds. Raises StorageCorruption, FileUnavailable."""
        group, left_out = opened(task.place)
        return Answer(self.method(group, task.asked, task.wanted), left_out)


def opened(place: Place) -> Opened:
    """Return a group of shards, which this process keeps open."""
    with _OPENING:
        found = _OPEN.pop(place, None) or _open(place)
        _OPEN[place] = found
        while len(_OPEN) > MOST_OPEN:
            _OPEN.popitem(last=False)
        return found


def _open(place: Place) -> Opened:
    left_out = _damaged(place) if place.skip else {}
    numbers = [one for one in place.numbers if one not in left_out]
    partial, cache = place.partial, place.cache
    group = ShardGroup(place.folder, numbers=numbers, partial=partial, cache=cache)
    return Opened(group, left_out)


def _damaged(place: Place) -> dict[int, str]:
    """Return why shards of a place cannot be read, by number."""
    found = {}
    for shard in chosen_shards(Path(place.folder), place.numbers, place.partial):
        try:
            file = shard.open()
            for model_id in file.embedders:
                file.part(model_id)
        except (StorageCorruption, FileUnavailable) as error:
            found[shard.number] = str(error)
    return found


_OPEN: OrderedDict[Place, Opened] = OrderedDict()
_OPENING = ForkSafeLock()


def _nearest(column: QueryColumn, best: Best, alike: bool) -> Nearest:
    rows, scores = best.rows, best.scores
    keys, ranks = column.column.row_keys[rows], ranks_of(best)
    return Nearest(keys, ranks, scores, column.similarities(rows) if alike else None, best.read)


def _told(column: QueryColumn, keys: KeyArray, alike: bool) -> Told:
    rows, known = column.column.find(keys)
    rows = rows[known]
    scores = column.scores_at(rows)
    if alike:
        return Told(known, scores, None, column.similarities(rows))
    return Told(known, scores, column.ranks_at(rows, scores), None)
