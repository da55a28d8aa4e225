"""What the families of late interaction share: cosines in float64, and where documents lie.

A token without direction (all zeros, or not finite) is never matched and matches nothing.
"""

import numpy as np

from cgcython.kernels.reference import e4m3

LANES = 32  # query tokens side by side in a packed query


def decoded(codes):
    """Return the values of E4M3 codes."""
    values = np.empty(codes.size, np.float32)
    e4m3.decode(np.ascontiguousarray(codes).reshape(-1), 1.0, 0.0, values)
    return values.reshape(codes.shape)


def sum_best(query, document):
    """Return the sum over query tokens of the best cosine with a document's tokens."""
    best = cosine_table(query, document).max(axis=1, initial=-np.inf)
    return best[best > -np.inf].sum()


def cosine_table(query, document):
    """Return every cosine of unit query tokens and document tokens, -inf without direction."""
    directions = units(document)
    table = query @ directions.T
    table[~query.any(axis=1)] = -np.inf
    table[:, ~directions.any(axis=1)] = -np.inf
    return table


def units(tokens):
    """Return tokens at length 1 in float64; those without direction become zeros."""
    tokens = tokens.astype(np.float64)
    tokens[~np.isfinite(tokens).all(axis=1)] = 0
    norms = np.sqrt(np.square(tokens).sum(axis=1, keepdims=True))
    return tokens / np.where(norms > 0, norms, 1)


def check_documents(starts, counts, sums, length, size=1):
    """Raise ValueError unless each document lies within its values."""
    if not len(starts) == len(counts) == len(sums):
        raise ValueError(f"{len(starts)} starts, {len(counts)} counts, {len(sums)} sums")
    for start, count in zip(starts, counts):
        if not (0 <= start <= length and 0 <= int(count) * max(size, 1) <= length - start):
            raise ValueError(f"document at {start} of {count} tokens leaves {length}")
