"""Candidates of late interaction: documents whose tokens lie in the cells that a query's are near.

A cell is a centroid of tokens and the list of the documents that have a token nearest to it. Each
query token looks into its nearest cells; a document gets, for each query token, how much nearer the
best cell that it is in is than the first cell that was not looked into. The documents with the
largest sums are scored by their tokens. (PLAID: Santhanam et al., arXiv 2205.09707.)
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple, Self

import numpy as np

from cgcython import kernels
from cgcython.checks import require_instance, require_real, require_whole
from cgcython.errors import InvalidInput
from cgcython.similarity import cell_settings
from cgcython.similarity.cell_settings import CellSettings
from cgcython.similarity.centroids import Centroids, trained
from cgcython.similarity.query import PreparedQuery, QueryLike
from cgcython.similarity.scorers import require_dim
from cgcython.similarity.top import top_k
from cgcython.tensors import Malformed
from cgcython.token_array import TokenArray
from cgcython.token_array.runs import checked_ids
from cgcython.types import (
    ArrayLike,
    Float32Array,
    Int64Array,
    UInt8Array,
    UInt32Array,
)

MOST_VALUES = 4096  # of a token
LEAST_DOCUMENTS = 2000  # fewer are scored as fast as candidates are found
MOST = 1 << 31  # of either setting
_KEPT = "_cells"


class Candidates(NamedTuple):
    """Documents that may be among the best, ascending, and how many share a cell with the query."""

    ids: Int64Array
    read: int


@dataclass(frozen=True, eq=False)
class TokenCells:
    """The cells of documents of tokens, by which `max_sim_batch` finds candidates.

    `codes` u8 [cells, dim] are centroids as int8, `offsets` i64 [cells + 1] bounds in `members`
    u32, the documents of one cell after the other; `count` is the number of documents. `settings`
    says how many cells a token looks into, and how many documents are scored.

    >>> rng = np.random.default_rng(0)
    >>> documents = TokenArray.from_list(rng.standard_normal((3000, 8, 16)))
    >>> cells = TokenCells.of(documents)
    >>> len(cells), len(cells.codes)
    (3000, 128)
    """

    codes: UInt8Array
    offsets: Int64Array
    members: UInt32Array
    count: int
    settings: CellSettings

    @classmethod
    def of(
        cls,
        documents: TokenArray,
        queries: TokenArray | None = None,
        *,
        recall: float = 0.99,
        seed: int = 0,
        num_threads: int = 1,
    ) -> Self:
        """Return the cells of documents of any precision; the same for the same ones and seed.

        The settings are those which found `recall` of the ten best, or more, for `queries`; some
        are made from the documents where none are given. Real ones tell more. Raises InvalidInput
        for tokens of more than 4096 values.
        """
        require_instance(documents, TokenArray, "documents")
        require_whole(documents.dim, "values per token", most=MOST_VALUES)
        if queries is not None:
            require_instance(queries, TokenArray, "queries").require_values()
        require_real(recall, "recall", 0, 1)
        require_whole(seed, "seed")
        centroids = trained(documents, cells_for(documents.num_tokens), seed, num_threads)
        cells = _listed(centroids, documents, num_threads)
        whole = cls(centroids.codes, *cells, len(documents), CellSettings(1, 1))
        settings = cell_settings.chosen(whole, documents, queries, recall, seed, num_threads)
        return replace(whole, settings=settings)

    def near(self, query: PreparedQuery, wanted: int, probes: int | None = None) -> Candidates:
        """Return the `wanted` documents with the largest sums, fewer where fewer share a cell.

        `probes`, how many cells a token looks into, is that of the settings unless given. Raises
        DimensionMismatch.
        """
        if require_whole(wanted, "wanted") >= self.count:
            return Candidates(np.arange(self.count), self.count)
        sums = self.sums(query, self.settings.probes if probes is None else probes)
        ids = sums.nonzero()[0]
        read = len(ids)
        if read > wanted:
            ids = np.sort(top_k(sums, wanted)[0])
        return Candidates(ids, read)

    def sums(self, query: QueryLike, probes: int) -> Float32Array:
        """Return what each document gets, 0 for those that share no cell with the query."""
        prepared, probes = PreparedQuery.of(query), require_whole(probes, "probes", 1)
        require_dim(prepared.dim, self.codes.shape[1])
        probes = min(probes, len(self.codes))
        cells, cosines = self.centroids.nearest(prepared, probes + 1)
        floor = np.where(cells[:, -1:] < 0, np.float32(-1), cosines[:, -1:])
        gains = np.ascontiguousarray(cosines[:, :-1] - floor)
        sums, marks = np.empty(self.count, np.float32), np.empty(self.count, np.int32)
        cells = np.ascontiguousarray(cells[:, :-1])
        kernels.token_cells.accumulate(cells, gains, self.offsets, self.members, marks, sums)
        return sums

    def extended(self, documents: TokenArray, num_threads: int = 1) -> Self:
        """Return the cells of documents that begin with those of these cells."""
        added = require_instance(documents, TokenArray, "documents")[self.count :]
        require_dim(added.dim, self.codes.shape[1])
        offsets, members = _listed(self.centroids, added, num_threads)
        sizes = np.diff(self.offsets) + np.diff(offsets)
        joined = np.empty(len(self.members) + len(members), np.uint32)
        ends = np.concatenate([[0], np.cumsum(sizes)])
        own = np.repeat(ends[:-1] - self.offsets[:-1], np.diff(self.offsets))
        joined[own + np.arange(len(self.members))] = self.members
        other = np.repeat(ends[1:] - offsets[1:], np.diff(offsets))
        joined[other + np.arange(len(members))] = members + np.uint32(self.count)
        return replace(self, offsets=ends, members=joined, count=len(documents))

    def take(self, ids: ArrayLike) -> Self:
        """Return the cells of the documents of these ids, each of which is there once.

        Raises InvalidInput.
        """
        chosen = checked_ids(ids, self.count)
        numbers = np.full(self.count, -1)
        numbers[chosen] = np.arange(len(chosen))
        again = numbers[chosen] != np.arange(len(chosen))
        if again.any():
            actual = f"{chosen[again][0]} twice"
            raise InvalidInput(what="ids", expected="each of them once", actual=actual)
        taken = numbers[self.members]
        ends = np.concatenate([[0], np.cumsum(taken >= 0)])
        members = taken[taken >= 0].astype(np.uint32)
        return replace(self, offsets=ends[self.offsets], members=members, count=len(chosen))

    def require_sound(self) -> None:
        """Raise Malformed unless lists ascend in `members`, and hold documents there are."""
        offsets, members = self.offsets, self.members
        if len(offsets) != len(self.codes) + 1 or offsets[0] != 0 or offsets[-1] != len(members):
            raise Malformed("its lists are not those of its cells")
        if np.any(offsets[1:] < offsets[:-1]):
            raise Malformed("its lists do not follow each other")
        if len(members) and int(members.max()) >= self.count:
            raise Malformed(f"its lists name document {int(members.max())} of {self.count}")
        if min(self.settings) < 1 or max(self.settings) > MOST:
            raise Malformed(f"probes and candidates are {tuple(self.settings)}")

    @cached_property
    def centroids(self) -> Centroids:
        """The centroids of the cells."""
        return Centroids(self.codes)

    def __len__(self) -> int:
        return self.count

    @property
    def nbytes(self) -> int:
        """The bytes of centroids and lists."""
        return self.codes.nbytes + self.offsets.nbytes + self.members.nbytes


def cells_of(documents: TokenArray, num_threads: int = 1) -> TokenCells | None:
    """Return the cells of documents, made once for a TokenArray; None where these are few."""
    if len(documents) < LEAST_DOCUMENTS or documents.dim > MOST_VALUES:
        return None
    known: TokenCells | None = documents.__dict__.get(_KEPT)
    if known is None:
        known = documents.__dict__[_KEPT] = TokenCells.of(documents, num_threads=num_threads)
    return known


def cells_for(tokens: int) -> int:
    """Return how many cells so many tokens get: the power of two near the square root.

    >>> cells_for(10**6), cells_for(4 * 10**6)
    (1024, 2048)
    """
    return 1 << round(math.log2(max(tokens, 1)) / 2)


def _listed(
    centroids: Centroids, documents: TokenArray, num_threads: int
) -> tuple[Int64Array, UInt32Array]:
    """Return the offsets and members of the lists of documents."""
    cells = centroids.cells_of(documents, num_threads)
    owners = np.repeat(np.arange(len(documents)), documents.counts)
    there = cells >= 0
    pairs = cells[there].astype(np.int64) * len(documents) + owners[there]
    pairs.sort()
    pairs = pairs[np.concatenate([[True], pairs[1:] != pairs[:-1]])[: len(pairs)]]
    bounds = np.arange(len(centroids.codes) + 1) * len(documents)
    members = (pairs % max(len(documents), 1)).astype(np.uint32)
    return np.searchsorted(pairs, bounds).astype(np.int64), members
