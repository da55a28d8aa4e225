"""Late interaction by definition: the sum over query tokens of the best cosine in a document.

A token without direction (all zeros, or not finite) is never matched and matches nothing.
"""

import numpy as np

from cgcython.kernels.reference.documents import (
    LANES,
    check_documents,
    cosine_table,
    decoded,
    sum_best,
    units,
)
from cgcython.kernels.reference.door import writes


@writes("packed")
def pack_query(tokens, packed):
    """Write unit query tokens as [blocks, dim, LANES], zeros where there is none.

    Returns the flat index of the first non-finite value, or -1.
    """
    blocks = -(-len(tokens) // LANES)
    if packed.shape != (blocks, tokens.shape[1], LANES):
        raise ValueError(f"packed is {packed.shape}, expected {(blocks, tokens.shape[1], LANES)}")
    finite = np.isfinite(tokens).ravel()
    if not finite.all():
        return int(finite.argmin())
    padded = np.zeros((blocks * LANES, tokens.shape[1]))
    padded[: len(tokens)] = units(tokens)
    packed[:] = padded.reshape(blocks, LANES, tokens.shape[1]).transpose(0, 2, 1)
    return -1


@writes("out")
def inverse_norms(values, out):
    """Write 1 / length of each token: NaN for one without direction, 0 where that overflows."""
    if len(out) != len(values):
        raise ValueError(f"out holds {len(out)}, values holds {len(values)} rows")
    with np.errstate(divide="ignore", invalid="ignore"):
        squares = np.square(values, dtype=np.float64).sum(axis=1)
        inverse = 1 / np.sqrt(squares)
    inverse[~np.isfinite(inverse)] = np.nan
    inverse[(squares < _SMALL) | (squares > _LARGE)] = 0
    inverse[squares == 0] = np.nan
    out[:] = inverse


@writes("out")
def inverse_norms_codes(codes, out):
    """Write 1 / length of each token of E4M3 codes: NaN for zero tokens and those with a NaN."""
    if len(out) != len(codes):
        raise ValueError(f"out holds {len(out)}, codes holds {len(codes)} rows")
    with np.errstate(divide="ignore"):
        inverse = 1 / np.sqrt(np.square(decoded(codes), dtype=np.float64).sum(axis=1))
    out[:] = np.where(np.isfinite(inverse), inverse, np.nan)


@writes("sums")
def score(packed, num_query, values, norms, starts, counts, sums):
    """Write each document's sum over query tokens of the best cosine.

    A document is `counts` rows of `values` from `starts` on; `norms` is what inverse_norms wrote.
    """
    _check_query(packed, num_query, values.shape[1])
    check_documents(starts, counts, sums, len(values))
    if len(norms) != len(values):
        raise ValueError(f"norms holds {len(norms)}, values holds {len(values)} rows")
    query = _unpacked(packed, num_query)
    for i, (start, count) in enumerate(zip(starts, counts)):
        sums[i] = sum_best(query, values[start : start + count])


@writes("sums")
def score_codes(packed, num_query, data, starts, counts, sums):
    """Write the same sums for tokens kept as E4M3 codes; `starts` are positions of bytes."""
    dim = packed.shape[1]
    _check_query(packed, num_query, dim)
    check_documents(starts, counts, sums, len(data), dim)
    query = _unpacked(packed, num_query)
    for i, (start, count) in enumerate(zip(starts, counts)):
        codes = data[start : start + count * dim].reshape(count, dim)
        sums[i] = sum_best(query, decoded(codes))


@writes("best", "cosines")
def align(packed, num_query, values, norms, best, cosines):
    """Write the best row for each query token (lowest on ties) and its cosine, or -1 and 0."""
    _check_query(packed, num_query, values.shape[1])
    if len(best) != num_query or len(cosines) != num_query:
        raise ValueError(f"best holds {len(best)}, cosines {len(cosines)}, query {num_query}")
    query = _unpacked(packed, num_query)
    table = cosine_table(query, values)
    best[:] = table.argmax(axis=1) if len(values) else -1
    cosines[:] = table.max(axis=1, initial=-np.inf)
    best[cosines == -np.inf] = -1
    cosines[cosines == -np.inf] = 0


def matrix_of(values):
    """Return None: NumPy reads lists, and everything else."""
    return None


def pair(query, document):
    """Return None: a closer look is what the reference takes at every pair."""
    return None


_SMALL, _LARGE = 2.0**-80, 2.0**80  # squared lengths whose products stay clear of the limits


def _unpacked(packed, num_query):
    rows = packed.transpose(0, 2, 1).reshape(len(packed) * LANES, packed.shape[1])
    return rows[:num_query].astype(np.float64)


def _check_query(packed, num_query, dim):
    if packed.shape[1:] != (dim, LANES):
        raise ValueError(f"packed is {packed.shape}, expected (blocks, {dim}, {LANES})")
    if not 0 <= num_query <= len(packed) * LANES:
        raise ValueError(f"query has {num_query} tokens, packed holds {len(packed) * LANES}")
