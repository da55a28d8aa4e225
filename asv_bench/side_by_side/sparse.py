"""Sparse vectors of real BM25 weights, by dot product: short and long queries."""

from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import scipy.sparse
from realistic import BATCH, Realistic

from cgcython import FingerprintStore, ModelId, SparseVector

from .timing import K, Line, Truth, Way, best_rows, tuned

QUERIES, RECALL = 64, 0.98
DIMENSION = 30_522
SHORT = 20  # terms of a short query; a long one has all of its text
CUTS = (4, 8, 12, 16, 24, 32, 64, 128)


def lines(data: Path, rows: int) -> Iterator[Line]:
    """Yield the lines of short and of long queries."""
    documents, queries = _vectors(data, rows)
    matrix = scipy.sparse.csr_array(_csr(documents), shape=(rows, DIMENSION))
    kinds = {f"{SHORT} terms": [_short(one) for one in queries], "whole texts": queries}
    with TemporaryDirectory() as folder, FingerprintStore.open(Path(folder) / "store") as store:
        store.add(range(rows), {"E6": documents})
        engines = [_qdrant(documents, Path(folder)), _seismic(documents)]
        for name, some in kinds.items():
            asked = scipy.sparse.csr_array(_csr(some), shape=(len(some), DIMENSION))
            truth = best_rows((asked @ matrix.T).toarray())
            ways = [
                Way("cgcython exact", partial(_ours, store, some), store.get_stored_size(0)),
                *(engine(some, truth) for engine in engines if engine is not None),
                _scipy(matrix, some),
            ]
            yield Line(f"{rows} sparse, {name}", ways, truth, 1.0, least=0.25)


def _vectors(data: Path, rows: int) -> tuple[list[SparseVector], list[SparseVector]]:
    made = Realistic(data, sparse="bm25")
    batches = (made.dense(ModelId.SPARSE, one) for one in range(1 << 20))
    vectors = [one for some in islice(batches, -(-(rows + QUERIES) // BATCH)) for one in some]
    return vectors[:rows], vectors[rows : rows + QUERIES]


def _short(vector: SparseVector) -> SparseVector:
    heaviest = np.sort(np.argsort(-vector.weights)[:SHORT])
    return SparseVector(vector.indices[heaviest], vector.weights[heaviest], vector.dimension)


def _csr(vectors: list[SparseVector]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    offsets = np.cumsum([0, *(len(one.indices) for one in vectors)])
    indices = np.concatenate([one.indices for one in vectors]).astype(np.int32)
    return np.concatenate([one.weights for one in vectors]), indices, offsets


def _ours(store: FingerprintStore, queries: list[SparseVector], number: int) -> list[int]:
    query = queries[number % QUERIES]
    return [hit.id for hit in store.search({"E6": query}, K, metric="dot")]


def _scipy(matrix: scipy.sparse.csr_array, queries: list[SparseVector]) -> Way:
    lists = matrix.tocsc()

    def find(number: int) -> np.ndarray:
        query = queries[number % QUERIES]
        scores = lists[:, query.indices.astype(np.int64)] @ query.weights
        return np.argpartition(scores, -K)[-K:]

    return Way("scipy csc", find, 8 * matrix.nnz / matrix.shape[0], theirs=True)


def _qdrant(documents: list[SparseVector], folder: Path):
    """Return a function that makes the way of qdrant's embedded engine, None without it."""
    try:
        import qdrant_edge as edge
    except ImportError:
        return None

    def sparse(vector: SparseVector) -> "edge.SparseVector":
        return edge.SparseVector(vector.indices.tolist(), vector.weights.tolist())

    path = folder / "qdrant"
    path.mkdir()
    vectors = {"sparse": edge.EdgeSparseVectorParams(full_scan_threshold=1)}
    shard = edge.EdgeShard.create(
        str(path), edge.EdgeConfig(sparse_vectors=vectors, max_search_threads=1)
    )
    for first in range(0, len(documents), BATCH):
        points = [
            edge.Point(
                first + i, {"sparse": edge.SparseVector(one.indices.tolist(), one.weights.tolist())}
            )
            for i, one in enumerate(documents[first : first + BATCH])
        ]
        shard.update(edge.UpdateOperation.upsert_points(points))
    shard.optimize()

    def way(queries: list[SparseVector], truth: Truth) -> Way:
        asked = [
            edge.QueryRequest(K, query=edge.Query.Nearest(sparse(one), using="sparse"))
            for one in queries
        ]
        return Way(
            "qdrant-edge",
            lambda i: [point.id for point in shard.query(asked[i % QUERIES])],
            theirs=True,
        )

    return way


def _seismic(documents: list[SparseVector]):
    """Return a function that makes seismic's way, None without it."""
    try:
        import seismic
    except ImportError:
        return None
    kind = seismic.get_seismic_string()
    dataset = seismic.SeismicDataset()
    for number, one in enumerate(documents):
        dataset.add_document(str(number), one.indices.astype(kind), one.weights)
    index = seismic.SeismicIndex.build_from_dataset(dataset, num_threads=2)

    def way(queries: list[SparseVector], truth: Truth) -> Way:
        names = [one.indices.astype(kind) for one in queries]

        def find(number: int, cut: int) -> list[int]:
            i = number % QUERIES
            how = {"k": K, "query_cut": cut, "heap_factor": 0.9}
            hits = index.search("", names[i], queries[i].weights, **how)
            return [int(name) for _, _, name in hits]

        return tuned("seismic", find, CUTS, truth, RECALL, float("nan"))

    return way
