"""The kernel that scores documents of each precision where they lie."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from cgcython import kernels
from cgcython.checks import require_choice
from cgcython.errors import DimensionMismatch
from cgcython.parallel import split_weighted
from cgcython.similarity.query import PreparedQuery
from cgcython.token_array import TokenArray
from cgcython.token_array.screen import Screen
from cgcython.types import Float32Array, Int8Array, Int64Array, UInt8Array

PER_DOCUMENT = 2  # what a document costs beside its tokens, in tokens

Score: TypeAlias = Callable[[Int64Array, Int64Array, Float32Array], object]  # starts, counts, sums


def sums(
    query: PreparedQuery,
    documents: TokenArray,
    num_threads: int = 1,
    ids: Int64Array | None = None,
) -> Float32Array:
    """Return each document's sum over the query's tokens of the best cosine, as float32.

    With `ids`, those of these documents; what is found out once is found out for all.
    """
    starts, counts = documents.starts, documents.counts
    if ids is not None:
        starts, counts = starts[ids], counts[ids]
    found = np.zeros(len(starts), np.float32)
    if not query.count or not documents.num_tokens:
        return found
    require_dim(query.dim, documents.dim)
    score = scorer(query, documents)

    def score_range(start: int, stop: int) -> None:
        rows = slice(start, stop)
        score(starts[rows], counts[rows], found[rows])

    split_weighted(score_range, counts + PER_DOCUMENT, num_threads)
    return found


def require_dim(expected: int, actual: int) -> None:
    """Raise DimensionMismatch unless both sides have tokens of the same dimension."""
    if expected != actual:
        what = "values per token of the document, as in the query"
        raise DimensionMismatch(expected=expected, actual=actual, what=what)


def scorer(query: PreparedQuery, documents: TokenArray) -> Score:
    """Return `score(starts, counts, sums)` of documents, all that it needs prepared."""
    return SCORERS[require_choice(documents.precision, "precision", SCORERS)](query, documents)


def _float32(query: PreparedQuery, documents: TokenArray) -> Score:
    if documents.screen is not None:
        arguments = screened(query, documents, documents.screen)
        return lambda starts, counts, sums: kernels.maxsim_screen.score(
            *arguments, starts, counts, sums
        )
    packed, count, values = query.packed, query.count, documents.values
    norms = documents.inverse_norms
    return lambda starts, counts, sums: kernels.maxsim.score(
        packed, count, values, norms, starts, counts, sums
    )


Screened: TypeAlias = tuple[
    Float32Array, Float32Array, Int8Array, int, Float32Array, Float32Array, UInt8Array, Float32Array
]


def screened(query: PreparedQuery, documents: TokenArray, screen: Screen) -> Screened:
    """Return what the kernels of a screen want to know of the query and of all tokens."""
    rows, numbers = query.screened
    values, norms = documents.values, documents.inverse_norms
    return query.packed, rows, numbers, query.count, values, norms, screen.codes, screen.bounds


def _bfloat16(query: PreparedQuery, documents: TokenArray) -> Score:
    packed, count, values = query.halves, query.count, documents.values
    norms = documents.inverse_norms
    return lambda starts, counts, sums: kernels.maxsim_bf16.score(
        packed, count, values, norms, starts, counts, sums
    )


def _e4m3(query: PreparedQuery, documents: TokenArray) -> Score:
    if query.fine:
        return _e4m3_in_float32(query, documents)
    packed, count, codes = query.halves, query.count, documents.values
    norms = documents.inverse_norms
    return lambda starts, counts, sums: kernels.maxsim_bf16.score_codes(
        packed, count, codes, norms, starts, counts, sums
    )


def _e4m3_in_float32(query: PreparedQuery, documents: TokenArray) -> Score:
    packed, count, dim = query.packed, query.count, documents.dim
    codes = documents.values.reshape(-1)
    return lambda starts, counts, sums: kernels.maxsim.score_codes(
        packed, count, codes, starts * dim, counts, sums
    )


def _integers(bits: int, transformed: bool = False) -> Callable[[PreparedQuery, TokenArray], Score]:
    def prepare(query: PreparedQuery, documents: TokenArray) -> Score:
        packed = query.hadamard_integers if transformed else query.integers
        count, norms = query.count, documents.inverse_norms
        codes = documents.values.view(np.uint8)
        return lambda starts, counts, sums: kernels.maxsim_integers.score(
            packed, count, codes, bits, norms, starts, counts, sums
        )

    return prepare


def _pq(query: PreparedQuery, documents: TokenArray) -> Score:
    assert documents.codebook is not None  # tokens of precision `pq` have one
    tables, count, codes = query.tables(documents.codebook), query.count, documents.values
    norms = documents.inverse_norms
    return lambda starts, counts, sums: kernels.maxsim_pq.score(
        tables, count, codes, norms, starts, counts, sums
    )


SCORERS: dict[str, Callable[[PreparedQuery, TokenArray], Score]] = {
    "float32": _float32,
    "bfloat16": _bfloat16,
    "e4m3": _e4m3,
    "int8": _integers(8),
    "int4": _integers(4, transformed=True),
    "int2": _integers(2, transformed=True),
    "hadamard_sign": _integers(1, transformed=True),
    "sign": _integers(1),
    "pq": _pq,
}
