"""What every scan does and declares: encoded embeddings in rows, and how a query scores them.

The rows of a scan are scored by one query in one pass: they are of one method and dimension and,
where the method has them, one codebook, threshold or layout. Scores are cosines for dense and
sparse embeddings (dot products when asked for), 1 - distance / bits for binary ones, MaxSim for
tokens.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Self, TypeAlias

import numpy as np

from cgcython.base import QuantizationMethod
from cgcython.checks import require_choice
from cgcython.codecs.codebook_base import Codebook
from cgcython.errors import InvalidQuantizedData
from cgcython.frames import SectionMatrix
from cgcython.parallel import each_alone, split_rows
from cgcython.records import QuantizedBatch, QuantizedEmbedding
from cgcython.search.best import best_rows
from cgcython.search.scan_registry import register
from cgcython.tensors import ArrayForm, mapped_among
from cgcython.types import Array, BoolArray, Float32Array, Int64Array

METRICS = ("cosine", "dot")
ROWS, DIM = "rows", "dim"  # axes of kept arrays whose lengths are known

Embedding: TypeAlias = Any  # a vector, SparseVector or token matrix: `_prepare` checks which
Forms: TypeAlias = Mapping[str, ArrayForm]
FindCodebook: TypeAlias = Callable[[int], Codebook]  # by id; raises CodebookMissing


class ScanKey(NamedTuple):
    """What embeddings share that are rows of one scan: its class, and what queries depend on.

    `shared` are numbers and texts that JSON keeps, the dimension first.
    """

    kind: "type[Scan]"
    shared: tuple[Any, ...]


class GraphSpace(NamedTuple):
    """What rows must share to be compared in one graph; `bits` are compared by Hamming distance."""

    bits: bool
    dim: int
    threshold: float | None = None


class Best(NamedTuple):
    """The best rows of a scan for a query, in any order, their scores, and how many were read."""

    rows: Int64Array  # the k best and every row that equals the last of them
    scores: Float32Array  # the same bits as `scores` gives
    read: int  # rows whose codes were read
    equal: int = 0  # of a column: so many are first as they equal the stored query


class Scan(ABC):
    """Rows of one method, and how a query is scored against them.

    A subclass that says which `method` it is for is registered when it is defined, and from then on
    used by loading, column files, graphs and search. It declares these class attributes:

    - `method`, and `layouts`, a part of the method's, where other scans hold the others;
    - `name`, by which column files know it, and `kept`, the arrays that they hold, by name. Without
      a name each process reads a column from its store again;
    - `is_fixed_length`: all rows are equally long codes. Then a large column is worth saving when
      its store is closed, and sections are read in bulk by `of_sections`;
    - `shared_fields`: how many of the metadata of a section, from the first, all rows share.

    It defines `of`, `joined`, `take`, `shared`, `__len__`, `_prepare` and `_score`; `from_arrays`
    where it has a name. `graph_space`, `vectors` and `vector` let its rows be put in a graph;
    `appended` and `of_appended` let a column be in memory once while it is loaded; `of_batch` lets
    columns of shards be searched where they lie.
    """

    method: ClassVar[QuantizationMethod]
    layouts: ClassVar[Sequence[str] | None] = None
    name: ClassVar[str | None] = None
    kept: ClassVar[Forms] = {}
    is_fixed_length: ClassVar[bool] = False
    shared_fields: ClassVar[int] = 0

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "method" in vars(cls):
            register(cls)

    @classmethod
    def holds(cls, quantized: QuantizedEmbedding) -> bool:
        """Return whether this scan holds an embedding that its method encoded."""
        return cls.layouts is None or quantized.metadata.layout in cls.layouts

    @classmethod
    def shared_by(cls, quantized: QuantizedEmbedding) -> tuple[Any, ...]:
        """Return `shared` of the scan that holds an embedding: its dimension, unless overridden."""
        return (quantized.original_dim,)

    # How it is made.

    @classmethod
    @abstractmethod
    def of(cls, quantized: Sequence[QuantizedEmbedding], find_codebook: FindCodebook) -> Self:
        """Return the scan of one or more embeddings that have one `shared_by`.

        Raises InvalidQuantizedData where one is not as an encoder writes it, and CodebookMissing.
        """

    @classmethod
    def of_sections(
        cls, first: QuantizedEmbedding, sections: SectionMatrix, find_codebook: FindCodebook
    ) -> Self | None:
        """Return the scan of equally long sections, whose checksums were compared.

        `first` is what the first of them holds. Returns None where one is not as an encoder writes
        it: the sections are then read one by one, so that the error names its record.
        """
        return None

    @classmethod
    def of_batch(cls, batch: QuantizedBatch, find_codebook: FindCodebook) -> Self | None:
        """Return the scan of the rows of a batch, all of which it holds, in their order.

        Columns are used where they lie, as far as a query can score them there. Returns None where
        one row is not as an encoder writes it, and by default: rows are then read one by one.
        Raises InvalidQuantizedData and CodebookMissing.
        """
        return None

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, Array], shared: tuple[Any, ...], find_codebook: FindCodebook
    ) -> Self:
        """Return the scan whose `arrays()` and `shared` these are, without copying them.

        Names, dtypes and axes were checked: they are those of `kept`. Raises Malformed where
        `shared` or the content of an array is not what kernels rely on.
        """
        raise NotImplementedError(f"{cls.__name__} has a name but no from_arrays")

    @classmethod
    @abstractmethod
    def joined(cls, scans: Sequence[Self]) -> Self:
        """Return the scan of the rows of several that have one `shared`."""

    def appended(self, lengths: Mapping[str, int]) -> dict[str, Array] | None:
        """Return the arrays that go behind those of earlier scans, which are so long, by name.

        They make up a scan by `of_appended`. None where rows of several can only be `joined`.
        """
        return None

    def of_appended(self, arrays: Mapping[str, Array]) -> Self:
        """Return the scan of arrays that were `appended`, with the same `shared`."""
        raise NotImplementedError(f"{type(self).__name__} has appended but no of_appended")

    @abstractmethod
    def take(self, rows: Int64Array) -> "Scan":
        """Return a scan of some rows that will be scored once; `subset` is for more queries."""

    def subset(self, rows: Int64Array) -> "Scan":
        """Return the scan of some rows that many queries will score."""
        return self.take(rows)

    # What it holds.

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of rows."""

    @property
    @abstractmethod
    def shared(self) -> tuple[Any, ...]:
        """What all rows have in common; see `ScanKey`."""

    @property
    def key(self) -> ScanKey:
        """What each row shares with the others."""
        return ScanKey(type(self), self.shared)

    def arrays(self) -> dict[str, Array]:
        """Return the arrays of `kept`, which a file holds: attributes of these names."""
        return self._attributes()

    def _attributes(self) -> dict[str, Array]:
        return {name: getattr(self, name) for name in self.kept}

    @cached_property
    def mapped(self) -> list[Array]:
        """An array of each file in which arrays of this scan are mapped."""
        return mapped_among(vars(self).values())

    # How it scores.

    def scores(
        self, query: Embedding, metric: str = "cosine", num_threads: int = 1
    ) -> Float32Array:
        """Return the score of every row, f32 [rows].

        Raises DimensionMismatch, and InvalidInput for an unknown metric.
        """
        require_choice(metric, "metric", METRICS)
        out = np.empty(len(self), np.float32)
        prepared = self._prepare(query, metric)

        def score(start: int, stop: int) -> None:
            self._score(prepared, metric, slice(start, stop), out[start:stop])

        split_rows(score, len(self), self._threads(prepared, num_threads))
        return out

    def best(self, query: Embedding, k: int, metric: str = "cosine", num_threads: int = 1) -> Best:
        """Return the Best k rows; a scan that knows a faster exact way overrides it."""
        scores = self.scores(query, metric, num_threads)
        rows = best_rows(scores, k)
        return Best(rows, scores[rows], len(self))

    def best_of(self, rows: Int64Array, query: Embedding, k: int, num_threads: int = 1) -> Best:
        """Return the Best k of some rows by cosine, as `best` does of all."""
        best = best_rows(scores := self.scores_of(rows, query), k)
        return Best(rows[best], scores[best], len(rows))

    def best_many(
        self, queries: Sequence[Embedding], k: int, metric: str = "cosine", num_threads: int = 1
    ) -> list[Best]:
        """Return what `best` returns for each of many queries, several at a time."""
        ways = k, metric
        return each_alone(lambda one, threads: self.best(one, *ways, threads), queries, num_threads)

    def scores_of(self, rows: Int64Array, query: Embedding, metric: str = "cosine") -> Float32Array:
        """Return the score of some rows, f32 [n]; a scan that need not copy them overrides it."""
        return self.take(rows).scores(query, metric)

    @abstractmethod
    def _prepare(self, query: Embedding, metric: str) -> Any:
        """Return what `_score` needs of a query, made once for all rows; checks the query."""

    @abstractmethod
    def _score(self, prepared: Any, metric: str, rows: slice, out: Float32Array) -> None:
        """Write the scores of a range of rows to `out`; threads score several ranges at once."""

    def _threads(self, prepared: Any, num_threads: int) -> int:
        """Return how many threads to use: fewer where starting them takes longer than scoring."""
        return num_threads

    def similarities(self, query: Embedding, stored: Embedding) -> Float32Array:
        """Return the score of every row with the query as a record would hold it, f32 [rows].

        `stored` is the query encoded and decoded; a layout that is coarser than that encodes the
        query itself. Two embeddings of zeros are equal: they score 1.
        """
        scores = self.scores(stored)
        if not has_direction(stored):
            scores[~self._nonzero()] = 1
        return scores

    def _nonzero(self) -> BoolArray:
        """Return whether each row has a value that is not zero."""
        return np.ones(len(self), np.bool_)

    def equal_rows(self, query: Embedding) -> Int64Array:
        """Return the rows that hold what the query would be stored as, if others may score higher.

        Such are the rows of zeros for a query of zeros, whose cosine with anything is 0.
        """
        return _NO_ROWS if has_direction(query) else (~self._nonzero()).nonzero()[0]

    # What a graph needs.

    def graph_space(self) -> GraphSpace | None:
        """Return the space of graphs in which the rows can be compared, or None."""
        return None

    def vectors(self, rows: Int64Array) -> Array:
        """Return some rows as a graph compares them: f32 [n, dim], or packed bits u8."""
        raise NotImplementedError(f"{type(self).__name__} has a graph_space but no vectors")

    def vector(self, query: Embedding) -> Array:
        """Return a query as `vectors` has the rows."""
        raise NotImplementedError(f"{type(self).__name__} has a graph_space but no vector")


_NO_ROWS = np.empty(0, np.int64)


def has_direction(embedding: Embedding) -> bool:
    """Return whether an embedding has a value that is not zero."""
    values: Any = getattr(embedding, "weights", embedding)
    return bool(np.count_nonzero(values))


def invalid(quantized: Sequence[QuantizedEmbedding], reason: str) -> InvalidQuantizedData:
    """Return the error of embeddings that no encoder wrote."""
    return InvalidQuantizedData(method=quantized[0].method, reason=reason)
