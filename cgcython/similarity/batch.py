"""One or many queries against many documents."""

from collections.abc import Callable, Iterable
from typing import Literal, TypeAlias, overload

import numpy as np

from cgcython import kernels
from cgcython.arrays import usual_arithmetic
from cgcython.checks import require_choice, require_whole
from cgcython.errors import InvalidInput
from cgcython.parallel import require_threads
from cgcython.similarity import scorers
from cgcython.similarity.query import PreparedQuery, QueryLike
from cgcython.similarity.skipping import contenders
from cgcython.similarity.token_cells import TokenCells, cells_of
from cgcython.similarity.top import Best, top_k
from cgcython.token_array import TokenArray
from cgcython.types import Float32Array, TokensLike

DocumentsLike: TypeAlias = TokenArray | Iterable[TokensLike]  # or an array [documents, tokens, dim]


@overload
def max_sim_batch(
    query: QueryLike | TokenArray,
    documents: DocumentsLike,
    reduction: str = "mean",
    k: None = None,
    num_threads: int = 1,
    *,
    approximate: Literal[False] = False,
) -> Float32Array: ...
@overload
def max_sim_batch(
    query: QueryLike | TokenArray,
    documents: DocumentsLike,
    reduction: str = "mean",
    *,
    k: int,
    num_threads: int = 1,
    approximate: bool | TokenCells = False,
) -> Best: ...
@overload
def max_sim_batch(
    query: QueryLike | TokenArray,
    documents: DocumentsLike,
    reduction: str,
    k: int,
    num_threads: int = 1,
    *,
    approximate: bool | TokenCells = False,
) -> Best: ...
@usual_arithmetic
def max_sim_batch(
    query: QueryLike | TokenArray,
    documents: DocumentsLike,
    reduction: str = "mean",
    k: int | None = None,
    num_threads: int = 1,
    *,
    approximate: bool | TokenCells = False,
) -> Float32Array | Best:
    """Return the scores of many documents as float32, or the best `k` as (ids, scores).

    `documents` is a TokenArray, of any precision and scored where it lies, or a list of matrices.
    `query` is a token matrix or PreparedQuery; for a TokenArray of queries each result has one
    row per query. `reduction` is "mean" as in `max_sim`, or "sum": ColBERT's, never clamped. A
    document scores the same whichever batch it is in and however many threads score it.
    `approximate`: only documents that TokenCells propose are scored, which finds about 99 % of the
    best; True makes the cells of a TokenArray of 2,000 documents or more, and keeps them. Raises
    DimensionMismatch, NonFiniteValue or InvalidInput; StorageCorruption where the file of mapped
    documents was cut short.

    >>> documents = TokenArray.from_list([[[0, 1]], [[1, 0], [0, 1]], [[1, 1]]])
    >>> max_sim_batch([[1, 0], [0, 1]], documents, reduction="sum", k=2)
    (array([1, 2]), array([2.       , 1.4142135], dtype=float32))
    """
    reduce = _REDUCTIONS[require_choice(reduction, "reduction", _REDUCTIONS)]
    k, threads = None if k is None else require_whole(k, "k"), require_threads(num_threads)
    array = documents if isinstance(documents, TokenArray) else TokenArray.from_list(documents)
    array.require_whole()
    cells = _cells(approximate, array, k, threads)
    if isinstance(query, TokenArray):
        return _of_many(query, array, reduction, k, threads, cells)
    prepared = PreparedQuery.of(query)
    if k is None:
        return reduce(scorers.sums(prepared, array, threads), prepared.count)
    found = None
    if cells is not None and prepared.count:
        found = _best_near(prepared, array, k, reduce, threads, cells)
    return _best(prepared, array, k, reduce, threads) if found is None else found


def _of_many(
    queries: TokenArray,
    documents: TokenArray,
    reduction: str,
    k: int | None,
    num_threads: int,
    cells: TokenCells | None,
) -> Float32Array | Best:
    queries.require_values()
    if k is None:
        scores = np.empty((len(queries), len(documents)), np.float32)
        for row, query in enumerate(queries):
            scores[row] = max_sim_batch(query, documents, reduction, num_threads=num_threads)
        return scores
    shape = len(queries), min(k, len(documents))
    ids, best = np.empty(shape, np.int64), np.empty(shape, np.float32)
    for row, query in enumerate(queries):
        ids[row], best[row] = max_sim_batch(
            query, documents, reduction, k, num_threads, approximate=cells or False
        )
    return ids, best


def _cells(
    approximate: object, documents: TokenArray, k: int | None, num_threads: int
) -> TokenCells | None:
    """Return the cells that candidates come from; None where all documents are scored."""
    if approximate is False:
        return None
    if k is None:
        raise InvalidInput(what="k", expected="a number of documents, k=10", actual=None)
    if approximate is True:
        return cells_of(documents, num_threads)
    shown = repr(approximate)
    if isinstance(approximate, TokenCells):
        if len(approximate) == len(documents):
            return approximate
        shown = f"cells of {len(approximate)} documents"
    expected = f"True, False or TokenCells.of(documents) of these {len(documents)}"
    raise InvalidInput(what="approximate", expected=expected, actual=shown)


def _best_near(
    query: PreparedQuery,
    documents: TokenArray,
    k: int,
    reduce: "Reduction",
    num_threads: int,
    cells: TokenCells,
) -> Best | None:
    """Return the `k` best of the documents that cells propose; None where these are too few."""
    ids = cells.near(query, cells.settings.candidates_for(k)).ids
    if len(ids) < min(k, len(documents)):
        return None
    sums = scorers.sums(query, documents, num_threads, ids)
    found, best = top_k(reduce(sums, query.count), k)
    return ids[found], best


def _best(
    query: PreparedQuery, documents: TokenArray, k: int, reduce: "Reduction", num_threads: int
) -> Best:
    """Return the `k` best documents: where a screen pays, from those that can be among them."""
    is_selective = 0 < k < len(documents) and query.count > 0 and documents.num_tokens > 0
    screen = documents.screen if kernels.maxsim_screen.pays() else None
    if screen is None or not is_selective:
        return top_k(reduce(scorers.sums(query, documents, num_threads), query.count), k)
    ids = contenders(query, documents, screen, k, reduce, num_threads)
    sums = scorers.sums(query, documents, num_threads, ids)
    found, best = top_k(reduce(sums, query.count), k)
    return ids[found], best


def _sum(sums: Float32Array, count: int) -> Float32Array:
    return sums


def mean(sums: Float32Array, count: int) -> Float32Array:
    """Return sums over `count` query tokens as means from 0 to 1."""
    means: Float32Array = sums / np.float32(max(count, 1))
    return means.clip(0, 1)


Reduction: TypeAlias = Callable[[Float32Array, int], Float32Array]
_REDUCTIONS: dict[str, Reduction] = {"mean": mean, "sum": _sum}
