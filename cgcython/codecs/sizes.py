"""Chooses how many bytes an embedding gets: the fewest that cost no more than a limit.

Every size is tried with a quick codebook on some of the samples; the chosen one is then trained
in full. The cost of a size is the loss of samples held out or, where a judge is at hand, the drop
of Recall@10 against human judgements.
"""

import warnings
from typing import NamedTuple

from cgcython.codecs.codebook import PQ8Codebook
from cgcython.codecs.samples import as_source, some_rows
from cgcython.codecs.training import SUBVECTORS, CodebookWarning, require_sample
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
    samples,
    max_cost,
    *,
    judge=None,
    seed=0,
    rotation="opq",
    sample=None,
    num_threads=1,
    progress=None,
    model="",
):
    """Return the PQ8Codebook of the fewest bytes that cost at most max_cost, and all Trials.

    Where none does, the codebook is the largest: `save` will refuse it. `judge(codebook)` returns
    facts for the codebook's metadata, `recall10_drop` among them. `sample` and `progress` as in
    `PQ8Codebook.train`, for each codebook anew. Ctrl-C ends it with the best of the codebooks so
    far, tried ones among them.
    """
    source, most = as_source(samples), require_sample(sample)
    options = {"seed": seed, "num_threads": num_threads, "progress": progress, "model": model}

    def trained(rows, size, rotation):
        book = PQ8Codebook.train(rows, size, rotation=rotation, sample=most, **options)
        book = book.with_facts({"samples_given": len(source)})
        return book if judge is None else book.with_facts(judge(book))

    search = _Search(sizes_of(source.shape[1]), max_cost, trained)
    rows = some_rows(source, most, seed)
    try:
        search.run(rows, some_rows(rows, TRIAL_ROWS, seed), rotation)
        book = search.found[-1]
    except KeyboardInterrupt:
        book = search.best().with_facts({"interrupted": True})
        message = f"interrupted: {book.num_subvectors} bytes are the best of what was tried so far"
        warnings.warn(message, CodebookWarning, stacklevel=2)
    return book, [_trial(one) for one in search.tried]


class _Search:
    """The codebooks tried quickly, and those trained in full."""

    def __init__(self, sizes, max_cost, trained):
        self.sizes, self.max_cost, self.trained = sizes, max_cost, trained
        self.tried, self.found = [], []

    def run(self, rows, some, rotation):
        """Try all sizes, then train the smallest that fits; raises KeyboardInterrupt."""
        for size in self.sizes:
            self._keep(self.tried, self.trained(some, size, QUICK[rotation]))
        fitting = [book.num_subvectors for book in self.tried if self._fits(book)]
        first = fitting[0] if fitting else self.sizes[-1]
        for size in self.sizes[self.sizes.index(first) :]:
            self._keep(self.found, self.trained(rows, size, rotation))
            if self._fits(self.found[-1]):
                break

    def _keep(self, books, book):
        books.append(book)
        if book.metadata.get("interrupted"):
            raise KeyboardInterrupt

    def _fits(self, book):
        return book.cost <= self.max_cost

    def best(self):
        """Return the smallest codebook that fits, or the one that costs least.

        Raises KeyboardInterrupt where there is none.
        """
        books = self.found + self.tried
        if not books:
            raise KeyboardInterrupt
        fitting = [book for book in books if self._fits(book)]
        if fitting:
            return min(fitting, key=lambda book: (book.num_subvectors, book.cost))
        return min(books, key=lambda book: book.cost)


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


def _trial(book):
    facts = book.metadata
    costs = facts["held_out_loss"], facts["held_out_recall10"], facts.get("recall10_drop")
    return Trial(book.num_subvectors, *costs)
