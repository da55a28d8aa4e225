"""Chooses how many cells and documents a query looks at: what queries need whose best are known.

The ten best of each query are found first, among a generous number of candidates. For each number
of cells that a token may look into, the documents are ordered by their sums; the place of the best
in that order says how many candidates would have had to be scored to find them.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cgcython.parallel import each
from cgcython.similarity import scorers
from cgcython.similarity.centroids import tokens_of
from cgcython.similarity.query import PreparedQuery
from cgcython.similarity.top import top_k
from cgcython.token_array import TokenArray
from cgcython.types import Int64Array

if TYPE_CHECKING:
    from cgcython.similarity.token_cells import TokenCells

PROBES = 16, 32  # numbers of cells to choose from: fewer miss documents that others would find
BEST = 10  # documents that are to be found for a query
QUERIES, TOKENS = 64, 32  # queries made from documents, and their tokens
SAFETY = 1.5  # candidates for each that the queries needed: others will need more
FEWEST = 512  # candidates: real queries are harder than made ones
GENEROUS = 8  # one document in so many is scored to know the best, or
LEAST_SCORED = 2000
ENTRY = 1 / 20  # of a list, beside a token of a candidate: what reading it costs


class CellSettings(NamedTuple):
    """How many cells each query token looks into, and how many documents are scored."""

    probes: int
    candidates: int

    def candidates_for(self, k: int) -> int:
        """Return how many documents are scored to find the k best."""
        return self.candidates * max(k, BEST) // BEST


def chosen(
    cells: "TokenCells",
    documents: TokenArray,
    queries: TokenArray | None,
    recall: float,
    seed: int,
    num_threads: int = 1,
) -> CellSettings:
    """Return the cheapest settings that find `recall` of the best of queries, on an average.

    Queries without an own document among them may find any; made ones leave theirs out.
    """
    asked = list(_made(documents, seed) if queries is None else _given(queries))

    def places(one: tuple[PreparedQuery, int]) -> list[Int64Array]:
        return _places(cells, documents, *one)

    found = each(places, asked, num_threads)
    costs = {}
    for at, probes in enumerate(PROBES):
        needed = _needed([one[at] for one in found], recall)
        settings = CellSettings(probes, max(FEWEST, int(SAFETY * needed)))
        costs[settings] = _cost(cells, documents, settings)
    return min(costs, key=costs.__getitem__)


def _needed(places: list[Int64Array], recall: float) -> int:
    """Return how many candidates hold `recall` of those that stand at these places."""
    every = np.sort(np.concatenate([np.zeros(1, np.int64), *places]))
    return int(every[min(int(recall * len(every)), len(every) - 1)]) + 1


def _cost(cells: "TokenCells", documents: TokenArray, settings: CellSettings) -> float:
    """Return what a query costs, in tokens of candidates."""
    entries = settings.probes * len(cells.members) / max(len(cells.codes), 1)
    per_document = documents.num_tokens / max(len(documents), 1)
    return TOKENS * ENTRY * entries + settings.candidates * per_document


def _places(
    cells: "TokenCells", documents: TokenArray, query: PreparedQuery, own: int
) -> list[Int64Array]:
    """Return, for each number of cells, which candidates the best are, from 0 on."""
    scored = max(LEAST_SCORED, len(documents) // GENEROUS)
    ids = cells.near(query, scored, PROBES[-1]).ids
    ids = ids[ids != own]
    sums = scorers.sums(query, documents, ids=ids)
    best = ids[top_k(sums, BEST)[0]]
    found = []
    for probes in PROBES:
        gained = cells.sums(query, probes)
        found.append(np.count_nonzero(gained > gained[best, None], axis=1))
    return found


def _given(queries: TokenArray) -> Iterator[tuple[PreparedQuery, int]]:
    for tokens in queries:
        yield PreparedQuery.of(tokens), -1


def _made(documents: TokenArray, seed: int) -> Iterator[tuple[PreparedQuery, int]]:
    """Yield queries and their own document: half of their tokens are its, half of any others.

    Tokens of one document alone would find it, and those like it, more easily than queries do.
    """
    rng = np.random.default_rng(seed)
    filled = documents.counts.nonzero()[0]
    for own in rng.permutation(filled)[:QUERIES].tolist():
        owners = np.full(TOKENS, own)
        owners[TOKENS // 2 :] = rng.choice(filled, TOKENS - TOKENS // 2)
        rows = documents.starts[owners] + rng.integers(documents.counts[owners])
        yield PreparedQuery(tokens_of(documents, rows)), own
