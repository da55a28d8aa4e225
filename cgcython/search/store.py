"""A store that can be searched by fingerprints."""

import math
from collections.abc import Mapping
from typing import NamedTuple
from uuid import UUID

import numpy as np

from cgcython.base import ModelId
from cgcython.errors import InvalidInput
from cgcython.fingerprint import Fingerprint
from cgcython.search.columns import Columns
from cgcython.search.fusion import Ranking, fuse
from cgcython.search.loading import KEY
from cgcython.store.records import RecordStore


class Hit(NamedTuple):
    """One record that a search found.

    `similarity` compares like with like, what the query would be stored as with what is stored:
    the weighted mean over the embedders both have. `scores` are those of the query itself against
    the stored codes, by embedder.
    """

    id: UUID
    similarity: float
    scores: dict


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
        num_threads=1,
    ):
        """Return the k best records as Hits, best first.

        Every embedder of the query, or those given, ranks the records that have it by an exact
        scan of their codes; ranks are fused by reciprocal rank, `weights` (by embedder, 1 unless
        given; 0 or less ignores) times 1 / (60 + rank). A single embedder ranks by its score.
        Equals are in the order of ids. `metric="dot"` scores dense and sparse embeddings by dot
        products.
        """
        self._require_open()
        query = Fingerprint.of(query)
        wanted = _wanted(query, embedders, weights or {})
        query = Fingerprint({model_id: query[model_id] for model_id in wanted})
        stored = self.router.dequantize_fingerprint(self.router.quantize_fingerprint(query))
        views = [
            _View(self._columns.get(model_id), model_id, weight, query[model_id], stored[model_id])
            for model_id, weight in wanted.items()
        ]
        rankings = [view.rank(metric, num_threads) for view in views]
        found = np.array([key for key, _ in fuse(rankings, k)], KEY)
        total, similarity = np.zeros(len(found)), np.zeros(len(found))
        scores = [{} for _ in found]
        for view in views:
            known, like = view.report(found, scores)
            total[known] += view.weight
            similarity[known] += view.weight * like
        return [
            Hit(UUID(bytes=key.ljust(16, b"\0")), *rest)
            for key, *rest in zip(
                found.tolist(), np.clip(similarity / total, -1, 1).tolist(), scores
            )
        ]

    def _require_open(self):
        """Raise where records can no longer be read."""


class FingerprintStore(RecordStore, Searcher):
    """Fingerprints by id in a folder, found by what they are like.

    >>> from tempfile import TemporaryDirectory
    >>> memory = Fingerprint({"E9": [1.0, -1.0] * 512})
    >>> with TemporaryDirectory() as folder, FingerprintStore.open(folder) as store:
    ...     store.store(UUID(int=1), memory)
    ...     store.get_stored_size(UUID(int=1)), store.search(memory)
    (163, [Hit(id=UUID('00000000-0000-0000-0000-000000000001'), similarity=1.0, \
scores={<ModelId.HDC: 8>: 1.0})])
    """

    def __init__(self, files, shelf, profile):
        super().__init__(files, shelf, profile)
        self._columns = Columns(self, shelf.codebook)

    def _changed(self, keys):
        self._columns.changed(keys)

    def _require_open(self):
        self._files.require_open()  # columns in memory outlive the files


class _View:
    """One embedder's column as one query sees it."""

    def __init__(self, column, model_id, weight, query, stored):
        self.column, self.model_id, self.weight = column, model_id, weight
        self.query, self.stored = query, stored

    def rank(self, metric, num_threads):
        """Score every record and return the Ranking, in which the query's own bytes come first."""
        column = self.column
        self.scores = column.scores(self.query, metric, num_threads)
        twins = column.twins(self.query)
        self._twins = twins, self.scores[twins]
        self.scores[twins] = np.inf
        return Ranking(column.row_keys, self.scores, self.weight, column.find)

    def report(self, keys, scores):
        """Note the score of each key in `scores`; return which have one, and how like they are."""
        rows, known = self.column.find(keys)
        twins, their_scores = self._twins
        self.scores[twins] = their_scores
        for i in np.flatnonzero(known):
            scores[i][self.model_id] = float(self.scores[rows[i]])
        return known, self.column.like(rows[known], self.query, self.stored)


def _wanted(query, embedders, weights):
    """Return `{ModelId: weight}` of the embedders that rank."""
    if not isinstance(weights, Mapping):
        actual = type(weights).__name__
        raise InvalidInput(what="weights", expected="a mapping from embedders", actual=actual)
    weights = {ModelId.parse(name): weight for name, weight in weights.items()}
    embedders = [embedders] if isinstance(embedders, (str, ModelId)) else embedders
    wanted = query if embedders is None else [ModelId.parse(name) for name in embedders]
    for model_id in {*wanted, *weights} - set(query):
        have = ", ".join(one.short for one in query)
        raise InvalidInput(what="embedder", expected=f"of the query's {have}", actual=model_id)
    for weight in weights.values():
        if not isinstance(weight, (int, float, np.number)) or not math.isfinite(weight):
            raise InvalidInput(what="weight", expected="a finite number", actual=weight)
    wanted = {model_id: weights.get(model_id, 1.0) for model_id in wanted}
    heaviest = max(wanted.values(), default=1.0)  # as parts of it no sum overflows
    return {model_id: weight / heaviest for model_id, weight in wanted.items() if weight > 0}
