"""Dense embeddings as float8: one query, many, few records, a filter, and how it grows."""

from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import faiss
import numpy as np
from realistic import BATCH, Realistic
from usearch.index import Index

from cgcython import FingerprintStore, ModelId, Profile

from .timing import K, Line, Way, best_rows, recall_of, tuned, wall

MANY, ALONE = 100, 64  # queries
RECALL = 0.98
FACTORS = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
EMBEDDERS = {384: ModelId.GRAPH, 1024: ModelId.SEMANTIC}


class Dense:
    """Rows and queries of unit length, as float32 and in a store whose ids are row numbers."""

    def __init__(self, data: Path, rows: int, dim: int) -> None:
        self.values, self.queries = _unit_rows(data, rows, dim)
        scores = np.concatenate([part @ self.values.T for part in np.array_split(self.queries, 8)])
        self.truth = best_rows(scores)
        self._folder = TemporaryDirectory()
        profile = Profile({"dense": {"dimension": dim, "method": "float8_e4m3"}})
        self.store = FingerprintStore.open(Path(self._folder.name) / "store", profile=profile)
        self.store.add(range(rows), {"dense": self.values})
        self.bytes_of_codes = dim + 8.0  # with a scale and the inverse length

    @property
    def bytes_of_guides(self) -> float:
        """What the guides of approximate searches add for a record."""
        column = self.store._columns.get(self.store.router.profile.embedder("dense"))
        return sum(one.nbytes for one in column.guides) / len(column)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.store.close()
        self._folder.cleanup()

    def find(self, number: int, **how: object) -> list[int]:
        """Return the ids that the store finds for a query."""
        query = self.queries[number % len(self.queries)]
        return [hit.id for hit in self.store.search({"dense": query}, K, **how)]

    def find_many(self, number: int, **how: object) -> np.ndarray:
        """Return the ids for the first of MANY queries, all of which are asked for."""
        found = self.store.search_many({"dense": self.queries[:MANY]}, K, **how)
        return found.ids[number % MANY]


def _unit_rows(data: Path, rows: int, dim: int) -> tuple[np.ndarray, np.ndarray]:
    made, embedder = Realistic(data), EMBEDDERS[dim]
    batches: Iterator[np.ndarray] = (made.dense(embedder, one) for one in range(1 << 20))
    values = np.concatenate([*islice(batches, -(-(rows + MANY) // BATCH))])
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    return values[:rows].copy(), values[rows : rows + MANY].copy()


def one_query(dense: Dense) -> Line:
    """One query among all rows."""
    rows, dim = dense.values.shape
    approximate = partial(dense.find, approximate=True)
    recall = min(RECALL, recall_of(approximate, dense.truth))
    ways = [
        Way("cgcython exact", dense.find, dense.bytes_of_codes),
        Way("cgcython approximate", approximate, dense.bytes_of_codes + dense.bytes_of_guides),
        Way("numpy float32", lambda i: _by_numpy(dense, i), 4 * dim, theirs=True),
        *_of_faiss(dense, recall),
        _of_usearch(dense, recall),
    ]
    return Line(f"{rows} x {dim}, one query", ways, dense.truth, recall, least=0.25)


def many_queries(dense: Dense, threads: int = 1) -> Line:
    """MANY queries at once."""
    rows, dim = dense.values.shape
    faiss.omp_set_num_threads(threads)
    flat = faiss.index_factory(dim, "SQ8", faiss.METRIC_INNER_PRODUCT)
    flat.train(dense.values)
    flat.add(dense.values)
    how = {"num_threads": threads}
    ways = [
        Way("cgcython exact", partial(dense.find_many, **how), dense.bytes_of_codes, per=MANY),
        Way(
            "cgcython approximate",
            partial(dense.find_many, approximate=True, **how),
            dense.bytes_of_codes + dense.bytes_of_guides,
            per=MANY,
        ),
        Way("numpy float32", lambda i: _many_by_numpy(dense, i), 4 * dim, True, MANY),
        Way("faiss SQ8", lambda i: _search(flat, dense.queries)[i % MANY], dim, True, MANY),
    ]
    work = f"{rows} x {dim}, {MANY} queries, {threads} threads"
    return Line(work, ways, dense.truth, clock=wall, least=1.2)


def few_records(dense: Dense) -> Line:
    """Few records, where what surrounds the kernel decides."""
    flat = faiss.IndexFlatIP(384)
    flat.add(dense.values)
    ways = [
        Way("cgcython", dense.find, dense.bytes_of_codes),
        Way("faiss flat", lambda i: _search(flat, _query(dense, i))[0], 4 * 384, theirs=True),
    ]
    return Line(f"{len(dense.values)} x 384, one query", ways, dense.truth, least=0.1)


def filtered(dense: Dense) -> Line:
    """Half of the records, chosen beforehand, beside all of them."""
    rows = len(dense.values)
    half = dense.store.prepared(among=range(0, rows, 2))
    ways = [
        Way("cgcython half of them", partial(dense.find, among=half)),
        Way("cgcython all", dense.find, theirs=True),
    ]
    return Line(f"{rows} x 384, among half", ways, least=0.6)


def _query(dense: Dense, number: int) -> np.ndarray:
    number %= len(dense.queries)
    return dense.queries[number : number + 1]


def _search(index: "faiss.Index", queries: np.ndarray, **how: object) -> np.ndarray:
    return index.search(queries, K, **how)[1]


def _by_numpy(dense: Dense, number: int) -> np.ndarray:
    scores = dense.values @ dense.queries[number % len(dense.queries)]
    return np.argpartition(scores, -K)[-K:]


def _many_by_numpy(dense: Dense, number: int) -> np.ndarray:
    scores = dense.queries[:MANY] @ dense.values.T
    return np.argpartition(scores, -K, axis=1)[number % MANY, -K:]


def _of_faiss(dense: Dense, recall: float) -> Iterator[Way]:
    """Yield faiss's ways, each at the least setting that has the recall asked for."""
    faiss.omp_set_num_threads(2)
    cells = max(64, 1 << int(np.log2(len(dense.values)) // 2 + 1))
    kinds = {
        f"IVF{cells},SQ8": (faiss.SearchParametersIVF, "nprobe", (4, 8, 16, 32, 64, 128)),
        "HNSW16,SQ8": (faiss.SearchParametersHNSW, "efSearch", FACTORS),
    }
    dim = dense.values.shape[1]
    for kind, (parameters, setting, settings) in kinds.items():
        index = faiss.index_factory(dim, kind, faiss.METRIC_INNER_PRODUCT)
        index.train(dense.values[:50_000])
        index.add(dense.values)
        size = faiss.serialize_index(index).size / len(dense.values)

        def find(i: int, value: int, index=index, parameters=parameters, setting=setting):
            how = parameters(**{setting: value})
            return _search(index, _query(dense, i), params=how)[0]

        yield tuned(f"faiss {kind}", find, settings, dense.truth, recall, size)
    yield _refined(dense, recall)
    faiss.omp_set_num_threads(1)


def _refined(dense: Dense, recall: float) -> Way:
    dim = dense.values.shape[1]
    quick = faiss.index_factory(dim, "RaBitQfs", faiss.METRIC_INNER_PRODUCT)
    exact = faiss.IndexScalarQuantizer(
        dim, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    )
    index = faiss.IndexRefine(quick, exact)
    index.train(dense.values[:50_000])
    index.add(dense.values)

    def find(i: int, factor: int) -> np.ndarray:
        how = faiss.IndexRefineSearchParameters(k_factor=factor)
        return _search(index, _query(dense, i), params=how)[0]

    size = dim + dim / 8 + 8
    return tuned("faiss RaBitQfs + SQ8, k x", find, FACTORS, dense.truth, recall, size)


def _of_usearch(dense: Dense, recall: float) -> Way:
    rows, dim = dense.values.shape
    index = Index(ndim=dim, metric="cos", dtype="i8", connectivity=16, expansion_add=128)
    index.add(np.arange(rows), dense.values, threads=2)

    def find(i: int, expansion: int) -> np.ndarray:
        index.expansion_search = expansion
        return index.search(dense.queries[i % MANY], K, threads=1).keys

    size = index.serialized_length / rows
    return tuned("usearch i8", find, FACTORS, dense.truth, recall, size)
