"""Chooses how many bytes an embedding gets: the fewest that cost no more than a limit.

Every size is tried with a quick codebook on some of the samples; the chosen one is then trained
in full. The cost of a size is the loss of samples held out or, where a judge is at hand, the drop
of Recall@10 against human judgements.
"""

from typing import NamedTuple

import numpy as np

from cgcython.codecs.codebook import PQ8Codebook
from cgcython.codecs.training import SUBVECTORS
from cgcython.errors import InvalidInput

TRIAL_ROWS = 16_384
QUICK = {"opq": "pca", "pca": "pca", None: None}  # a refined rotation loses a little less still


class Trial(NamedTuple):
    """What one size costs, tried quickly; all but the size are fractions."""

    num_subvectors: int
    held_out_loss: float
    held_out_recall10: float
    recall10_drop: float | None = None


def train_smallest(
    samples, max_cost, *, judge=None, seed=0, rotation="opq", num_threads=1, progress=None, model=""
):
    """Return the PQ8Codebook of the fewest bytes that cost at most max_cost, and all Trials.

    Where none does, the codebook is the largest: `save` will refuse it. `judge(codebook)` returns
    facts for the codebook's metadata, `recall10_drop` among them. `progress` as in
    `PQ8Codebook.train`, for each codebook anew.
    """
    samples = np.asarray(samples)
    options = {"seed": seed, "num_threads": num_threads, "progress": progress, "model": model}

    def trained(rows, size, rotation):
        book = PQ8Codebook.train(rows, size, rotation=rotation, **options)
        return book if judge is None else book.with_facts(judge(book))

    sizes, some = sizes_of(samples.shape[1]), _some(samples, seed)
    tried = [trained(some, size, QUICK[rotation]) for size in sizes]
    likely = [book.num_subvectors for book in tried if book.cost <= max_cost] or sizes[-1:]
    for size in sizes[sizes.index(likely[0]) :]:
        book = trained(samples, size, rotation)
        if book.cost <= max_cost:
            break
    return book, [_trial(one) for one in tried]


def sizes_of(dim):
    """Return the numbers of parts that divide a dimension, ascending.

    >>> sizes_of(384)
    [8, 16, 24, 32, 48, 64, 96, 128]
    """
    found = [size for size in SUBVECTORS if dim % size == 0]
    if not found:
        expected = f"a multiple of {SUBVECTORS[0]}"
        raise InvalidInput(what="values of an embedding", expected=expected, actual=dim)
    return found


def _some(samples, seed):
    if len(samples) <= TRIAL_ROWS:
        return samples
    return samples[np.sort(np.random.default_rng(seed).permutation(len(samples))[:TRIAL_ROWS])]


def _trial(book):
    facts = book.metadata
    costs = facts["held_out_loss"], facts["held_out_recall10"], facts.get("recall10_drop")
    return Trial(book.num_subvectors, *costs)
