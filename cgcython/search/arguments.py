"""Checks what a search is asked for."""

import sys
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from cgcython.base import EmbedderId, EmbedderName, Profile
from cgcython.checks import require_choice, require_items, require_real, require_whole
from cgcython.errors import InvalidInput
from cgcython.fingerprint import Fingerprint
from cgcython.parallel import require_threads
from cgcython.search.filters import Filter, PreparedFilter
from cgcython.search.fusion import deciding_depth
from cgcython.search.keys import keys_of
from cgcython.search.scan import METRICS
from cgcython.store.ids import RecordId
from cgcython.types import UInt8Array

Embedders: TypeAlias = EmbedderName | Iterable[EmbedderName]
Weights: TypeAlias = Mapping[Any, float]  # by embedder, in any of its names
Approximate: TypeAlias = bool | int | Literal["graph"]
# Records: an array has the 16 bytes of a UUID in each row.
Among: TypeAlias = Iterable[RecordId] | UInt8Array | PreparedFilter | Filter
Query: TypeAlias = Mapping[Any, Any]  # a Fingerprint, or embeddings by embedder


class Request(NamedTuple):
    """What a search is asked for, checked.

    `weights` are those of the embedders that rank, the heaviest 1. They find `shortlist` records,
    of which `rerank`, where there is one, chooses the k best. Only those `among` rank, where given.
    `approximate` records or more are proposed by each embedder, by `graphs` or by guides; all are
    scored where it is 0.
    """

    query: Fingerprint
    k: int
    weights: dict[EmbedderId, float]
    rerank: EmbedderId | None
    rerank_weight: float
    shortlist: int
    metrics: Mapping[EmbedderId, str]
    among: Filter | None
    approximate: int
    graphs: bool
    num_threads: int

    @property
    def embedders(self) -> list[EmbedderId]:
        """Those that rank and the one that orders anew."""
        return [*self.weights] if self.rerank is None else [*self.weights, self.rerank]

    @property
    def all_weights(self) -> dict[EmbedderId, float]:
        """The weight of each embedder that scores hits."""
        last = {} if self.rerank is None else {self.rerank: self.rerank_weight}
        return {**self.weights, **last}

    @property
    def uses_graphs(self) -> bool:
        """Whether graphs find the records, where cosines are asked for: they know no filters."""
        return self.graphs and self.among is None

    @property
    def uses_guides(self) -> bool:
        """Whether guides find the records, where cosines are asked for."""
        return self.approximate > 0 and not self.graphs

    @property
    def scans_one(self) -> bool:
        """Whether one embedder ranks, by a scan of all its rows."""
        return len(self.weights) == 1 and not self.approximate

    @property
    def depth(self) -> int:
        """How many records each embedder proposes, so that the best fused ones are among them."""
        return max(deciding_depth([*self.weights.values()], self.shortlist), self.approximate)


def checked_request(
    query: Query,
    profile: Profile,
    k: int,
    embedders: Embedders | None,
    weights: Weights | None,
    metric: str | None,
    among: Among | None,
    rerank: EmbedderName | None,
    oversample: int,
    approximate: Approximate,
    num_threads: int,
) -> Request:
    """Return the Request of the arguments of `Searcher.search`, with the embedders of a profile.

    Raises InvalidInput.
    """
    weights = {} if weights is None else weights
    k, fingerprint = require_whole(k, "k", 1), Fingerprint.of(query)
    last = None if rerank is None else profile.embedder(rerank)
    ranking, last_weight = _weights_of(fingerprint, profile, embedders, weights, last)
    return Request(
        fingerprint,
        k,
        weights=ranking,
        rerank=last,
        rerank_weight=last_weight,
        shortlist=k if last is None else k * require_whole(oversample, "oversample", 1),
        metrics=_metrics(metric, profile, [*ranking] if last is None else [*ranking, last]),
        among=None if among is None else filter_of(among),
        approximate=_least_proposed(approximate),
        graphs=isinstance(approximate, str),
        num_threads=require_threads(num_threads),
    )


def filter_of(among: Among) -> Filter:
    """Return the Filter of ids in any form. Raises InvalidInput."""
    if isinstance(among, PreparedFilter):
        return among.now()
    return among if isinstance(among, Filter) else Filter(keys_of(among))


def _metrics(
    metric: str | None, profile: Profile, embedders: Iterable[EmbedderId]
) -> dict[EmbedderId, str]:
    """Return the metric of each embedder: the one asked for, else that of the profile's row."""
    if metric is not None:
        return dict.fromkeys(embedders, require_choice(metric, "metric", METRICS))
    return {one: profile[one].setting("metric", METRICS[0]) for one in embedders}


def _least_proposed(approximate: Approximate) -> int:
    """Return how many records an embedder has to propose at least, 0 where all are scored."""
    if isinstance(approximate, (bool, np.bool_)):
        return int(approximate)
    if isinstance(approximate, str) and approximate == "graph":
        return 1
    try:
        return require_whole(approximate, "approximate", 1)
    except InvalidInput as error:
        expected = 'True, False, "graph" or a number of records, 1 or more'
        shown = f"{approximate!r:.60}"
        raise InvalidInput(what="approximate", expected=expected, actual=shown) from error


def _weights_of(
    query: Fingerprint,
    profile: Profile,
    embedders: Embedders | None,
    weights: Weights,
    rerank: EmbedderId | None,
) -> tuple[dict[EmbedderId, float], float]:
    """Return the weight of each embedder that ranks, the heaviest 1, and that of `rerank`."""
    if not isinstance(weights, Mapping):
        actual = type(weights).__name__
        raise InvalidInput(what="weights", expected="a mapping from embedders", actual=actual)
    given: dict[EmbedderId, float] = {
        profile.embedder(one): _weight(weight) for one, weight in weights.items()
    }
    wanted = _parsed(query if embedders is None else embedders, profile)
    for model_id in (*wanted, *given, *([] if rerank is None else [rerank])):
        if model_id not in query:
            have = ", ".join(one.short for one in query)
            raise InvalidInput(what="embedder", expected=f"of the query's {have}", actual=model_id)
    ranking = {one: given.get(one, 1.0) for one in wanted if one != rerank}
    if rerank is not None and not any(weight > 0 for weight in ranking.values()):
        expected = f"another embedder to find what {rerank.short} orders anew"
        raise InvalidInput(what="rerank", expected=expected, actual=f"{rerank.short} alone")
    if ranking and not any(ranking.values()):
        raise InvalidInput(what="weights", expected="one above 0 or more", actual="zeros")
    heaviest = max(ranking.values(), default=1.0)  # relative to it, no sum overflows
    ranking = {one: weight / heaviest for one, weight in ranking.items() if weight > 0}
    last_weight = 1.0 if rerank is None else given.get(rerank, 1.0)
    return ranking, last_weight / heaviest


def _parsed(embedders: Embedders, profile: Profile) -> list[EmbedderId]:
    if isinstance(embedders, (str, int)):
        return [profile.embedder(embedders)]
    return [profile.embedder(one) for one in require_items(embedders, "embedders")]


def _weight(weight: object) -> float:
    return require_real(weight, "weight", 0, sys.float_info.max)
