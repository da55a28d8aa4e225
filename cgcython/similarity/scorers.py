"""The kernel that scores documents of each precision where they lie."""

import numpy as np

from cgcython import kernels
from cgcython.errors import DimensionMismatch, InvalidInput
from cgcython.parallel import split_weighted

PER_DOCUMENT = 2  # what a document costs beside its tokens, in tokens


def sums(query, documents, num_threads=1):
    """Return each document's sum over the query's tokens of the best cosine, as float32."""
    found = np.zeros(len(documents), np.float32)
    if not query.count or not documents.num_tokens:
        return found
    require_dim(query.dim, documents.dim)
    score = scorer(query, documents)

    def score_range(start, stop):
        rows = slice(start, stop)
        score(documents.starts[rows], documents.counts[rows], found[rows])

    split_weighted(score_range, documents.counts + PER_DOCUMENT, num_threads)
    return found


def require_dim(expected, actual):
    """Raise DimensionMismatch unless both sides have tokens of the same dimension."""
    if expected != actual:
        raise DimensionMismatch(expected=expected, actual=actual, what="values per token")


def scorer(query, documents):
    """Return `score(starts, counts, sums)` of documents, all that it needs prepared."""
    if documents.precision not in SCORERS:
        raise InvalidInput(
            what="precision", expected=", ".join(SCORERS), actual=documents.precision
        )
    return SCORERS[documents.precision](query, documents)


def _float32(query, documents):
    if documents.screen is not None:
        arguments = screened(query, documents)
        return lambda *which: kernels.maxsim_screen.score(*arguments, *which)
    packed, count, values = query.packed, query.count, documents.values
    norms = documents.inverse_norms
    return lambda *which: kernels.maxsim.score(packed, count, values, norms, *which)


def screened(query, documents):
    """Return what the kernels of a screen want to know of the query and of all tokens."""
    values, norms = documents.values, documents.inverse_norms
    return query.packed, *query.screened, query.count, values, norms, *documents.screen


def _bfloat16(query, documents):
    packed, count, values = query.halves, query.count, documents.values
    norms = documents.inverse_norms
    return lambda *which: kernels.maxsim_bf16.score(packed, count, values, norms, *which)


def _e4m3(query, documents):
    if query.fine:
        return _e4m3_in_float32(query, documents)
    packed, count, codes = query.halves, query.count, documents.values
    norms = documents.inverse_norms
    return lambda *which: kernels.maxsim_bf16.score_codes(packed, count, codes, norms, *which)


def _e4m3_in_float32(query, documents):
    packed, count, dim = query.packed, query.count, documents.dim
    codes = documents.values.reshape(-1)
    return lambda starts, counts, sums: kernels.maxsim.score_codes(
        packed, count, codes, starts * dim, counts, sums
    )


def _whole_numbers(bits):
    def prepare(query, documents):
        packed = query.turned_numbers if bits in (4, 2) else query.whole_numbers
        count, norms = query.count, documents.inverse_norms
        codes = documents.values.view(np.uint8)
        return lambda *which: kernels.maxsim_integers.score(
            packed, count, codes, bits, norms, *which
        )

    return prepare


def _pq(query, documents):
    tables, count, codes = query.tables(documents.codebook), query.count, documents.values
    norms = documents.inverse_norms
    return lambda *which: kernels.maxsim_pq.score(tables, count, codes, norms, *which)


SCORERS = {
    "float32": _float32,
    "bfloat16": _bfloat16,
    "e4m3": _e4m3,
    "int8": _whole_numbers(8),
    "int4": _whole_numbers(4),
    "int2": _whole_numbers(2),
    "sign": _whole_numbers(1),
    "pq": _pq,
}
