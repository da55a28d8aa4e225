"""One run of training: a rotation, k-means in every subspace, and the loss of samples held out.

Everything random comes from the seed and every subspace is one thread's work, so the number of
threads never changes the result.
"""

import itertools
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from cgcython.codecs.kmeans import assign, lloyd_step, seed_centroids
from cgcython.codecs.rotation import Axes, balanced, best_rotation, principal_axes, turned
from cgcython.codecs.training_base import Run, Trained
from cgcython.kernels.pq_layout import prepare, subspace
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

T = TypeVar("T")


class Training(Run[Trained]):
    """A run of product quantization's training, with a kind of rotation of some width."""

    def __init__(
        self,
        rows: Float32Array,
        held_out: Float32Array,
        num_subvectors: int,
        seed: int,
        num_threads: int = 1,
        progress: TrainingProgress | None = None,
        rotation: str | None = None,
        width: int | None = None,
    ) -> None:
        super().__init__(rows, held_out, seed, num_threads, progress)
        self.num_subvectors, self.rotation, self.width = num_subvectors, rotation, width
        self.steps = STEPS + (ROUNDS * STEPS_EACH + LAST_STEPS if rotation == "opq" else 0)

    def fit(self) -> Trained:
        """Return the arrays of a codebook."""
        if self.rotation is None:
            subspaces = self._split(self.rows)
            return self._settle(subspaces, Trained(self._seeds(subspaces)), STEPS)
        axes = principal_axes(self.rows, self.num_threads)
        width = self.width or self._chosen_width(axes)
        rows, found = self._in_axes(axes, width, STEPS)
        self.settled = found
        if self.rotation == "pca":
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
        rows = turned(self.rows, start, axes.mean, self.num_threads)
        subspaces = self._split(rows)
        return rows, self._settle(
            subspaces, Trained(self._seeds(subspaces), axes.mean, start), steps
        )

    def _refined(self, rows: Float32Array, found: Trained, rounds: int, last_steps: int) -> Trained:
        """Return a codebook whose rotation and centroids are fitted to each other in turns."""
        start, subspaces = found.rotation, self._split(rows)
        for _ in range(rounds):
            turn = best_rotation(rows, self._decoded(subspaces, found.centroids), self.num_threads)
            subspaces = self._split(turned(rows, turn, num_threads=self.num_threads))
            rotation = None if start is None else turned(start, turn)
            found = self._settle(subspaces, found._replace(rotation=rotation), STEPS_EACH)
        return self._settle(subspaces, found, last_steps)

    def _settle(self, subspaces: list[Float32Array], found: Trained, steps: int) -> Trained:
        """Return a codebook after some steps of k-means, the last ones plain."""
        for left in reversed(range(steps)):
            pace = 1 if left < PLAIN_STEPS else PACE
            found = found._replace(centroids=self._improved(subspaces, found.centroids, pace))
            self.tell(found)
        return found

    def decoded(self, found: Trained) -> Float32Array:
        """Return what the codes of the held-out rows decode to."""
        if found.rotation is None or found.mean is None:
            return self._decoded(self._split(self.held_out), found.centroids)
        rows = turned(self.held_out, found.rotation, found.mean, self.num_threads)
        decoded = self._decoded(self._split(rows), found.centroids)
        return turned(decoded, found.rotation.T, num_threads=self.num_threads) + found.mean

    def _chosen_width(self, axes: Axes) -> int:
        """Return the first width beside which the next gains little held-out loss."""
        dim = len(axes.mean)
        widths = sorted({w for w in (*WIDTHS, dim) if w <= dim and w % self.num_subvectors == 0})
        some = self.rows[:: -(-len(self.rows) // WIDTH_ROWS)]
        quick = Training(some, self.held_out, self.num_subvectors, self.seed, self.num_threads)
        rounds = WIDTH_ROUNDS if self.rotation == "opq" else 0
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
