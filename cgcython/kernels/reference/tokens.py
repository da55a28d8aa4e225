"""Which tokens matter, by definition: scores, selection and coverage."""

import numpy as np

from cgcython.kernels.reference.door import agree

MAGNITUDE, MAX_ABS, ENTROPY = range(3)
LEAST_SQUARES = np.float32(2.0**-80)  # below it, squares that vanish would count
UNIT = 32767.0  # a unit token's length in whole numbers of 16 bits


def magnitude(values, out):
    """Write the length of each token, at most the largest float."""
    _same_rows(values, out)
    largest = np.finfo(np.float32).max
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        squares = _squares(values, np.float32)
        exact = np.minimum(np.sqrt(_squares(values)), largest)
        sound = (squares >= LEAST_SQUARES) & (squares <= largest)
        out[:] = np.where(sound, np.sqrt(squares), exact)


def max_abs(values, out):
    """Write the largest magnitude within each token."""
    _same_rows(values, out)
    out[:] = np.abs(values).max(axis=1, initial=0)


def entropy(values, out):
    """Write -sum p ln p of p = |x| / sum|x| for each token; 0 for a zero token."""
    _same_rows(values, out)
    sizes = np.abs(values.astype(np.float64))
    sums = sizes.sum(axis=1, keepdims=True)
    p = sizes / np.where(sums > 0, sums, 1)
    out[:] = -(p * np.log(np.where(p > 0, p, 1))).sum(axis=1)


def select_top(scores, kept):
    """Write the ascending positions of the best scores; ties keep the lower position."""
    if len(kept) > len(scores):
        raise ValueError(f"kept holds {len(kept)}, scores holds {len(scores)}")
    kept[:] = np.sort(np.argsort(-scores, kind="stable")[: len(kept)])


def gather(values, kept, out):
    """Write the kept rows one after another."""
    if out.shape != (len(kept), values.shape[1]):
        raise ValueError(f"out is {out.shape}, expected {(len(kept), values.shape[1])}")
    if len(kept) and int(kept.max()) >= len(values):
        raise ValueError(f"kept names row {int(kept.max())} of {len(values)}")
    out[:] = values[kept]


def prune(values, method, scores, kept, out):
    """Write the scores of a text's tokens, the ascending positions of the k best, and those.

    `method` is MAGNITUDE, MAX_ABS or ENTROPY.
    """
    (magnitude, max_abs, entropy)[method](values, scores)
    select_top(scores, kept)
    gather(values, kept, out)


def prune_documents(values, offsets, method, scores, kept, kept_offsets, out):
    """Prune documents that lie one after another, as `prune` does each.

    The rows of document i begin at offsets[i], its kept positions and rows at kept_offsets[i].
    """
    agree("kept_offsets", len(kept_offsets), "offsets", len(offsets))
    agree("scores", len(scores), "values", len(values))
    _check_offsets("offsets", offsets, len(values))
    _check_offsets("kept_offsets", kept_offsets, len(kept))
    for i in range(len(offsets) - 1):
        rows = slice(offsets[i], offsets[i + 1])
        places = slice(kept_offsets[i], kept_offsets[i + 1])
        if places.stop - places.start > rows.stop - rows.start:
            raise ValueError(f"document {i} has fewer tokens than it should keep")
        prune(values[rows], method, scores[rows], kept[places], out[places])


def _check_offsets(what, offsets, rows):
    if len(offsets) == 0 or offsets[0] < 0 or offsets[-1] > rows:
        raise ValueError(f"{what} leave {rows} rows")
    if (np.diff(offsets) < 0).any():
        raise ValueError(f"{what} fall at {np.flatnonzero(np.diff(offsets) < 0)[0]}")


def coverage_scratch(tokens, dim):
    """Return how many bytes `coverage` needs as scratch."""
    return 0


def coverage(values, kept, gains, scratch):
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


def coverage_documents(values, offsets, kept, kept_offsets, gains, scratch):
    """Cover documents that lie one after another, as `coverage` does each.

    The rows of document i begin at offsets[i], its kept positions and gains at kept_offsets[i].
    """
    agree("kept_offsets", len(kept_offsets), "offsets", len(offsets))
    agree("gains", len(gains), "kept", len(kept))
    _check_offsets("offsets", offsets, len(values))
    _check_offsets("kept_offsets", kept_offsets, len(kept))
    for i in range(len(offsets) - 1):
        rows = slice(offsets[i], offsets[i + 1])
        places = slice(kept_offsets[i], kept_offsets[i + 1])
        coverage(values[rows], kept[places], gains[places], scratch)


def cluster_scratch(tokens, dim):
    """Return how many bytes `cluster` needs as scratch."""
    return 0


def cluster(values, labels, num_clusters, scratch):
    """Write the cluster of each token by Ward's method, numbered by their lowest tokens.

    The two clusters whose merging moves centres least become one, the lower pair of equals,
    until so many are left. Only directions count: tokens are at unit length, a zero token at 0.
    """
    n = len(values)
    if len(labels) != n or not min(n, 1) <= num_clusters <= n:
        raise ValueError(f"num_clusters is {num_clusters}, labels holds {len(labels)} of {n} rows")
    products = _whole_cosines(values) - 2.0**15
    zero = _squares(values) == 0
    products[zero], products[:, zero] = 0, 0
    sizes, owners = np.ones(n), np.arange(n)
    for _ in range(n - num_clusters):
        i, j = _cheapest_pair(products, sizes)
        products[i] += products[j]
        products[:, i] += products[:, j]
        sizes[i], sizes[j] = sizes[i] + sizes[j], 0
        owners[owners == j] = i
    labels[:] = np.unique(owners, return_inverse=True)[1]


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
    norms = np.sqrt(_squares(values))
    scale = UNIT / np.where(norms > 0, norms, 1)
    tokens = np.rint(values * scale[:, None])
    cosines = np.clip((tokens @ tokens.T).astype(np.int64) // 2**15 + 2**15, 0, 65535)
    cosines[norms == 0] = 0
    cosines[:, norms == 0] = 0
    return cosines


def _squares(values, kind=np.float64):
    """Sums of squares in the order of the compiled levels: sixteen lanes, halved."""
    lanes = np.zeros((len(values), 16), kind)
    for start in range(0, values.shape[1], 16):
        part = values[:, start : start + 16].astype(kind)
        lanes[:, : part.shape[1]] += part * part
    for width in (8, 4, 2, 1):
        lanes = lanes[:, :width] + lanes[:, width:]
    return lanes[:, 0]


def _same_rows(values, out):
    if len(out) != len(values):
        raise ValueError(f"out holds {len(out)}, values holds {len(values)} rows")
