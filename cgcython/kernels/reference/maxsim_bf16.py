"""Late interaction on bfloat16 by definition: rounded unit queries, tokens taken as they are."""

import numpy as np

from cgcython.kernels.reference import maxsim
from cgcython.kernels.reference.documents import LANES, check_documents, decoded, sum_best
from cgcython.kernels.reference.door import writes

LINE = 2 * LANES  # a line of a packed query: a pair of values per lane


@writes("halves")
def encode(values, halves):
    """Write the nearest bfloat16 of each value, ties to even.

    Returns the index of the first that is not finite, rounded, or -1.
    """
    if len(halves) != len(values):
        raise ValueError(f"halves holds {len(halves)}, values holds {len(values)}")
    bits = values.view(np.uint32)
    rounded = bits.astype(np.uint64) + 0x7FFF + (bits >> 16 & 1)
    halves[:] = np.where(np.isnan(values), bits | 0x400000, rounded) >> 16
    wrong = halves & 0x7F80 == 0x7F80
    return int(wrong.argmax()) if wrong.any() else -1


@writes("values")
def decode(halves, values):
    """Write each bfloat16 as a float32."""
    if len(halves) != len(values):
        raise ValueError(f"values holds {len(values)}, halves holds {len(halves)}")
    values[:] = _floats(halves)


@writes("packed")
def pack_query(tokens, packed):
    """Write unit query tokens, rounded, as [blocks, (dim + 1) // 2, 64]: 32 lanes of two values.

    Returns the flat index of the first non-finite value, or -1.
    """
    count, dim = tokens.shape
    blocks = -(-count // LANES)
    _check(packed, blocks * LANES, dim)
    if len(packed) != blocks:
        raise ValueError(f"packed holds {len(packed)} blocks, query {blocks}")
    units = np.empty((blocks, dim, LANES), np.float32)
    found = maxsim.pack_query(tokens, units)
    if found < 0:
        units[abs(units) < 2.0**-126] = 0
        padded = np.pad(units, ((0, 0), (0, dim % 2), (0, 0)))
        halves = np.empty(padded.size, np.uint16)
        encode(padded.reshape(-1), halves)
        pairs = halves.reshape(blocks, packed.shape[1], 2, LANES)
        packed[:] = pairs.transpose(0, 1, 3, 2).reshape(packed.shape)
    return found


@writes("out")
def inverse_norms(values, out):
    """Write what maxsim.inverse_norms does for the same tokens as float32, bit for bit."""
    maxsim.inverse_norms(_floats(values), out)


@writes("sums")
def score(packed, num_query, values, norms, starts, counts, sums):
    """Write each document's sum over query tokens of the best cosine.

    A document is `counts` rows of `values` from `starts` on; `norms` is what inverse_norms wrote.
    """
    _score(packed, num_query, values, norms, starts, counts, sums, _floats)


@writes("sums")
def score_codes(packed, num_query, codes, norms, starts, counts, sums):
    """Write the same sums for tokens kept as E4M3 codes; norms as maxsim.inverse_norms_codes."""
    _score(packed, num_query, codes, norms, starts, counts, sums, decoded)


def _score(packed, num_query, values, norms, starts, counts, sums, floats):
    dim = values.shape[1]
    _check(packed, num_query, dim)
    check_documents(starts, counts, sums, len(values))
    if len(norms) != len(values):
        raise ValueError(f"norms holds {len(norms)}, values holds {len(values)} rows")
    query = _unpacked(packed, num_query, dim)
    for i, (start, count) in enumerate(zip(starts, counts)):
        sums[i] = sum_best(query, floats(values[start : start + count]))


def _floats(halves):
    return (halves.astype(np.uint32) << 16).view(np.float32)


def _unpacked(packed, num_query, dim):
    pairs = _floats(packed).reshape(*packed.shape[:2], LANES, 2)
    rows = pairs.transpose(0, 2, 1, 3).reshape(len(packed) * LANES, 2 * packed.shape[1])
    return rows[:num_query, :dim].astype(np.float64)


def _check(packed, num_query, dim):
    if packed.shape[1:] != ((dim + 1) // 2, LINE):
        raise ValueError(f"packed is {packed.shape}, expected (blocks, {(dim + 1) // 2}, {LINE})")
    if not 0 <= num_query <= len(packed) * LANES:
        raise ValueError(f"query has {num_query} tokens, packed holds {len(packed)} blocks")
