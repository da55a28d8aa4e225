"""What encoding cost some embeddings: as a number that knows the worst, and as sums that add up."""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol
from weakref import WeakKeyDictionary

from cgcython.base import EmbedderId
from cgcython.checks import iterated, require_real
from cgcython.errors import InvalidInput


class RecallLoss(float):
    """A mean loss, as a fraction; `maximum` is the worst embedding's."""

    maximum: float

    def __new__(cls, mean: float, maximum: float) -> "RecallLoss":
        loss = super().__new__(cls, require_real(mean, "mean"))
        loss.maximum = require_real(maximum, "maximum")
        return loss

    def __getnewargs__(self) -> tuple[float, float]:  # type: ignore[override]  # float has one
        return float(self), self.maximum

    def __repr__(self) -> str:
        return f"RecallLoss({float(self)}, maximum={self.maximum})"

    @classmethod
    def of(cls, losses: Iterable[float]) -> "RecallLoss":
        """Return the mean and maximum of the losses of single embeddings."""
        every = [require_real(loss, "loss") for loss in iterated(losses, "losses")]
        if not every:
            raise InvalidInput(what="embeddings", expected="at least one", actual="none")
        return cls(sum(every) / len(every), max(every))


class LossTotals(NamedTuple):
    """How many embeddings were encoded, and the sums of what a sample of them lost."""

    encoded: int = 0
    samples: int = 0
    total: float = 0.0
    squares: float = 0.0

    @property
    def mean(self) -> float:
        """The mean loss of the samples, a fraction; NaN without samples."""
        return self.total / self.samples if self.samples else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the mean: as wide as can be where one sample says nothing of it."""
        if self.samples < 2:
            return -math.inf, math.inf
        variance = max(self.squares - self.total * self.mean, 0.0) / (self.samples - 1)
        half = 1.96 * math.sqrt(variance / self.samples)
        return self.mean - half, self.mean + half

    def plus(self, other: "LossTotals") -> "LossTotals":
        """Return the totals of both."""
        encoded, samples = self.encoded + other.encoded, self.samples + other.samples
        return LossTotals(encoded, samples, self.total + other.total, self.squares + other.squares)

    def minus(self, earlier: "LossTotals") -> "LossTotals":
        """Return the totals since earlier ones."""
        encoded, samples = self.encoded - earlier.encoded, self.samples - earlier.samples
        total, squares = self.total - earlier.total, self.squares - earlier.squares
        return LossTotals(encoded, samples, total, squares)


class Measures(Protocol):
    """What knows the totals of embedders; QuantizationRouter does."""

    def loss_totals(self) -> Mapping[EmbedderId, LossTotals]: ...


class LossWatch:
    """Tells what was encoded, and lost, since it was last asked."""

    def __init__(self) -> None:
        self._seen: WeakKeyDictionary[Measures, Mapping[EmbedderId, LossTotals]] = (
            WeakKeyDictionary()
        )

    def since(self, router: Measures) -> dict[EmbedderId, LossTotals]:
        """Return the totals of each embedder that was encoded since the last call."""
        now, before = router.loss_totals(), self._seen.get(router, {})
        self._seen[router] = now
        found = {one: totals.minus(before.get(one, LossTotals())) for one, totals in now.items()}
        return {one: totals for one, totals in found.items() if totals.encoded}


def loss_line(what: str, losses: Mapping[EmbedderId, LossTotals]) -> str:
    """Return what a batch lost as one line for a log.

    >>> from cgcython.base import ModelId
    >>> loss_line("256 memories", {ModelId.SEMANTIC: LossTotals(256, 2, 0.5, 0.13)})
    '256 memories encoded; sampled loss: E1 25.000 % of 2'
    """
    return f"{what} encoded; sampled loss: {told_losses(losses) or 'none'}"


def told_losses(losses: Mapping[EmbedderId, LossTotals]) -> str:
    """Return the mean loss of each embedder that has samples, and their number."""
    return ", ".join(
        f"{one.short} {100 * max(totals.mean, 0.0):.3f} % of {totals.samples}"
        for one, totals in losses.items()
        if totals.samples
    )
