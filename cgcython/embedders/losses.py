"""What encoding cost some embeddings, as one number that knows the worst."""

from collections.abc import Iterable

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
