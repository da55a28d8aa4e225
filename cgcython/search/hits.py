"""Hits: the records that a search found, and how they are made of what columns found."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np

from cgcython.base import EmbedderId
from cgcython.search.best import UNRANKED
from cgcython.search.keys import whole_keys
from cgcython.search.query_column import QueryColumn
from cgcython.search.scan import Best
from cgcython.store.ids import StoredId, id_of
from cgcython.types import BoolArray, Float32Array, KeyArray


class _Scored(NamedTuple):
    id: StoredId
    similarity: float
    scores: dict[Any, float]  # the name of an own embedder is as good as its key


class Hit(_Scored):
    """One record that a search found: the tuple (id, similarity, scores).

    `similarity` compares like with like, what the query would be stored as with what is stored:
    the weighted mean over the embedders both have. `scores` are those of the query itself against
    the stored codes, by embedder. `metadata` is what the record's owner says of it, None unless
    the search was asked for it.
    """

    metadata: dict[str, Any] | None = None

    def __repr__(self) -> str:
        shown = super().__repr__()
        return shown if self.metadata is None else f"{shown[:-1]}, metadata={self.metadata!r})"


class Hits(list[Hit]):
    """The hits of a query, best first.

    `rows_read` is how many embeddings' codes were read to find them, of all embedders that rank.
    """

    def __init__(self, hits: Iterable[Hit] = (), rows_read: int = 0) -> None:
        super().__init__(hits)
        self.rows_read = rows_read


class Reporting(Protocol):
    """What an embedder says of the records that a query found."""

    @property
    def weight(self) -> float:
        """The weight of the embedder."""

    @property
    def read(self) -> int:
        """How many rows' codes were read to rank."""

    def report(
        self, keys: KeyArray, scores: Sequence[dict[EmbedderId, float]]
    ) -> tuple[BoolArray, Float32Array]:
        """Write scores of keys; return which have one, and how alike they are; see QueryColumn."""

    def ranks_of(self, keys: KeyArray) -> tuple[KeyArray, Float32Array]:
        """Return those of some keys, which ascend, that have the embedder, and what orders them."""


def hits_of_one(column: QueryColumn, best: Best) -> Hits:
    """Return the Hits of the best rows of the only column of a query."""
    alike = np.minimum(np.maximum(column.similarities(best.rows), -1), 1)
    scores = [{column.model_id: score} for score in best.scores.tolist()]
    keys = column.column.row_keys[best.rows]
    return Hits(made(keys, alike.tolist(), scores), best.read)


def hits_of(keys: KeyArray, columns: Sequence[Reporting]) -> Hits:
    """Return the Hits of keys, scored by the columns of a query."""
    total, similarity = np.zeros(len(keys)), np.zeros(len(keys))
    scores: list[dict[EmbedderId, float]] = [{} for _ in keys]
    for column in columns:
        known, alike = column.report(keys, scores)
        total[known] += column.weight
        similarity[known] += column.weight * alike
    every = made(keys, (similarity / total).clip(-1, 1).tolist(), scores)
    return Hits(every, sum(column.read for column in columns))


def made(
    keys: KeyArray, similarities: Iterable[float], scores: Iterable[dict[EmbedderId, float]]
) -> Iterator[Hit]:
    """Yield the Hit of each key."""
    return map(_new_hit, zip(map(id_of, whole_keys(keys)), similarities, scores))


# The named constructor is Python, and slower.
_new_hit = partial(tuple.__new__, Hit)


def reordered(keys: KeyArray, column: Reporting) -> KeyArray:
    """Return keys by their scores in a column, those that it has not last."""
    known, ranks = column.ranks_of(np.sort(keys))
    scores = dict(zip(known.tolist(), ranks.tolist()))
    order = np.argsort([-scores.get(key, UNRANKED) for key in keys.tolist()], kind="stable")
    return keys[order]
