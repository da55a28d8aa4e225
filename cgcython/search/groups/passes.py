"""The passes of a batch of queries over the groups of a folder.

One embedder needs one pass: each group finds its best rows. Where several rank, a first pass finds
the rows that may be among the best; a second one counts, where it matters, how many rows rank above
some of them. A last pass reads what is told of the hits, in the groups that hold them.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar, cast

import numpy as np

from cgcython.base import EmbedderId
from cgcython.errors import QuantizationError
from cgcython.runners import Runner
from cgcython.search.fusion import Fusion
from cgcython.search.groups.asked import Asked, Place, Task
from cgcython.search.groups.group import Ask, ShardGroup, Wanted
from cgcython.search.groups.merging import (
    QueryTops,
    Shortlist,
    ToldColumn,
    nearest_hits,
    nearest_keys,
)
from cgcython.search.hits import Hits, hits_of, reordered
from cgcython.types import KeyArray

T = TypeVar("T")


class Passes:
    """Asks the groups of a folder, by a runner; `left_out` says why shards were, by number."""

    def __init__(self, places: Sequence[Place], runner: Runner) -> None:
        self._places, self._runner = places, runner
        self.left_out: dict[int, str] = {}

    def ask(
        self,
        method: Callable[[ShardGroup, Asked, Any], T],
        asked: Mapping[int, Asked],
        wanted: Mapping[int, Any],
    ) -> dict[int, T]:
        """Return what groups answer, by their number. Raises the first error of one."""
        tasks = [Task(one, self._places[one], asked[one], wanted.get(one)) for one in asked]
        found: dict[int, T] = {}
        for task, answer in self._runner.run(Ask(method), tasks):
            if isinstance(answer, QuantizationError):
                raise answer
            found[task.group] = answer.found
            self.left_out.update(answer.left_out)
        return found

    def _ask_all(
        self, method: Callable[[ShardGroup, Asked, Any], T], asked: Asked, wanted: Any = None
    ) -> list[T]:
        """Return what each group answers, in their order."""
        groups = range(len(self._places))
        found = self.ask(method, dict.fromkeys(groups, asked), dict.fromkeys(groups, wanted))
        return [found[group] for group in groups]

    def hits(self, asked: Asked, depth: int) -> list[Hits]:
        """Return the Hits of each query; `depth` keys of each embedder are expected to decide."""
        request = asked.request
        if len(request.weights) > 1:
            return self._told(asked, self._fused(asked, depth))
        found = list(zip(*self._ask_all(ShardGroup.nearest, asked)))
        if request.rerank is not None:
            return self._told(asked, [nearest_keys(one, request.shortlist) for one in found])
        (model_id,) = request.weights
        return [nearest_hits(model_id, one, request.k) for one in found]

    def _fused(self, asked: Asked, depth: int) -> list[Shortlist]:
        """Return the best of each query, by the fused ranks of several embedders."""
        k, weights = asked.request.shortlist, list(asked.request.weights.values())
        every = zip(*self._ask_all(ShardGroup.tops, asked, depth))
        tops = [QueryTops(one, weights, depth) for one in every]
        deeper = max(one.deciding_depth(k) for one in tops)
        if deeper > depth:
            return self._fused(asked, deeper)
        self._add_ties(asked, tops)
        fusions = [one.fusion(k) for one in tops]
        self._count(asked, fusions)
        return [one.shortlist(fusion.best()) for one, fusion in zip(tops, fusions)]

    def _add_ties(self, asked: Asked, tops: Sequence[QueryTops]) -> None:
        """Add the rows of groups in which more are equal than they told."""
        tied = _by_group((number, group) for number, one in enumerate(tops) for group in one.tied)
        least = {group: [tops[one].least for one in own] for group, own in tied.items()}
        batches = {group: asked.some(own) for group, own in tied.items()}
        for group, found in self.ask(ShardGroup.ties, batches, least).items():
            for number, (keys, scores) in zip(tied[group], found):
                tops[number].take_ties(group, keys, scores)

    def _count(self, asked: Asked, fusions: Sequence[Fusion]) -> None:
        """Count the ranks that the fusions miss."""
        numbers = [number for number, one in enumerate(fusions) if one.missing.any()]
        if not numbers:
            return
        missing = [fusions[number].missing.any(axis=1).nonzero()[0] for number in numbers]
        names = list(asked.request.weights)
        wanted = [
            {names[one]: fusions[number].uncounted(one) for one in own.tolist()}
            for number, own in zip(numbers, missing)
        ]
        found = self._ask_all(ShardGroup.counts, asked.some(numbers), wanted)
        for at, (number, own) in enumerate(zip(numbers, missing)):
            for one in own.tolist():
                better = sum(group[at][names[one]] for group in found)
                fusions[number].take(one, cast("Any", better))

    def _told(self, asked: Asked, found: list[Shortlist]) -> list[Hits]:
        """Return the Hits of shortlists, in another order where one embedder gives it."""
        request = asked.request
        if request.rerank is not None:
            columns = self._columns(asked, found, {request.rerank: request.rerank_weight}, False)
            pairs = zip(found, columns)
            found = [_in_order(one, reordered(one.keys, own)) for one, (own,) in pairs]
        found = [one.take(np.arange(len(one.keys))[: request.k]) for one in found]
        columns = self._columns(asked, found, request.all_weights, True)
        return [hits_of(one.keys, own) for one, own in zip(found, columns)]

    def _columns(
        self,
        asked: Asked,
        found: Sequence[Shortlist],
        weights: Mapping[EmbedderId, float],
        alike: bool,
    ) -> list[list[ToldColumn]]:
        """Return what each of some embedders says of the keys of each query."""
        columns = [_blank(weights, one) for one in found]
        mine = _by_group(
            (i, group) for i, one in enumerate(found) for group in set(one.groups.tolist())
        )
        wanted = {
            group: Wanted([_of(found[i], group) for i in own], list(weights), alike)
            for group, own in mine.items()
        }
        batches = {group: asked.some(own) for group, own in mine.items()}
        for group, told in self.ask(ShardGroup.told, batches, wanted).items():
            for i, answers in zip(mine[group], told):
                for column in columns[i]:
                    column.take(found[i].groups == group, answers[column.model_id])
        return columns


def _by_group(pairs: Iterable[tuple[int, int]]) -> dict[int, list[int]]:
    """Return the queries of each group, of (query, group)."""
    found: dict[int, list[int]] = defaultdict(list)
    for query, group in pairs:
        found[group].append(query)
    return found


def _blank(weights: Mapping[EmbedderId, float], found: Shortlist) -> list[ToldColumn]:
    """Return the columns of a query, of which groups tell; the first says how much was read."""
    columns = [ToldColumn(one, weight, found.keys) for one, weight in weights.items()]
    columns[0].read = found.read
    return columns


def _of(found: Shortlist, group: int) -> KeyArray:
    keys: KeyArray = found.keys[found.groups == group]
    return keys


def _in_order(found: Shortlist, keys: KeyArray) -> Shortlist:
    """Return a shortlist in the order of its keys that is given."""
    order = found.keys.argsort()
    return found.take(order[found.keys.searchsorted(keys, sorter=order)])
