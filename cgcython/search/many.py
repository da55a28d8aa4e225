"""Many queries at once: arrays of a row per query in, arrays of a row per query out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from cgcython.base import EmbedderId, Profile
from cgcython.errors import InvalidInput, QuantizationError
from cgcython.inputs.batches import Arrays, take_batch
from cgcython.types import Array, Float32Array, Int64Array

if TYPE_CHECKING:
    from cgcython.search.hits import Hits

MOST_HITS = 1 << 16  # of a query: the arrays have room for all


@dataclass(frozen=True, eq=False)
class SearchResult:
    """What many queries found: arrays [queries, k], the best hit of a query first.

    Where a query has fewer hits, the rest of its row is None in `ids` and `metadata`, NaN in
    `scores` and `similarities`; `counts` has how many it has. `scores` are the weighted mean of
    `embedder_scores`, those of the query itself against stored codes by embedder (NaN where a
    record lacks one): of a single embedder, its scores. `hits` are the lists that `search` returns.
    """

    hits: list[Hits] = field(repr=False)
    ids: Array  # object [queries, k]
    scores: Float32Array
    similarities: Float32Array
    embedder_scores: Mapping[Any, Float32Array]  # by embedder, or the name of an own one
    metadata: Array | None  # object [queries, k], None unless it was asked for
    left_out: Mapping[int, str] = field(default_factory=dict)  # why shards were, by number

    @property
    def counts(self) -> Int64Array:
        """The number of hits of each query, i64 [queries]."""
        return np.array(list(map(len, self.hits)), np.int64)

    @property
    def rows_read(self) -> Int64Array:
        """How many embeddings' codes were read to find the hits of each query, i64 [queries]."""
        return np.array([hits.rows_read for hits in self.hits], np.int64)

    def __len__(self) -> int:
        return len(self.hits)

    def __getitem__(self, query: int) -> Hits:
        return self.hits[query]


def gathered(
    hits: list[Hits], k: int, weights: Mapping[EmbedderId, float], with_metadata: bool
) -> SearchResult:
    """Return the SearchResult of the hits of each query, whose embedders weigh the same."""
    shape = len(hits), k
    ids, metadata = np.full(shape, None, object), np.full(shape, None, object)
    similarities, scores, total = (np.full(shape, start) for start in (np.nan, 0.0, 0.0))
    by_embedder = {one: np.full(shape, np.nan, np.float32) for one in weights}
    for row, found in enumerate(hits):
        few = len(found)
        ids[row, :few] = [hit.id for hit in found]
        metadata[row, :few] = [hit.metadata for hit in found]
        similarities[row, :few] = [hit.similarity for hit in found]
        for one, scored in by_embedder.items():
            scored[row, :few] = [hit.scores.get(one, np.nan) for hit in found]
    for one, weight in weights.items():
        known = ~np.isnan(by_embedder[one])
        total += weight * known
        scores += np.where(known, weight * by_embedder[one], 0)
    mean = np.divide(scores, total, out=np.full(shape, np.nan), where=total > 0)
    return SearchResult(
        hits,
        ids,
        mean.astype(np.float32),
        similarities.astype(np.float32),
        by_embedder,
        metadata if with_metadata else None,
    )


def queries_of(queries: Arrays, profile: Profile) -> list[dict[EmbedderId, Any]]:
    """Return the embeddings of each query of arrays with a row for each.

    Raises what taking arrays raises, and InvalidInput where a query lacks one of the embedders.
    """
    batch = take_batch(None, queries, None, profile)
    for embedder, taken in batch.columns.items():
        if taken.rows is not None and len(taken.rows) < batch.num_records:
            missing = np.setdiff1d(np.arange(batch.num_records), taken.rows)
            raise InvalidInput(
                what=f"queries of {embedder.short}",
                expected="one for each row; search for queries of other embedders apart",
                actual=f"none in row {missing[0]}",
            )
    columns = {one: taken.column for one, taken in batch.columns.items()}
    return [{one: rows[i] for one, rows in columns.items()} for i in range(batch.num_records)]


@contextmanager
def numbered(query: int) -> Iterator[None]:
    """Note in an error that is raised inside which of the queries it is about."""
    try:
        yield
    except QuantizationError as error:
        error.add_note(f"(query {query} of the batch)")
        raise
