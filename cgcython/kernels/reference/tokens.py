"""Which tokens matter, by definition: scores and selection."""

import numpy as np

from cgcython.kernels.reference.door import agree, check_offsets, writes
from cgcython.kernels.reference.lanes import squares_of

MAGNITUDE, MAX_ABS, ENTROPY = range(3)
LEAST_SQUARES = np.float32(2.0**-80)  # below it, squares that vanish would count


@writes("out")
def magnitude(values, out):
    """Write the length of each token, at most the largest float."""
    _same_rows(values, out)
    largest = np.finfo(np.float32).max
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        squares = squares_of(values, np.float32)
        exact = np.minimum(np.sqrt(squares_of(values)), largest)
        sound = (squares >= LEAST_SQUARES) & (squares <= largest)
        out[:] = np.where(sound, np.sqrt(squares), exact)


@writes("out")
def max_abs(values, out):
    """Write the largest magnitude within each token."""
    _same_rows(values, out)
    out[:] = np.abs(values).max(axis=1, initial=0)


@writes("out")
def entropy(values, out):
    """Write -sum p ln p of p = |x| / sum|x| for each token; 0 for a zero token."""
    _same_rows(values, out)
    sizes = np.abs(values.astype(np.float64))
    sums = sizes.sum(axis=1, keepdims=True)
    p = sizes / np.where(sums > 0, sums, 1)
    out[:] = -(p * np.log(np.where(p > 0, p, 1))).sum(axis=1)


@writes("kept")
def select_top(scores, kept):
    """Write the ascending positions of the best scores; ties keep the lower position."""
    if len(kept) > len(scores):
        raise ValueError(f"kept holds {len(kept)}, scores holds {len(scores)}")
    kept[:] = np.sort(np.argsort(-scores, kind="stable")[: len(kept)])


@writes("out")
def gather(values, kept, out):
    """Write the kept rows one after another."""
    if out.shape != (len(kept), values.shape[1]):
        raise ValueError(f"out is {out.shape}, expected {(len(kept), values.shape[1])}")
    if len(kept) and int(kept.max()) >= len(values):
        raise ValueError(f"kept names row {int(kept.max())} of {len(values)}")
    out[:] = values[kept]


@writes("scores", "kept", "out")
def prune(values, method, scores, kept, out):
    """Write the scores of a text's tokens, the ascending positions of the k best, and those.

    `method` is MAGNITUDE, MAX_ABS or ENTROPY.
    """
    _require_method(method)
    (magnitude, max_abs, entropy)[method](values, scores)
    select_top(scores, kept)
    gather(values, kept, out)


@writes("scores", "kept", "out")
def prune_documents(values, offsets, method, scores, kept, kept_offsets, out):
    """Prune documents that lie one after another, as `prune` does each.

    The rows of document i begin at offsets[i], its kept positions and rows at kept_offsets[i].
    """
    _require_method(method)
    agree("kept_offsets", len(kept_offsets), "offsets", len(offsets))
    agree("scores", len(scores), "values", len(values))
    check_offsets("offsets", offsets, len(values))
    check_offsets("kept_offsets", kept_offsets, len(kept))
    for i in range(len(offsets) - 1):
        rows = slice(offsets[i], offsets[i + 1])
        places = slice(kept_offsets[i], kept_offsets[i + 1])
        if places.stop - places.start > rows.stop - rows.start:
            raise ValueError(f"document {i} has fewer tokens than it should keep")
        prune(values[rows], method, scores[rows], kept[places], out[places])


def _require_method(method):
    if method not in (MAGNITUDE, MAX_ABS, ENTROPY):
        raise ValueError(f"method is {method}, expected MAGNITUDE, MAX_ABS or ENTROPY")


def _same_rows(values, out):
    if len(out) != len(values):
        raise ValueError(f"out holds {len(out)}, values holds {len(values)} rows")
