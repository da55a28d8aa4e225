"""Whether what a store takes in, and what it is asked for, still loses as little as before."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import reduce
from typing import NamedTuple

from cgcython.embedders.losses import LossTotals
from cgcython.embedders.route import DRIFT_TOLERANCE, ENOUGH_SAMPLES
from cgcython.store.quality import QualitySample

LEAST_RISE = 1e-4  # of a loss, a fraction: smaller ones are noise


class StoredDrift(NamedTuple):
    """The latest samples of one embedder beside earlier ones of the same codebook.

    `expected` is the loss that training measured, else the mean of the earlier samples, else None.
    `similarity` and `earlier_similarity` are those of best hits.
    """

    kind: str
    embedder: str
    since: datetime
    until: datetime
    latest: LossTotals
    earlier: LossTotals
    expected: float | None
    similarity: float | None
    earlier_similarity: float | None
    tolerance: float

    @property
    def drifted(self) -> bool:
        """Whether the loss has risen beyond the tolerance, and not by chance."""
        if self.expected is None:
            return False
        return self.latest.interval[0] > self.expected * (1 + self.tolerance) + LEAST_RISE


def stored_drift(
    samples: Iterable[QualitySample], tolerance: float = DRIFT_TOLERANCE
) -> list[StoredDrift]:
    """Return the StoredDrift of each kind and embedder, of samples in the order of time.

    The latest are the last rows that together have 64 samples, but at most half of all.
    """
    groups: dict[tuple[str, str], list[QualitySample]] = {}
    for one in samples:
        groups.setdefault((one.kind, one.embedder), []).append(one)
    return [_drift_of(group, tolerance) for group in groups.values()]


def _drift_of(group: Sequence[QualitySample], tolerance: float) -> StoredDrift:
    last = group[-1]
    same = [one for one in group if one.codebook_id == last.codebook_id]
    split = _split(same)
    earlier, latest = same[:split], same[split:]
    before = _sum(earlier)
    expected = before.mean if before.samples else None
    if last.trained_loss is not None and last.kind == "records":
        expected = last.trained_loss
    return StoredDrift(
        last.kind,
        last.embedder,
        same[0].until,
        last.until,
        _sum(latest),
        before,
        expected,
        _similarity(latest),
        _similarity(earlier),
        tolerance,
    )


def _split(rows: Sequence[QualitySample]) -> int:
    """Return the number of the first of the latest rows."""
    counts = [one.losses.samples for one in rows]
    start = len(rows) - 1
    while start > (len(rows) + 1) // 2 and sum(counts[start:]) < ENOUGH_SAMPLES:
        start -= 1
    return start


def _sum(rows: Iterable[QualitySample]) -> LossTotals:
    return reduce(LossTotals.plus, (one.losses for one in rows), LossTotals())


def _similarity(rows: Iterable[QualitySample]) -> float | None:
    known = [one.similarity for one in rows if one.similarity is not None]
    return sum(known) / len(known) if known else None
