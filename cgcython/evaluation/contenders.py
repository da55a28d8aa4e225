"""What is compared: an embedder's documents by float32 and by codes, and how they rank."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cgcython.base import EmbedderId
from cgcython.evaluation import metrics
from cgcython.evaluation.ranking import (
    Column,
    Embedding,
    Ranked,
    Representation,
    Span,
    ranges,
    rank,
)
from cgcython.evaluation.representations import Codes, Exact
from cgcython.types import Float32Array, Int64Array, Progress


class Rankings(NamedTuple):
    """What ranking one embedder's documents for some queries came to; it can be pickled.

    `memories` are the numbers of the documents in the corpus, ascending, `queries` has the
    place in both rankings of each query that has the embedder, by its number.
    """

    model_id: EmbedderId
    method: str
    memories: Int64Array
    queries: Mapping[int, int]
    exact: Ranked
    coded: Ranked
    encode_us: float | None

    def of_query(self, number: int) -> Iterator[tuple[Int64Array, Float32Array]]:
        """Yield one query's (memories, scores), best first, by float32 and then by codes."""
        place = self.queries[number]
        for ranked in (self.exact, self.coded):
            rows, scores = ranked.tops[place]
            yield self.memories[rows], scores

    @classmethod
    def joined(cls, parts: Sequence[Rankings]) -> Rankings:
        """Return the Rankings of all documents, of which each part ranked some, in their order."""
        return parts[0]._replace(
            exact=Ranked.joined([one.exact for one in parts]),
            coded=Ranked.joined([one.coded for one in parts]),
        )


@dataclass(frozen=True, eq=False)
class Contender:
    """One embedder's documents, and the representation that has their codes.

    `column` is what `ranking.rank` takes; `memories` are the numbers of its rows in the corpus,
    ascending.
    """

    model_id: EmbedderId
    column: Column
    memories: Int64Array
    coded: Codes
    metric: str = "cosine"

    def blocks(self) -> list[Span]:
        """Return the (start, stop) of the blocks in which documents are ranked."""
        return list(ranges(self.column))

    def rankings(
        self,
        numbers: Sequence[int],
        queries: Sequence[Embedding],
        k: int = metrics.CUTOFF,
        num_threads: int = 1,
        advance: Progress = lambda rows: None,
        blocks: Sequence[Span] | None = None,
    ) -> Rankings:
        """Return the Rankings for queries of some numbers: of all documents, or of some blocks."""
        exact, coded = self.ranked(queries, k, num_threads, advance, blocks)
        method, took = self.coded.codec.method.value, self.coded.encode_us
        places = {number: place for place, number in enumerate(numbers)}
        return Rankings(self.model_id, method, self.memories, places, exact, coded, took)

    def ranked(
        self,
        queries: Sequence[Embedding],
        k: int = metrics.CUTOFF,
        num_threads: int = 1,
        advance: Progress = lambda rows: None,
        blocks: Sequence[Span] | None = None,
    ) -> tuple[Ranked, Ranked]:
        """Return the Ranked documents as float32 and as codes."""

        def ranking(documents: Representation) -> Ranked:
            return rank(
                documents,
                self.column,
                queries,
                k=k,
                metric=self.metric,
                num_threads=num_threads,
                advance=advance,
                blocks=blocks,
            )

        return ranking(Exact(self.coded.inputs)), ranking(self.coded)
