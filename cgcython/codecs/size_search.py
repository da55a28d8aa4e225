"""Decides which codebooks are trained to find the fewest bytes, and in which order.

It trains none itself: who asks trains what is wanted, one after the other or side by side, and
hands the codebooks back. What is found depends on them alone.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from cgcython.checks import require_real
from cgcython.codecs.codebook_base import Codebook


class Wanted(NamedTuple):
    """One training: of a method at a size, quick or in full.

    A method without codebooks is tried at all its sizes at once, its `size` is 0.
    """

    method: str
    size: int
    quick: bool


class Trial(NamedTuple):
    """What a method costs at one size, tried quickly: the bytes of an embedding, and fractions.

    `settings` are those of a profile's row of this method and size.
    """

    method: str
    code_size: int  # a scale of each embedding among them
    held_out_loss: float
    held_out_recall10: float
    recall10_drop: float | None = None
    settings: Mapping[str, Any] = {}

    @property
    def cost(self) -> float:
        """The drop of Recall@10 where it was judged, else the loss."""
        return self.held_out_loss if self.recall10_drop is None else self.recall10_drop


class Search:
    """The codebooks of one method tried quickly, and those trained in full.

    Raises InvalidInput for a cost that is no number from 0 on.
    """

    def __init__(self, method: str, sizes: list[int], max_cost: float) -> None:
        self.method, self.sizes = method, sizes
        self.max_cost = require_real(max_cost, "max_cost", 0)
        self.tried: list[Codebook] = []
        self.found: list[Codebook] = []

    def wanted(self) -> list[Wanted]:
        """Return what is to be trained next: all sizes quickly, then the smallest that fits.

        Nothing once one fits that is trained in full, or the largest is.
        """
        if len(self.tried) < len(self.sizes):
            left = self.sizes[len(self.tried) :]
            return [Wanted(self.method, size, quick=True) for size in left]
        if not self.found:
            fitting = [book.code_size for book in self.tried if self._fits(book)]
            return [Wanted(self.method, fitting[0] if fitting else self.sizes[-1], quick=False)]
        last = self.found[-1]
        larger = [] if self._fits(last) else [s for s in self.sizes if s > last.code_size]
        return [Wanted(self.method, size, quick=False) for size in larger[:1]]

    def keep(self, wanted: Wanted, book: Codebook) -> None:
        """Take a codebook that was wanted, in the order of what was wanted.

        Raises KeyboardInterrupt after one that Ctrl-C ended.
        """
        (self.tried if wanted.quick else self.found).append(book)
        if book.metadata.get("interrupted"):
            raise KeyboardInterrupt

    def _fits(self, book: Codebook) -> bool:
        return _cost_of(book) <= self.max_cost

    def best(self) -> Codebook:
        """Return the smallest codebook that fits, or the one that costs least.

        Raises KeyboardInterrupt where there is none.
        """
        books = self.found + self.tried
        if not books:
            raise KeyboardInterrupt
        fitting = [book for book in books if self._fits(book)]
        if fitting:
            return min(fitting, key=lambda book: (book.code_size, _cost_of(book)))
        return min(books, key=_cost_of)


def _cost_of(book: Codebook) -> float:
    return math.inf if book.cost is None else book.cost


def trial_of(book: Codebook) -> Trial:
    """Return what a codebook costs."""
    facts, size = book.metadata, book.code_size
    costs = facts["held_out_loss"], facts["held_out_recall10"], facts.get("recall10_drop")
    return Trial(book.method.value, size, *costs, {"bytes": size})


def in_order(trials: Iterable[Trial]) -> list[Trial]:
    """Return trials by their bytes, then by their cost."""
    return sorted(trials, key=lambda one: (one.code_size, one.cost))
