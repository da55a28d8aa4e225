"""A store that can be searched by fingerprints."""

import logging
from typing import NamedTuple
from uuid import UUID

import numpy as np

from cgcython.base import ModelId
from cgcython.errors import QuantizationError, StoreUnavailable
from cgcython.fingerprint import Fingerprint
from cgcython.search.arguments import keys_of, weights_of, whole
from cgcython.search.columns import Columns
from cgcython.search.fusion import NOWHERE, deciding_depth, fuse
from cgcython.search.loading import KEY, whole_keys
from cgcython.search.query_column import View
from cgcython.store.records import RecordStore

_LOGGER = logging.getLogger(__name__)


class Hit(NamedTuple):
    """One record that a search found.

    `similarity` compares like with like, what the query would be stored as with what is stored:
    the weighted mean over the embedders both have. `scores` are those of the query itself against
    the stored codes, by embedder.
    """

    id: UUID
    similarity: float
    scores: dict


class _How(NamedTuple):
    """In which way records are ranked; `among` holds the only keys that rank, or None."""

    metric: str
    among: np.ndarray | None
    approximate: int
    num_threads: int


class Searcher:
    """Finds records by what they are like; a subclass has `router` and `_columns`."""

    def search(
        self,
        query,
        k=10,
        embedders=None,
        weights=None,
        *,
        metric="cosine",
        among=None,
        rerank=None,
        oversample=4,
        approximate=False,
        num_threads=1,
    ):
        """Return the k best records as Hits, best first.

        Every embedder of the query, or those given, ranks the records that have it by an exact
        scan of their codes; ranks are fused by reciprocal rank, `weights` (by embedder, 1 unless
        given; 0 or less ignores) times 1 / (60 + rank). A single embedder ranks by its score.
        Equals are in the order of ids. `metric="dot"` scores dense and sparse embeddings by dot
        products.

        `among`, ids, leaves the others out before any is ranked. `rerank` names an embedder that
        does not rank all: it orders the `oversample * k` best of the others by its own scores,
        those without it last. Only their records are read for that, where it was never searched.

        `approximate` lets each dense embedder rank only what an HNSW graph finds near the query,
        by the same scores; the graph is built when first asked for (the extra `ann`). A number in
        place of True makes it find so many at least: it misses less and takes longer. Sparse
        vectors, tokens, dot products and `among` are scanned exactly all the same.
        """
        self._require_open()
        k, query = whole("k", k), Fingerprint.of(query)
        rerank = None if rerank is None else ModelId.parse(rerank)
        wanted, rerank_weight = weights_of(query, embedders, weights or {}, rerank)
        depth = k if rerank is None else k * whole("oversample", oversample)
        if not isinstance(approximate, (bool, np.bool_)):
            approximate = whole("approximate", approximate)
        how = _How(metric, None if among is None else keys_of(among), approximate, num_threads)
        both = self._as_asked_and_stored(query, [*wanted, *({rerank} - {None})])
        views, found = self._fused(both, wanted, depth, how)
        if rerank is not None:
            column = self._columns.some(rerank, np.sort(found))
            views.append(View(column, rerank, rerank_weight, *both[rerank]))
            found = _ordered_anew(found, views[-1].rank_some(np.sort(found), metric))
        return _hits(found[:k], views)

    def _as_asked_and_stored(self, query, embedders):
        """Return each embedding of a query, and what a record would hold of it."""
        query = Fingerprint({model_id: query[model_id] for model_id in embedders})
        stored = self.router.dequantize_fingerprint(self.router.quantize_fingerprint(query))
        return {model_id: (query[model_id], stored[model_id]) for model_id in embedders}

    def _fused(self, both, wanted, depth, how):
        """Return a View for each embedder that ranks, and the keys of the best records."""
        graphs = how.approximate and how.among is None and how.metric == "cosine"
        deep = deciding_depth(list(wanted.values()), depth) if wanted else 0
        views, rankings = [], []
        for model_id, weight in wanted.items():
            column, graph = self._columns.get(model_id), None
            if graphs:
                column, graph = self._columns.graph(model_id, how.num_threads)
                deep = max(deep, how.approximate)
            view = View(column, model_id, weight, *both[model_id])
            if how.among is not None:
                ranking = view.rank_some(how.among, how.metric, how.num_threads)
            elif graph is not None:
                ranking = view.rank_near(graph, deep, how.metric, how.num_threads)
            else:
                ranking = view.rank(how.metric, how.num_threads)
            views.append(view)
            rankings.append(ranking)
        return views, np.array(fuse(rankings, depth, how.num_threads), KEY)

    def _require_open(self):
        """Raise where records can no longer be read."""


class FingerprintStore(RecordStore, Searcher):
    """Fingerprints by id in a folder, found by what they are like.

    >>> from tempfile import TemporaryDirectory
    >>> memory = Fingerprint({"E9": [1.0, -1.0] * 512})
    >>> with TemporaryDirectory() as folder, FingerprintStore.open(folder) as store:
    ...     store.store(UUID(int=1), memory)
    ...     store.get_stored_size(UUID(int=1)), store.search(memory)
    (183, [Hit(id=UUID('00000000-0000-0000-0000-000000000001'), similarity=1.0, \
scores={<ModelId.HDC: 8>: 1.0})])
    """

    def __init__(self, files, shelf, profile):
        super().__init__(files, shelf, profile)
        self._columns = Columns(self, shelf.codebook, self.path)

    def save_columns(self, embedders=None, *, graphs=False, num_threads=1, progress=None):
        """Write the columns of some embedders, or those that were searched, and return the files.

        They lie in the folder `columns` of the store, are mapped when it is searched again, and may
        be deleted at any time. Closing a store saves large columns by itself, where they have no
        file or one of long ago, but not those of sparse vectors and tokens, which take as much room
        as the records. Graphs that were built are saved too; `graphs` builds those of `embedders`,
        and `progress` is called with the number of records added at a time.
        """
        if self._files.read_only:
            raise StoreUnavailable(path=self.path, reason="it was opened with read_only=True")
        if embedders is not None:
            embedders = [ModelId.parse(one) for one in embedders]
        if graphs:
            for model_id in embedders or ():
                self._columns.graph(model_id, num_threads, progress)
        return self._columns.save(embedders)

    def close(self):
        """Give the folder back to other processes."""
        if self._files.is_open and not self._files.read_only:
            try:
                self._columns.save_what_pays()
            except (OSError, QuantizationError) as error:
                _LOGGER.warning("store %s: its columns were not saved: %s", self.path, error)
        super().close()

    def _require_open(self):
        self._files.require_open()  # columns in memory outlive the files


def _ordered_anew(found, ranking):
    """Return found keys by the scores of a ranking, those that it has not last."""
    scores = dict(zip(ranking.keys.tolist(), ranking.scores.tolist()))
    order = [-scores.get(key, NOWHERE) for key in found.tolist()]
    return found[np.argsort(order, kind="stable")]


def _hits(found, views):
    """Return the Hits of keys as the views of a query see them."""
    total, similarity = np.zeros(len(found)), np.zeros(len(found))
    scores = [{} for _ in found]
    for view in views:
        known, like = view.report(found, scores)
        total[known] += view.weight
        similarity[known] += view.weight * like
    similarity = np.clip(similarity / total, -1, 1).tolist()
    ids = [UUID(bytes=key) for key in whole_keys(found)]
    return [Hit(*fields) for fields in zip(ids, similarity, scores)]
