"""Chooses how many bytes an embedding gets: the fewest that cost no more than a limit.

Every size is tried with a quick codebook on some of the samples; the chosen one is then trained
in full. The cost of a size is the loss of samples held out or, where a judge is at hand, the drop
of Recall@10 against human judgements.
"""

import math
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from cgcython.checks import require_real
from cgcython.codecs.codebook import PQ8Codebook
from cgcython.codecs.samples import as_source, some_rows
from cgcython.codecs.training import SUBVECTORS, CodebookWarning, require_rotation, require_sample
from cgcython.errors import InvalidInput
from cgcython.types import Array, ArrayLike, Float32Array, TrainingProgress

TRIAL_ROWS = 16_384
QUICK = {"opq": "pca", "pca": "pca", None: None}  # a refined rotation loses a little less still


class Trial(NamedTuple):
    """What one size costs, tried quickly; all but the size are fractions."""

    num_subvectors: int
    held_out_loss: float
    held_out_recall10: float
    recall10_drop: float | None = None


Judge: TypeAlias = Callable[[PQ8Codebook], Mapping[str, Any]]
Train: TypeAlias = Callable[[Array, int, str | None], PQ8Codebook]


def train_smallest(
    samples: ArrayLike,
    max_cost: float,
    *,
    judge: Judge | None = None,
    seed: int = 0,
    rotation: str | None = "opq",
    sample: int | None = None,
    num_threads: int = 1,
    progress: TrainingProgress | None = None,
    model: str = "",
) -> tuple[PQ8Codebook, list[Trial]]:
    """Return the PQ8Codebook of the fewest bytes that cost at most max_cost, and all Trials.

    Where none does, the codebook is the largest: `save` will refuse it. `judge(codebook)` returns
    facts for the codebook's metadata, `recall10_drop` among them. `sample` and `progress` as in
    `PQ8Codebook.train`, for each codebook anew. Ctrl-C ends it with the best of the codebooks so
    far, tried ones among them.
    """
    source, most = as_source(samples), require_sample(sample)
    require_rotation(rotation)

    train = partial(
        PQ8Codebook.train, sample=most, num_threads=num_threads, progress=progress, model=model
    )

    def trained(rows: Array, size: int, rotation: str | None) -> PQ8Codebook:
        book = train(rows, size, seed, rotation).with_facts({"samples_given": len(source)})
        return book if judge is None else book.with_facts(judge(book))

    search = _Search(sizes_of(source.shape[1]), require_real(max_cost, "max_cost", 0), trained)
    rows = some_rows(source, most, seed)
    try:
        search.run(rows, some_rows(rows, TRIAL_ROWS, seed), rotation)
        book = search.found[-1]
    except KeyboardInterrupt:
        book = _interrupted(search)
    return book, [_trial(one) for one in search.tried]


def _interrupted(search: "_Search") -> PQ8Codebook:
    """Return the best codebook of a search that Ctrl-C ended, and warn."""
    book = search.best().with_facts({"interrupted": True})
    message = f"interrupted: {book.num_subvectors} bytes are the best of what was tried so far"
    warnings.warn(message, CodebookWarning, stacklevel=3)
    return book


class _Search:
    """The codebooks tried quickly, and those trained in full."""

    def __init__(self, sizes: list[int], max_cost: float, trained: Train) -> None:
        self.sizes, self.max_cost, self.trained = sizes, max_cost, trained
        self.tried: list[PQ8Codebook] = []
        self.found: list[PQ8Codebook] = []

    def run(self, rows: Float32Array, some: Float32Array, rotation: str | None) -> None:
        """Try all sizes, then train the smallest that fits; raises KeyboardInterrupt."""
        for size in self.sizes:
            self._keep(self.tried, self.trained(some, size, QUICK[rotation]))
        fitting = [book.num_subvectors for book in self.tried if self._fits(book)]
        first = fitting[0] if fitting else self.sizes[-1]
        for size in self.sizes[self.sizes.index(first) :]:
            self._keep(self.found, self.trained(rows, size, rotation))
            if self._fits(self.found[-1]):
                break

    def _keep(self, books: list[PQ8Codebook], book: PQ8Codebook) -> None:
        books.append(book)
        if book.metadata.get("interrupted"):
            raise KeyboardInterrupt

    def _fits(self, book: PQ8Codebook) -> bool:
        return _cost_of(book) <= self.max_cost

    def best(self) -> PQ8Codebook:
        """Return the smallest codebook that fits, or the one that costs least.

        Raises KeyboardInterrupt where there is none.
        """
        books = self.found + self.tried
        if not books:
            raise KeyboardInterrupt
        fitting = [book for book in books if self._fits(book)]
        if fitting:
            return min(fitting, key=lambda book: (book.num_subvectors, _cost_of(book)))
        return min(books, key=_cost_of)


def sizes_of(dim: int) -> list[int]:
    """Return the numbers of subvectors that divide a dimension, ascending.

    >>> sizes_of(384)
    [8, 16, 24, 32, 48, 64, 96, 128, 192]
    """
    found = [size for size in SUBVECTORS if dim % size == 0]
    if not found:
        expected = f"a multiple of {SUBVECTORS[0]}"
        raise InvalidInput(what="values of an embedding", expected=expected, actual=dim)
    return found


def _cost_of(book: PQ8Codebook) -> float:
    return math.inf if book.cost is None else book.cost


def _trial(book: PQ8Codebook) -> Trial:
    facts = book.metadata
    costs = facts["held_out_loss"], facts["held_out_recall10"], facts.get("recall10_drop")
    return Trial(book.num_subvectors, *costs)
