"""What moving records to another codebook came to: sums that no order of adding changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from typing import NamedTuple

from cgcython.store.naming import require_sound

# A cosine is a float32 and a loss 1 - cosine, which is a multiple of this: integers add up exactly.
_UNIT = 2.0**-53


class Reencoded(NamedTuple):
    """How many records moved to a codebook, and what that cost them.

    A loss is 1 - the cosine of what a record decoded to before and after.
    """

    records: int
    mean_loss: float
    max_loss: float


class Moved(NamedTuple):
    """How many records moved, the sum of their losses in units of 2**-53, and the largest loss.

    `damaged` are the keys of those that could not.
    """

    records: int = 0
    total: int = 0
    largest: float = 0.0
    damaged: tuple[bytes, ...] = ()

    @classmethod
    def of(cls, losses: Sequence[float]) -> Moved:
        """Return what the losses of single records come to.

        >>> Moved.of([0.25, 0.5]).reencoded
        Reencoded(records=2, mean_loss=0.375, max_loss=0.5)
        """
        total = sum(int(loss / _UNIT) for loss in losses)
        return cls(len(losses), total, max(losses, default=0.0))

    def plus(self, other: Moved) -> Moved:
        """Return what both come to."""
        return Moved(
            self.records + other.records,
            self.total + other.total,
            max(self.largest, other.largest),
            self.damaged + other.damaged,
        )

    @property
    def reencoded(self) -> Reencoded:
        """The mean loss, 0 where none moved, and the largest one."""
        return Reencoded(self.records, self.total * _UNIT / max(1, self.records), self.largest)


def in_passes(one_pass: Callable[[], Iterable[Moved]], what: str, place: str) -> Reencoded:
    """Return what came of passes over all records of a place, repeated until one moves none.

    A record that was written meanwhile is moved in the next one. Raises StorageCorruption naming
    the damaged records that a pass met; `what` they are of.
    """
    total = Moved()
    while True:
        found = reduce(Moved.plus, one_pass(), Moved())
        require_sound(what, sorted(found.damaged), place)
        if not found.records:
            return total.reencoded
        total = total.plus(found)
