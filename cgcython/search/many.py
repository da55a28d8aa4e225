"""Many queries at once: arrays of a row per query in, arrays of a row per query out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from cgcython.base import EmbedderId, EmbedderName
from cgcython.checks import require_items, require_mapping
from cgcython.errors import InvalidInput, QuantizationError
from cgcython.records import SparseVector
from cgcython.token_array import TokenArray
from cgcython.types import Array, Float32Array, Int64Array

if TYPE_CHECKING:
    from cgcython.search.searcher import Hit

MOST_HITS = 1 << 16  # of a query: the arrays have room for all


@dataclass(frozen=True, eq=False)
class SearchResult:
    """What many queries found: arrays [queries, k], the best hit of a query first.

    Where a query has fewer hits, the rest of its row is None in `ids` and `metadata`, NaN in
    `scores` and `similarities`; `counts` has how many it has. `scores` are the weighted mean of
    `embedder_scores`, those of the query itself against stored codes by embedder (NaN where a
    record lacks one): of a single embedder, its scores. `hits` are the lists that `search` returns.
    """

    hits: list[list[Hit]] = field(repr=False)
    ids: Array  # object [queries, k]
    scores: Float32Array
    similarities: Float32Array
    embedder_scores: Mapping[EmbedderId, Float32Array]
    metadata: Array | None  # object [queries, k], None unless it was asked for

    @property
    def counts(self) -> Int64Array:
        """The number of hits of each query, i64 [queries]."""
        return np.array(list(map(len, self.hits)), np.int64)

    def __len__(self) -> int:
        return len(self.hits)

    def __getitem__(self, query: int) -> list[Hit]:
        return self.hits[query]


def gathered(
    hits: list[list[Hit]], k: int, weights: Mapping[EmbedderId, float], with_metadata: bool
) -> SearchResult:
    """Return the SearchResult of the hits of each query, whose embedders weigh the same."""
    shape = len(hits), k
    ids, metadata = np.full(shape, None, object), np.full(shape, None, object)
    similarities, scores, total = (np.full(shape, start) for start in (np.nan, 0.0, 0.0))
    by_embedder = {one: np.full(shape, np.nan, np.float32) for one in weights}
    for row, found in enumerate(hits):
        for place, hit in enumerate(found):
            ids[row, place], metadata[row, place] = hit.id, hit.metadata
            similarities[row, place] = hit.similarity
            for one, score in hit.scores.items():
                by_embedder[one][row, place] = score
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


def queries_of(queries: Mapping[EmbedderName, Any]) -> list[dict[EmbedderName, Any]]:
    """Return the embeddings of each query, by embedder, of arrays and lists with a row for each.

    Raises InvalidInput where there is none, or where there are not equally many.
    """
    given = require_mapping(queries, "queries").items()
    columns = {one: rows_of(one, rows) for one, rows in given}
    if not columns:
        raise InvalidInput(what="queries", expected="one embedder or more", actual="none")
    counts = {one: len(rows) for one, rows in columns.items()}
    if len(set(counts.values())) > 1:
        actual = ", ".join(f"{one}: {count}" for one, count in counts.items())
        raise InvalidInput(what="queries", expected="equally many of each embedder", actual=actual)
    return [dict(zip(columns, rows)) for rows in zip(*columns.values())]


def rows_of(embedder: EmbedderName, given: Any) -> Sequence[Any]:
    """Return the rows of a matrix, a list, a TokenArray or a sparse matrix of SciPy."""
    if hasattr(given, "tocsr"):
        return _sparse_rows(given.tocsr())
    if isinstance(given, TokenArray):
        return [given[row] for row in range(len(given))]
    what, expected = f"queries of {embedder}", "an array or a list with a row for each query"
    if not isinstance(given, (list, tuple)) and hasattr(given, "__array__"):
        try:
            given = np.asarray(given)
        except (TypeError, ValueError) as error:
            raise InvalidInput(what=what, expected=expected, actual=error) from None
        if given.ndim < 2:
            raise InvalidInput(what=what, expected=expected, actual=list(given.shape))
    return require_items(given, what, expected)


@contextmanager
def numbered(query: int) -> Iterator[None]:
    """Note in an error that is raised inside which of the queries it is about."""
    try:
        yield
    except QuantizationError as error:
        error.add_note(f"(query {query} of the batch)")
        raise


def _sparse_rows(matrix: Any) -> list[SparseVector]:
    spans = zip(matrix.indptr.tolist(), matrix.indptr[1:].tolist())
    dimension = matrix.shape[1]
    return [
        SparseVector(matrix.indices[start:stop], matrix.data[start:stop], dimension)
        for start, stop in spans
    ]
