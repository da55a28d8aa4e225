"""Finds records by what they are like, wherever their columns come from."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeGuard

import numpy as np

from cgcython.base import EmbedderId, EmbedderName
from cgcython.checks import require_whole
from cgcython.errors import InvalidInput
from cgcython.inputs.batches import Arrays
from cgcython.parallel import each, each_alone
from cgcython.router import QuantizationRouter
from cgcython.search.arguments import (
    Among,
    Approximate,
    Embedders,
    Query,
    Request,
    Weights,
    checked_request,
    filter_of,
)
from cgcython.search.columns import Columns
from cgcython.search.filters import Filter, PreparedFilter
from cgcython.search.fusion import fuse
from cgcython.search.hits import Hit, Hits, hits_of, hits_of_one, reordered
from cgcython.search.keys import NO_KEYS
from cgcython.search.many import MOST_HITS, SearchResult, gathered, numbered, queries_of
from cgcython.search.metadata.rows import common
from cgcython.search.query_column import QueryColumn
from cgcython.search.query_embeddings import (
    Embeddings,
    all_embeddings_of,
    all_queries,
    embeddings_of,
)
from cgcython.search.scan import Best, Embedding, has_direction
from cgcython.store.ids import RecordId
from cgcython.store.where.conditions import Where
from cgcython.types import KeyArray


class Searcher:
    """Finds records by what they are like; a subclass has `router` and `_columns`.

    Every embedder that ranks does so by an exact scan of its codes. Ranks are fused by reciprocal
    rank: a record's sum is of weight / (60 + rank) over the embedders that it has; a single
    embedder ranks by its score. Equals are in the order of ids.
    """

    router: QuantizationRouter
    _columns: Columns

    def search(
        self,
        query: Query,
        k: int = 10,
        embedders: Embedders | None = None,
        weights: Weights | None = None,
        *,
        metric: str | None = None,
        where: Where | None = None,
        among: Among | None = None,
        rerank: EmbedderName | None = None,
        oversample: int = 4,
        approximate: Approximate = False,
        with_metadata: bool = False,
        num_threads: int = 1,
    ) -> Hits:
        """Return the Hits, the k best records, best first; `with_metadata` with that of each.

        `embedders` that rank, all of the query's unless given; `weights` by embedder, 1 unless
        given, 0 to ignore one. `metric="dot"` scores dense and sparse ones by dot product; without
        one, each embedder has that of the profile's row, which is "cosine" unless it says "dot".
        `where`, conditions on metadata, and `among`, ids: no other records rank. `rerank`, an
        embedder that does not rank: it orders the `oversample * k` best of the others by its own
        scores, those without it last.
        `approximate`: guides, made when first needed, find the records that embedders score by
        cosine without reading all codes: nearly those of an exact search. A number is how many each
        embedder proposes at least: more miss less. "graph": HNSW graphs (the extra `ann`) find
        them.

        Raises InvalidInput, DimensionMismatch, StorageCorruption, CodebookMissing.
        """
        self._require_open()
        ways = metric, among, rerank, oversample, approximate, num_threads
        profile = self.router.profile
        request = checked_request(query, profile, k, embedders, weights, *ways)
        hits = self._answer(self._restricted(request, where))
        self._searched(hits)
        if with_metadata:
            self._add_metadata(hits)
        return hits

    def search_many(
        self,
        queries: Arrays,
        k: int = 10,
        embedders: Embedders | None = None,
        weights: Weights | None = None,
        *,
        metric: str | None = None,
        where: Where | None = None,
        among: Among | None = None,
        rerank: EmbedderName | None = None,
        oversample: int = 4,
        approximate: Approximate = False,
        with_metadata: bool = False,
        num_threads: int = 1,
    ) -> SearchResult:
        """Return what `search` finds for each of many queries, in arrays [queries, k].

        `queries` is `{embedder: rows}`, or a table, as `store.add` takes them: a matrix, one of
        scipy, a list of vectors or token matrices, a TokenArray, `(padded, mask)`. The other
        arguments and errors are those of `search`, k at most 65,536; a note names the query.
        """
        self._require_open()
        k = require_whole(k, "k", 1, MOST_HITS)
        profile = self.router.profile
        rows = queries_of(queries, profile)
        if not rows:
            return gathered([], k, {}, with_metadata)
        ways = metric, among, rerank, oversample, approximate, num_threads
        with numbered(0):
            first = checked_request(rows[0], profile, k, embedders, weights, *ways)
        first = self._restricted(first, where)
        hits = self._answers(first, rows)
        for found in hits:
            self._searched(found)
        if with_metadata:
            self._add_metadata([hit for found in hits for hit in found])
        return gathered(hits, k, first.all_weights, with_metadata)

    def _answers(self, first: Request, rows: Sequence[Query]) -> list[Hits]:
        """Return the hits of each of many queries, of which `first` is the request of the first."""
        queries = all_queries(first, rows)
        if first.scans_one:
            return self._answers_of_one(first, queries)

        def answer(number: int, num_threads: int) -> Hits:
            with numbered(number):
                ways = first._replace(query=queries[number], num_threads=num_threads)
                return self._answer(ways)

        return each_alone(answer, range(len(rows)), first.num_threads)

    def _answers_of_one(self, request: Request, queries: Sequence[Query]) -> list[Hits]:
        """Return the hits of each of many queries, where one embedder scans all of its rows."""
        (model_id,) = request.weights
        embeddings = all_embeddings_of(request, queries, self._query_router())
        given = [one[model_id][0] for one in embeddings]
        with numbered(0):
            column, metric = self._columns.get(model_id), request.metrics[model_id]
            ways = metric, request.num_threads, request.among
            best = column.best_many(given, request.shortlist, *ways)

        def answer(number: int) -> Hits:
            with numbered(number):
                own = embeddings[number]
                mine = QueryColumn(column, model_id, weight, *own[model_id], metric)
                return self._answer_of_one(alone, mine, best[number], own)

        alone, weight = request._replace(num_threads=1), request.weights[model_id]
        # Hits are Python objects, of which threads make no more; a scan of tokens pays.
        threads = 1 if request.rerank is None else request.num_threads
        return each(answer, range(len(queries)), threads)

    def _restricted(self, request: Request, where: Where | None) -> Request:
        """Return a request of which only records rank for whose metadata conditions hold."""
        if not _has_conditions(where):
            return request
        return request._replace(among=Filter(self._keys_of_both(where, request.among)))

    def prepared(self, among: Among | None = None, *, where: Where | None = None) -> PreparedFilter:
        """Return a filter that `among=` takes, for many searches that find the same records alone.

        What is known of it is kept from one search to the next, and stays right when the store
        changes. `among` and `where` as in `search`, one of them at least. Conditions are always
        asked of this store, wherever the filter is used. Raises InvalidInput.
        """
        self._require_open()
        # What can be gone through only once is taken now.
        ids = among if among is None or isinstance(among, PreparedFilter) else filter_of(among)
        if _has_conditions(where):
            return PreparedFilter(lambda: self._keys_of_both(where, ids), self._columns.position)
        if ids is None:
            expected = "conditions or ids"
            raise InvalidInput(what="where or among", expected=expected, actual="neither")
        return ids if isinstance(ids, PreparedFilter) else PreparedFilter(lambda: ids.keys, _always)

    def _keys_of_both(self, where: Where, among: Among | None) -> KeyArray:
        keys = self._keys_where(where)
        return keys if among is None else common(keys, filter_of(among).keys)

    def _add_metadata(self, hits: Sequence[Hit]) -> None:
        """Give hits their metadata; that of records which are gone since is empty."""
        for hit, metadata in zip(hits, self._metadata_of(hit.id for hit in hits)):
            hit.metadata = metadata

    def _keys_where(self, where: Where) -> KeyArray:
        """Return the keys of the records that meet conditions, ascending."""
        raise InvalidInput(what="where", expected=_NO_METADATA, actual=f"{where!r:.60}")

    def _metadata_of(self, ids: Iterable[RecordId]) -> list[dict[str, Any]]:
        """Return the metadata of records."""
        raise InvalidInput(what="with_metadata", expected=_NO_METADATA, actual=True)

    def _answer(self, request: Request) -> Hits:
        embeddings = embeddings_of(request, self._query_router())
        columns = [self._query_column(request, one, *embeddings[one]) for one in request.weights]
        if len(columns) == 1:
            (column,) = columns
            return self._answer_of_one(request, column, column.best(request), embeddings)
        rankings = [one.rank(request) for one in columns]
        best = fuse(rankings, request.shortlist, request.num_threads)
        found = np.array(best) if best else NO_KEYS
        return self._finished(request, found, columns, embeddings)

    def _answer_of_one(
        self, request: Request, column: QueryColumn, best: Best, embeddings: Embeddings
    ) -> Hits:
        """Return the hits of the best rows of the only column that ranks."""
        if request.rerank is None:
            return hits_of_one(column, best)
        column.take_best(best)
        found = column.column.row_keys[best.rows]
        return self._finished(request, found, [column], embeddings)

    def _finished(
        self,
        request: Request,
        found: KeyArray,
        columns: list[QueryColumn],
        embeddings: Embeddings,
    ) -> Hits:
        """Return the hits of the shortlist, in another order where one embedder gives it."""
        if request.rerank is not None:
            columns = [*columns, self._reranking(request, found, *embeddings[request.rerank])]
            found = reordered(found, columns[-1])
        return hits_of(found[: request.k], columns)

    def _query_router(self) -> QuantizationRouter:
        """Return the router that encodes queries as records are encoded."""
        return self.router

    def _query_column(
        self, request: Request, model_id: EmbedderId, query: Embedding, stored: Embedding
    ) -> QueryColumn:
        """Return an embedder's column with the query, and the graph where one is to be used."""
        graph, metric = None, request.metrics[model_id]
        guided = False
        if not request.approximate:
            column = self._columns.get(model_id)
        elif request.uses_guides and metric == "cosine":
            column = self._columns.guided(model_id, request.num_threads)
            guided = len(column.guides) > 0
        elif request.uses_graphs and metric == "cosine" and has_direction(query):
            column, graph = self._columns.graph(model_id, request.num_threads)
        else:
            column = self._columns.get(model_id)
        weight, threads = request.weights[model_id], request.num_threads
        ways = metric, threads, graph, guided
        return QueryColumn(column, model_id, weight, query, stored, *ways)

    def _reranking(
        self, request: Request, keys: KeyArray, query: Embedding, stored: Embedding
    ) -> QueryColumn:
        """Return the column of `rerank` with the query; of `keys` alone where it is not loaded."""
        assert request.rerank is not None
        column = self._columns.some(request.rerank, np.sort(keys))
        weight, threads = request.rerank_weight, request.num_threads
        metric = request.metrics[request.rerank]
        return QueryColumn(column, request.rerank, weight, query, stored, metric, threads)

    def _searched(self, hits: Hits) -> None:
        """Take note of what a query found."""

    def _require_open(self) -> None:
        """Raise where records can no longer be read."""


def _has_conditions(where: object) -> TypeGuard[Where]:
    """Return whether there is anything to check and ask: what is no object will be refused."""
    return where is not None and not (isinstance(where, Mapping) and not where)


def _always() -> int:
    """Return a position that never moves: ids stay as they were given."""
    return 0


_NO_METADATA = "a store to search: shards keep no metadata"
