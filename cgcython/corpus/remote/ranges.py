"""Which bytes to ask for: rows that lie near each other in one read, long ones in parts."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from cgcython.types import Int64Array

GAP_BYTES = 1 << 16  # that are read and dropped rather than asked for around
PART_BYTES = 1 << 24  # of one range; longer ones are several
BATCH_BYTES = 1 << 26  # of the ranges that are asked for at the same time


class Run(NamedTuple):
    """Consecutive rows that one range holds: from `first` to before `last`."""

    first: int
    last: int


def runs_of(rows: Int64Array, row_bytes: int) -> list[Run]:
    """Return the runs that hold some rows, ascending; gaps that cost less than a request are read.

    >>> runs_of(np.array([0, 1, 2, 900, 901]), row_bytes=4096)
    [Run(first=0, last=3), Run(first=900, last=902)]
    """
    if not len(rows):
        return []
    ends = np.flatnonzero((np.diff(rows) - 1) * row_bytes > GAP_BYTES)
    firsts = rows[np.concatenate([[0], ends + 1])].tolist()
    lasts = rows[np.concatenate([ends, [-1]])].tolist()
    runs = (Run(first, last + 1) for first, last in zip(firsts, lasts))
    return [part for run in runs for part in parts_of(run, row_bytes)]


def parts_of(run: Run, row_bytes: int) -> list[Run]:
    """Return a run in parts that one range each holds; the empty run is one part.

    >>> parts_of(Run(0, 5), row_bytes=PART_BYTES // 2)
    [Run(first=0, last=2), Run(first=2, last=4), Run(first=4, last=5)]
    """
    first, last = run
    most = max(1, PART_BYTES // max(1, row_bytes))
    return [Run(start, min(start + most, last)) for start in range(first, last, most)] or [run]


def batches_of(runs: list[Run], row_bytes: int) -> Iterator[list[Run]]:
    """Yield the runs that are read at the same time."""
    batch: list[Run] = []
    held = 0
    for run in runs:
        size = (run.last - run.first) * row_bytes
        if batch and held + size > BATCH_BYTES:
            yield batch
            batch, held = [], 0
        batch.append(run)
        held += size
    if batch:
        yield batch
