"""What runs of training share: the best codebook so far, Ctrl-C, and the loss of rows held out."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from cgcython.codecs.measures import cosine_losses, mean_interval, neighbours_kept
from cgcython.types import Float32Array, TrainingProgress

WATCHING = 0.03  # the part of the time of training that measuring the loss of steps may take


class Trained(NamedTuple):
    """The arrays of a product quantizer's codebook; mean and rotation are both None or neither."""

    centroids: Float32Array  # [M, ksub, dsub]
    mean: Float32Array | None = None  # [dim]
    rotation: Float32Array | None = None  # [dim, M * dsub]


class TrainedStages(NamedTuple):
    """The arrays of a residual quantizer's codebook."""

    centroids: Float32Array  # [M, 256, width]
    mean: Float32Array  # [dim]
    rotation: Float32Array  # [dim, width]


Found = TypeVar("Found", Trained, TrainedStages)


class Run(ABC, Generic[Found]):
    """One run: its rows, the rows held out, its seed, and who is told of its progress."""

    def __init__(
        self,
        rows: Float32Array,
        held_out: Float32Array,
        seed: int,
        num_threads: int = 1,
        progress: TrainingProgress | None = None,
    ) -> None:
        self.rows, self.held_out = rows, held_out
        self.seed, self.num_threads = seed, num_threads
        self.step = self.steps = 0
        self.latest: Found | None = None  # after the last step
        self.settled: Found | None = None  # after the last stage
        self.interrupted = False
        self.watch: Watch[Found] = Watch(self.held_out_loss, progress)

    @abstractmethod
    def fit(self) -> Found:
        """Return the arrays of a codebook; `latest` and `settled` are kept on the way."""

    @abstractmethod
    def decoded(self, found: Found) -> Float32Array:
        """Return what the codes of the held-out rows decode to."""

    def run(self) -> Found:
        """Return the arrays of a codebook.

        Ctrl-C ends it with the best codebook so far; before the first step there is none, and
        KeyboardInterrupt passes on.
        """
        try:
            return self.fit()
        except KeyboardInterrupt:
            if self.latest is None:
                raise
            self.interrupted = True
            found = [one for one in (self.settled, self.latest) if one is not None]
            return min(found, key=self.held_out_loss)

    def tell(self, found: Found) -> None:
        """Note the codebook after one more step, and report it."""
        self.latest, self.step = found, self.step + 1
        self.watch.tell(found, self.step, self.steps)

    def held_out_loss(self, found: Found) -> float:
        """Return 1 - the mean cosine of the held-out rows with what their codes decode to."""
        return float(np.mean(cosine_losses(self.held_out, self.decoded(found))))

    def measured(self, found: Found) -> dict[str, Any]:
        """Return what a codebook costs the held-out rows, with 95 % intervals, as facts."""
        decoded = self.decoded(found)
        losses = cosine_losses(self.held_out, decoded)
        kept = neighbours_kept(self.held_out, decoded)
        return {
            "held_out_samples": len(self.held_out),
            "held_out_loss": float(losses.mean()),
            "held_out_loss_interval": mean_interval(losses),
            "held_out_recall10": float(kept.mean()),
            "held_out_recall10_interval": mean_interval(kept),
        }


class Watch(Generic[Found]):
    """Reports the loss after steps; measuring it takes little of the time of training."""

    clock = staticmethod(time.perf_counter)

    def __init__(
        self, loss_of: Callable[[Found], float], progress: TrainingProgress | None
    ) -> None:
        self._loss_of: Callable[[Found], float] = loss_of
        self._progress = progress
        self._loss, self._due = 0.0, -np.inf

    def tell(self, found: Found, step: int, steps: int) -> None:
        """Report a step; the loss is that of this step or of one shortly before."""
        if self._progress is None:
            return
        started = self.clock()
        if started >= self._due or step == steps:
            self._loss = self._loss_of(found)
            ended = self.clock()
            self._due = ended + (ended - started) / WATCHING
        self._progress(step, steps, self._loss)
