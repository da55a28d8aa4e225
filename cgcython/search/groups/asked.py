"""A batch of queries, and where a group of shards lies: what a task is told."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from cgcython.base import EmbedderId
from cgcython.fingerprint import Fingerprint
from cgcython.records import SparseVector
from cgcython.search.arguments import Request
from cgcython.search.query_embeddings import Embeddings
from cgcython.search.scan import Embedding

Column = Mapping[EmbedderId, Sequence[Embedding]]


class Asked(NamedTuple):
    """Queries of one request, by embedder: as they were given, and as records hold them."""

    request: Request  # of all of them: its `query` is empty
    given: Column
    stored: Column

    @classmethod
    def of(cls, request: Request, embeddings: Sequence[Embeddings]) -> "Asked":
        """Return the batch of the embeddings of each query."""
        given = {one: _packed([own[one][0] for own in embeddings]) for one in request.embedders}
        stored = {one: _packed([own[one][1] for own in embeddings]) for one in request.embedders}
        return cls(request._replace(query=Fingerprint({})), given, stored)

    def some(self, numbers: Sequence[int]) -> "Asked":
        """Return the batch of some of the queries."""
        given, stored = (
            {one: _packed([rows[number] for number in numbers]) for one, rows in column.items()}
            for column in (self.given, self.stored)
        )
        return Asked(self.request, given, stored)

    def __len__(self) -> int:
        return len(next(iter(self.given.values())))


class Place(NamedTuple):
    """Some consecutive shards of a folder.

    `version` differs where the folder's files do. With `skip`, shards that are damaged are left
    out; otherwise they raise. Shards of a `partial` folder may be missing. `cache` is a folder for
    guides.
    """

    folder: str
    numbers: tuple[int, ...]
    version: str
    skip: bool = False
    partial: bool = False
    cache: str | None = None


class Task(NamedTuple):
    """What a group is to find: `wanted` beside the queries, if anything."""

    group: int
    place: Place
    asked: Asked
    wanted: Any = None

    @property
    def home(self) -> int:
        """What tells a runner which worker has the group open."""
        return self.group


def bytes_of(query: Embeddings) -> int:
    """Return about how many bytes of a query travel."""
    return sum(_nbytes(one) for pair in query.values() for one in pair)


def _nbytes(embedding: Embedding) -> int:
    if isinstance(embedding, SparseVector):
        return embedding.indices.nbytes + embedding.weights.nbytes
    return int(embedding.nbytes)


def _packed(embeddings: Sequence[Embedding]) -> Sequence[Embedding]:
    """Return vectors as the rows of one array, which travels faster; others as they are."""
    if all(isinstance(one, np.ndarray) and one.ndim == 1 for one in embeddings):
        return cast("Sequence[Embedding]", np.stack(embeddings))
    return list(embeddings)
