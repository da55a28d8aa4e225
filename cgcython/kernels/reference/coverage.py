"""Token selection by facility location, Ward clustering and pooling of tokens, by definition."""

import numpy as np

from cgcython.kernels.reference.door import agree, check_offsets, writes
from cgcython.kernels.reference.lanes import dots_of, squares_of

UNIT = 32767.0  # a unit token's length in whole numbers of 16 bits
MOST_TOKENS, WIDEST = 32767, 1 << 30  # what the compiled levels take


def cover_scratch(tokens, dim):
    """Return how many bytes `cover` needs as scratch."""
    _require_size(tokens, dim)
    return 0


@writes("kept", "gains", "scratch")
def cover(values, kept, gains, scratch):
    """Write the tokens that best cover all others, ascending, and what each one added.

    Greedy facility location: each pick adds most to the sum over tokens of the best cosine with
    a kept one, ties to the lower position. Cosines are whole numbers of 2**-15 between tokens
    rounded to 16 bits, so every level picks the same tokens; a zero token covers nothing.
    """
    if len(kept) > len(values) or len(gains) != len(kept):
        raise ValueError(f"kept holds {len(kept)}, gains {len(gains)}, values {len(values)}")
    cosines = _whole_cosines(values)
    best, free = np.zeros(len(values), np.int64), np.ones(len(values), bool)
    picks = []
    for _ in range(len(kept)):
        added = np.where(free, np.maximum(cosines - best, 0).sum(axis=1), -1)
        pick = int(added.argmax())
        picks.append((pick, added[pick]))
        free[pick] = False
        best = np.maximum(best, cosines[pick])
    for place, (pick, gain) in enumerate(sorted(picks)):
        kept[place], gains[place] = pick, np.float32(gain) * np.float32(2.0**-15)


@writes("kept", "gains", "scratch")
def cover_documents(values, offsets, kept, kept_offsets, gains, scratch):
    """Cover documents that lie one after another, as `cover` does each.

    The rows of document i begin at offsets[i], its kept positions and gains at kept_offsets[i].
    """
    agree("kept_offsets", len(kept_offsets), "offsets", len(offsets))
    agree("gains", len(gains), "kept", len(kept))
    check_offsets("offsets", offsets, len(values))
    check_offsets("kept_offsets", kept_offsets, len(kept))
    for i in range(len(offsets) - 1):
        rows = slice(offsets[i], offsets[i + 1])
        places = slice(kept_offsets[i], kept_offsets[i + 1])
        cover(values[rows], kept[places], gains[places], scratch)


def cluster_scratch(tokens, dim):
    """Return how many bytes `cluster` needs as scratch."""
    _require_size(tokens, dim)
    return 0


@writes("labels", "scratch")
def cluster(values, labels, num_clusters, scratch):
    """Write the cluster of each token by Ward's method, numbered by their lowest tokens.

    The two clusters whose merging moves centres least become one, the lower pair of equals,
    until so many are left. Only directions count: tokens are at unit length, a zero token at 0.
    """
    n = len(values)
    if len(labels) != n or not min(n, 1) <= num_clusters <= n:
        raise ValueError(f"num_clusters is {num_clusters}, labels holds {len(labels)} of {n} rows")
    products = _whole_cosines(values) - 2.0**15
    zero = squares_of(values) == 0
    products[zero], products[:, zero] = 0, 0
    sizes, owners = np.ones(n), np.arange(n)
    for _ in range(n - num_clusters):
        i, j = _cheapest_pair(products, sizes)
        products[i] += products[j]
        products[:, i] += products[:, j]
        sizes[i], sizes[j] = sizes[i] + sizes[j], 0
        owners[owners == j] = i
    labels[:] = np.unique(owners, return_inverse=True)[1]


def pool_scratch(tokens, dim):
    """Return how many bytes `pool_documents` needs as scratch, of tokens of the longest."""
    _require_size(tokens, dim)
    return 0


@writes("pooled", "positions", "scratch")
def pool_documents(values, offsets, pooled, positions, edges, scratch):
    """Write one token for each of Ward's clusters of documents that lie one after another.

    The rows of document i begin at offsets[i], its pooled tokens and their positions, which ascend,
    at edges[i]. A pooled token has the sum of its cluster's unit tokens, rounded to float32, for
    a direction, and the mean length; its position is that of the token with the best cosine to
    the direction, the lowest of equals. A cluster of one token is that token.
    """
    agree("edges", len(edges), "offsets", len(offsets))
    agree("positions", len(positions), "pooled", len(pooled))
    agree("a row of pooled", pooled.shape[1], "values", values.shape[1])
    check_offsets("offsets", offsets, len(values))
    check_offsets("edges", edges, len(pooled))
    for i in range(len(offsets) - 1):
        tokens = values[offsets[i] : offsets[i + 1]]
        rows = slice(edges[i], edges[i + 1])
        labels = np.empty(len(tokens), np.uint32)
        cluster(tokens, labels, len(positions[rows]), scratch)
        _pool(tokens, labels, pooled[rows], positions[rows])


def _pool(tokens, labels, pooled, positions):
    lengths = np.sqrt(squares_of(tokens))
    units = tokens / np.where(lengths > 0, lengths, 1)[:, None]
    found = []
    for label in range(len(positions)):
        members = np.flatnonzero(labels == label)
        total, length = np.zeros(tokens.shape[1]), 0.0
        for token in members:  # one after the other, as the compiled levels add them
            total, length = total + units[token], length + lengths[token]
        direction = total.astype(np.float32)[None]
        cosines = dots_of(tokens[members], np.repeat(direction, len(members), axis=0))
        cosines /= np.where(lengths[members] > 0, lengths[members], 1)
        factor = length / len(members) / (np.sqrt(squares_of(direction)) or 1)
        most = float(np.finfo(np.float32).max)
        mean = np.clip(direction[0] * factor, -most, most).astype(np.float32)
        chosen = members[cosines.argmax()]
        found.append((chosen, tokens[chosen] if len(members) == 1 else mean))
    for row, (chosen, token) in enumerate(sorted(found, key=lambda one: one[0])):
        positions[row], pooled[row] = chosen, token


def _require_size(tokens, dim):
    if not (0 <= tokens <= MOST_TOKENS and 0 <= dim <= WIDEST):
        raise ValueError(
            f"{tokens} tokens of {dim} values, expected up to {MOST_TOKENS} of {WIDEST}"
        )


def _cheapest_pair(products, sizes):
    """Return the two clusters whose merging adds least to the squared distances to centres."""
    within = products.diagonal()
    lengths = np.where(sizes > 0, within / np.maximum(sizes, 1), np.inf)
    merged = within[:, None] + within + 2 * products
    costs = lengths[:, None] + lengths - merged / np.maximum(sizes[:, None] + sizes, 1)
    costs[np.tri(len(sizes), dtype=bool)] = np.inf
    return np.unravel_index(costs.argmin(), costs.shape)


def _whole_cosines(values):
    """Cosines from -1 to 1 as 0 to 65535; 0 wherever a zero token is involved."""
    norms = np.sqrt(squares_of(values))
    scale = UNIT / np.where(norms > 0, norms, 1)
    tokens = np.rint(values * scale[:, None])
    cosines = np.clip((tokens @ tokens.T).astype(np.int64) // 2**15 + 2**15, 0, 65535)
    cosines[norms == 0] = 0
    cosines[:, norms == 0] = 0
    return cosines
