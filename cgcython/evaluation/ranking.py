"""Ranks a corpus of any size for many queries: block by block, the best of each query kept.

Memory is one block of documents, the best documents of each query, and one loss per document.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from cgcython.codecs.base import InputKind
from cgcython.evaluation import metrics
from cgcython.evaluation.representations import Block
from cgcython.parallel import split_rows
from cgcython.records import SparseVector
from cgcython.types import Array, Float32Array, Int64Array, Progress

Span: TypeAlias = tuple[int, int]  # the first of some rows, and the one behind the last
Embedding: TypeAlias = Array | SparseVector  # a vector [dim], non-zeros or tokens [n, dim]

BLOCK_BYTES = 1 << 24  # of float32 documents
MOST_ROWS = 1 << 14
QUERIES = 64  # whose scores of a block are held at a time


class Column(Protocol):
    """One embedder's documents."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Embedding: ...
    @property
    def mean_bytes(self) -> float:
        """The bytes of an embedding as float32, on average."""

    def batch(self, start: int, stop: int) -> Any:
        """Return documents start to stop as a codec encodes many of them."""


class Representation(Protocol):
    """Documents as float32 or as codes of some kind: what they lose, and what scores them."""

    @property
    def inputs(self) -> InputKind: ...
    @property
    def encode_us(self) -> float | None:
        """The µs that encoding one document took; None where nothing is encoded."""

    @property
    def scan_ns(self) -> float | None:
        """The ns that a scan of many rows takes for one; None where it was not measured."""

    def asked(self, queries: Sequence[Any]) -> Sequence[Any]:
        """Return queries as the scans of a Block take them."""

    def block(self, documents: Any, first: int, num_threads: int = 1) -> Block:
        """Return the Block of documents from number `first` on, which a column's `batch` has."""


class Tops:
    """The k best of the documents that each query has met, best first, the lower on ties."""

    def __init__(self, num_queries: int, k: int = metrics.CUTOFF) -> None:
        self.k = k
        self._found: list[tuple[Int64Array, Float32Array]] = [
            (np.empty(0, np.int64), np.empty(0, np.float32))
        ] * num_queries

    def __len__(self) -> int:
        return len(self._found)

    def see(self, query: int, first: int, scores: Float32Array) -> None:
        """Note the scores of documents numbered from `first`, above all that were seen."""
        ids, best = self._found[query]
        rows = metrics.top(scores, self.k)
        ids, best = np.concatenate([ids, rows + first]), np.concatenate([best, scores[rows]])
        order = np.argsort(-best, kind="stable")[: self.k]
        self._found[query] = ids[order], best[order]

    @classmethod
    def joined(cls, parts: "Sequence[Tops]") -> "Tops":
        """Return the k best of what each part has met: of its documents, above those before."""
        whole = cls(len(parts[0]), parts[0].k)
        for query in range(len(whole)):
            ids, scores = (np.concatenate(some) for some in zip(*(one[query] for one in parts)))
            order = np.argsort(-scores, kind="stable")[: whole.k]
            whole._found[query] = ids[order], scores[order]
        return whole

    def __getitem__(self, query: int) -> tuple[Int64Array, Float32Array]:
        """Return the documents and the scores of a query."""
        return self._found[query]


class Ranked(NamedTuple):
    """What ranking a corpus by one of its representations came to."""

    tops: Tops
    losses: Array | None
    num_bytes: int
    framed_bytes: int
    layouts: frozenset[str]

    @classmethod
    def joined(cls, parts: "Sequence[Ranked]") -> "Ranked":
        """Return what ranking all documents came to, of which each part ranked some in order."""
        return _sum(Tops.joined([one.tops for one in parts]), parts)


def rank(
    documents: Representation,
    column: Column,
    queries: Sequence[Any],
    *,
    k: int = metrics.CUTOFF,
    metric: str = "cosine",
    num_threads: int = 1,
    advance: Progress = lambda rows: None,
    blocks: Sequence[Span] | None = None,
) -> Ranked:
    """Return the Ranked documents of a column, as one of its representations has them.

    `advance(rows)` is called after each block. With `blocks`, some of the `ranges` of the column,
    only their documents are ranked.
    """
    tops, seen = Tops(len(queries), k), []
    asked = documents.asked(queries)
    for start, stop in ranges(column) if blocks is None else blocks:
        block = documents.block(column.batch(start, stop), start, num_threads)
        see = _shown(block, asked, metric, tops, start, stop)
        split_rows(see, len(queries), num_threads)
        seen.append(block._replace(scans=[]))
        advance(stop - start)
    return _sum(tops, seen)


def _shown(
    block: Block, queries: Sequence[Any], metric: str, tops: Tops, first: int, last: int
) -> Callable[[int, int], None]:
    """Return `score(start, stop)`, which shows documents first to last to a range of queries.

    A scan meets several queries before the next one does, while its rows are at hand.
    """

    def score(start: int, stop: int) -> None:
        scores = np.empty((min(QUERIES, stop - start), last - first), np.float32)
        for begin in range(start, stop, QUERIES):
            some = range(begin, min(begin + QUERIES, stop))
            for rows, scan in block.scans:
                for row, number in enumerate(some):
                    scores[row, rows] = scan.scores(queries[number], metric)
            for row, number in enumerate(some):
                tops.see(number, first, scores[row])

    return score


def _sum(tops: Tops, blocks: Sequence[Block] | Sequence[Ranked]) -> Ranked:
    losses = [block.losses for block in blocks if block.losses is not None]
    return Ranked(
        tops,
        np.concatenate(losses) if losses else None,
        sum(block.num_bytes for block in blocks),
        sum(block.framed_bytes for block in blocks),
        frozenset().union(*(block.layouts for block in blocks)),
    )


def ranges(column: Column) -> Iterator[Span]:
    """Yield the (start, stop) of blocks of about 16 MB of float32."""
    step = max(1, min(MOST_ROWS, int(BLOCK_BYTES / max(1.0, column.mean_bytes))))
    for start in range(0, len(column), step):
        yield start, min(start + step, len(column))
