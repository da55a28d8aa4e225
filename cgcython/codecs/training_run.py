"""One run of training: a rotation, k-means in every subspace, and the loss of samples held out.

Everything random comes from the seed and every subspace is one thread's work, so the number of
threads never changes the result.
"""

import itertools
import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np

from cgcython import kernels
from cgcython.codecs.kmeans import assign, lloyd_step, seed_centroids
from cgcython.codecs.measures import cosine_losses, mean_interval, neighbours_kept
from cgcython.codecs.rotation import Axes, balanced, best_rotation, principal_axes, turned
from cgcython.kernels.pq_layout import prepare, scratch, subspace
from cgcython.parallel import each
from cgcython.types import Float32Array, TrainingProgress

WIDTHS = (128, 256, 384, 512)
WIDTH_LOSS = 0.002  # what a narrower projection may cost
WIDTH_ROWS, WIDTH_STEPS, WIDTH_ROUNDS = 16384, 6, 6
STEPS = 12  # of k-means
PACE = 1.7  # Over-relaxation: 12 steps at 1.7 reach a lower loss than 25 plain steps.
PLAIN_STEPS = 2  # the last ones, which end on the means
ROUNDS, STEPS_EACH, LAST_STEPS = 12, 2, 6  # of refining: rotate and step; then step alone
REFINED_GAIN = 0.01
WATCHING = 0.03  # the part of the time of training that measuring the loss of steps may take

T = TypeVar("T")


class Trained(NamedTuple):
    """A codebook's arrays; mean and rotation are both None or both arrays."""

    centroids: Float32Array  # [M, ksub, dsub]
    mean: Float32Array | None = None  # [dim]
    rotation: Float32Array | None = None  # [dim, M * dsub]


class Training:
    """One run: its rows, the rows held out, its seed, and who is told of its progress."""

    def __init__(
        self,
        rows: Float32Array,
        held_out: Float32Array,
        num_subvectors: int,
        seed: int,
        num_threads: int = 1,
        progress: TrainingProgress | None = None,
    ) -> None:
        self.rows, self.held_out = rows, held_out
        self.num_subvectors, self.seed = num_subvectors, seed
        self.num_threads = num_threads
        self.step = self.steps = 0
        self.latest: Trained | None = None  # after the last step
        self.settled: Trained | None = None  # after the last stage
        self.interrupted = False
        self.watch = Watch(self.held_out_loss, progress)

    def run(self, rotation: str | None, width: int | None = None) -> Trained:
        """Return the arrays of a codebook with a kind of rotation.

        Ctrl-C ends it with the best codebook so far; before the first step there is none, and
        KeyboardInterrupt passes on.
        """
        self.steps = STEPS + (ROUNDS * STEPS_EACH + LAST_STEPS if rotation == "opq" else 0)
        try:
            return self._run(rotation, width)
        except KeyboardInterrupt:
            if self.latest is None:
                raise
            self.interrupted = True
            found = [one for one in (self.settled, self.latest) if one is not None]
            return min(found, key=self.held_out_loss)

    def _run(self, rotation: str | None, width: int | None) -> Trained:
        if rotation is None:
            subspaces = self._split(self.rows)
            return self._settle(subspaces, Trained(self._seeds(subspaces)), STEPS)
        axes = principal_axes(self.rows)
        rows, found = self._in_axes(axes, width or self._width(rotation, axes), STEPS)
        self.settled = found
        if rotation == "pca":
            return found
        # A rotation fitted to the training rows serves other kinds of rows less well than their
        # principal axes do, so it has to gain more than a little.
        refined = self._refined(rows, found, ROUNDS, LAST_STEPS)
        bar = self.held_out_loss(found) * (1 - REFINED_GAIN)
        return refined if self.held_out_loss(refined) < bar else found

    def _in_axes(self, axes: Axes, width: int, steps: int) -> tuple[Float32Array, Trained]:
        """Return the rows in their widest balanced axes, and a codebook of these."""
        order = balanced(axes.variances[:width], self.num_subvectors)
        start = axes.directions[:, order].astype(np.float32)
        rows = turned(self.rows, start, axes.mean)
        subspaces = self._split(rows)
        return rows, self._settle(
            subspaces, Trained(self._seeds(subspaces), axes.mean, start), steps
        )

    def _refined(self, rows: Float32Array, found: Trained, rounds: int, last_steps: int) -> Trained:
        """Return a codebook whose rotation and centroids are fitted to each other in turns."""
        start, subspaces = found.rotation, self._split(rows)
        for _ in range(rounds):
            turn = best_rotation(rows, self._decoded(subspaces, found.centroids))
            subspaces = self._split(turned(rows, turn))
            rotation = None if start is None else start @ turn
            found = self._settle(subspaces, found._replace(rotation=rotation), STEPS_EACH)
        return self._settle(subspaces, found, last_steps)

    def _settle(self, subspaces: list[Float32Array], found: Trained, steps: int) -> Trained:
        """Return a codebook after some steps of k-means, the last ones plain."""
        for left in reversed(range(steps)):
            pace = 1 if left < PLAIN_STEPS else PACE
            found = found._replace(centroids=self._improved(subspaces, found.centroids, pace))
            self.latest, self.step = found, self.step + 1
            self.watch.tell(found, self.step, self.steps)
        return found

    def held_out_loss(self, found: Trained) -> float:
        """Return 1 - the mean cosine of the held-out rows with what their codes decode to."""
        return float(np.mean(cosine_losses(self.held_out, self.decoded(found))))

    def measured(self, found: Trained) -> dict[str, Any]:
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

    def decoded(self, found: Trained) -> Float32Array:
        """Return what the codes of the held-out rows decode to."""
        layout = prepare(*found)
        codes = np.empty((len(self.held_out), self.num_subvectors), np.uint8)
        decoded = np.empty_like(self.held_out)
        kernels.pq.encode_rows(self.held_out, layout, codes, scratch(layout))
        kernels.pq.decode_rows(codes, layout, decoded, scratch(layout))
        return decoded

    def _width(self, rotation: str, axes: Axes) -> int:
        """Return the first width beside which the next gains little held-out loss."""
        dim = len(axes.mean)
        widths = sorted({w for w in (*WIDTHS, dim) if w <= dim and w % self.num_subvectors == 0})
        some = self.rows[:: -(-len(self.rows) // WIDTH_ROWS)]
        quick = Training(some, self.held_out, self.num_subvectors, self.seed, self.num_threads)
        rounds = WIDTH_ROUNDS if rotation == "opq" else 0
        losses = (quick._loss_of(axes, width, rounds) for width in widths)
        for width, (loss, wider) in zip(widths, itertools.pairwise(losses)):
            if loss - wider <= WIDTH_LOSS:
                return width
        return widths[-1]

    def _loss_of(self, axes: Axes, width: int, rounds: int) -> float:
        rows, found = self._in_axes(axes, width, WIDTH_STEPS)
        return self.held_out_loss(self._refined(rows, found, rounds, 0))

    def _split(self, rows: Float32Array) -> list[Float32Array]:
        """Return the subvectors of rows, each subspace a matrix of its own."""
        return [np.ascontiguousarray(one) for one in np.split(rows, self.num_subvectors, axis=1)]

    def _each(self, function: Callable[[int], T]) -> list[T]:
        """Return [function(m) for each subspace], subspaces shared out among the threads."""
        return each(function, range(self.num_subvectors), self.num_threads)

    def _seeds(self, subspaces: list[Float32Array]) -> Float32Array:
        def seeds(m: int) -> Float32Array:
            return seed_centroids(subspaces[m], np.random.default_rng([self.seed, m]))

        return np.stack(self._each(seeds))

    def _improved(
        self, subspaces: list[Float32Array], centroids: Float32Array, pace: float
    ) -> Float32Array:
        layout = prepare(centroids)
        return np.stack(self._each(lambda m: lloyd_step(subspaces[m], subspace(layout, m), pace)))

    def _decoded(self, subspaces: list[Float32Array], centroids: Float32Array) -> Float32Array:
        layout = prepare(centroids)
        decoded = self._each(lambda m: centroids[m][assign(subspaces[m], subspace(layout, m))])
        return np.concatenate(decoded, axis=1)


class Watch:
    """Reports the loss after steps; measuring it takes little of the time of training."""

    clock = staticmethod(time.perf_counter)

    def __init__(
        self, loss_of: Callable[[Trained], float], progress: TrainingProgress | None
    ) -> None:
        self._loss_of, self._progress = loss_of, progress
        self._loss, self._due = 0.0, -np.inf

    def tell(self, found: Trained, step: int, steps: int) -> None:
        """Report a step; the loss is that of this step or of one shortly before."""
        if self._progress is None:
            return
        started = self.clock()
        if started >= self._due or step == steps:
            self._loss = self._loss_of(found)
            ended = self.clock()
            self._due = ended + (ended - started) / WATCHING
        self._progress(step, steps, self._loss)
