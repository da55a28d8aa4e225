"""Whether new embeddings are still of the kind a codebook was trained on."""

from typing import NamedTuple

import numpy as np

from cgcython.codecs.codebook_base import Codebook
from cgcython.codecs.measures import cosine_losses, mean_interval, neighbours_kept
from cgcython.codecs.samples import as_source, some_rows
from cgcython.embedders.route import DRIFT_TOLERANCE
from cgcython.errors import InvalidInput
from cgcython.types import ArrayLike, UInt8Array

MOST_ROWS = 10_000
MOST_NEIGHBOURS = 1000  # rows among which neighbours are sought: as many as training holds out


class Drift(NamedTuple):
    """New embeddings beside those held out of training; losses and parts are fractions."""

    rows: int
    loss: float
    interval: tuple[float, float]
    trained_loss: float
    recall10: float
    trained_recall10: float | None
    unused_centroids: float
    tolerance: float

    @property
    def drifted(self) -> bool:
        """Whether the loss has risen beyond the tolerance, and not by chance."""
        return self.interval[0] > self.trained_loss * (1 + self.tolerance)


def drift(
    codebook: Codebook,
    rows: ArrayLike,
    tolerance: float = DRIFT_TOLERANCE,
    num_threads: int = 1,
    seed: int = 0,
) -> Drift:
    """Return the Drift of embeddings [n, dim] against what a codebook's training measured.

    Of more than 10,000 rows some are taken, by seed. Raises InvalidInput for fewer than two rows
    and for a codebook whose metadata hold no held-out loss.
    """
    trained = codebook.metadata.get("held_out_loss")
    if trained is None:
        raise InvalidInput(
            what="codebook",
            expected="one that training measured",
            actual="one without held_out_loss",
        )
    source = as_source(rows)
    if source.shape[0] < 2:
        raise InvalidInput(what="rows", expected="2 or more", actual=source.shape[0])
    sample = some_rows(source, MOST_ROWS, seed)
    codes = codebook.encode(sample, num_threads=num_threads)
    decoded = codebook.decode(codes, num_threads=num_threads)
    losses = cosine_losses(sample, decoded)
    return Drift(
        len(sample),
        float(losses.mean()),
        mean_interval(losses),
        float(trained),
        float(neighbours_kept(sample[:MOST_NEIGHBOURS], decoded[:MOST_NEIGHBOURS]).mean()),
        codebook.metadata.get("held_out_recall10"),
        _unused(codes),
        tolerance,
    )


def _unused(codes: UInt8Array) -> float:
    """Return which part of all centroids no row is near to."""
    used = sum(len(np.unique(column)) for column in codes.T)
    return 1 - used / (256 * len(codes.T))
