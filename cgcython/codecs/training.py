"""Trains product-quantization codebooks: rotation, k-means in every subspace, held-out loss.

Everything random comes from the seed and every subspace is one thread's work, so the number of
threads never changes the result.
"""

import itertools
import time
import warnings
from typing import NamedTuple

import numpy as np

from cgcython import kernels
from cgcython.codecs.kmeans import assign, lloyd, seed_centroids
from cgcython.codecs.measures import cosine_losses, mean_interval, neighbours_kept
from cgcython.codecs.rotation import balanced, best_rotation, principal_axes
from cgcython.codecs.samples import as_source, draw
from cgcython.errors import InvalidInput
from cgcython.kernels.pq_layout import NUM_CENTROIDS, prepare, scratch
from cgcython.parallel import split_rows

SUBVECTORS = (8, 16, 24, 32, 48, 64, 96, 128)
MIN_SAMPLES = NUM_CENTROIDS
ENOUGH_SAMPLES = 39 * NUM_CENTROIDS  # below this k-means learns its rows, not their kind
MAX_SAMPLES = 256 * NUM_CENTROIDS
HELD_OUT, MAX_HELD_OUT = 0.1, 1000
WIDTHS = (128, 256, 384, 512)
WIDTH_LOSS = 0.002  # what a narrower projection may cost
WIDTH_ROWS, WIDTH_STEPS, WIDTH_ROUNDS = 16384, 6, 6


class CodebookWarning(UserWarning):
    """A codebook comes from too few samples, or too few steps, to be trusted."""


KINDS = ("opq", "pca", None)
STEPS = 12  # of k-means
PACE = 1.7  # centroids step past their means, where twelve steps reach lower than 25 plain ones
PLAIN_STEPS = 2  # the last ones, which end on the means
ROUNDS, STEPS_EACH, LAST_STEPS = 12, 2, 6  # of refining: rotate and step; then step alone
REFINED_GAIN = 0.01
WATCHING = 0.03  # of the time of training, what telling the loss of its steps may take


class Trained(NamedTuple):
    """A codebook's arrays; mean and rotation are both None or both arrays."""

    centroids: np.ndarray
    mean: np.ndarray | None = None
    rotation: np.ndarray | None = None


def train(
    samples,
    *,
    num_subvectors=8,
    seed=0,
    rotation="opq",
    width=None,
    sample=None,
    num_threads=1,
    progress=None,
):
    """Return the arrays that suit samples [n, dim], `sample` of them, and facts of the training.

    `progress(step, steps, loss)` is called after each step. Raises InvalidInput; warns
    CodebookWarning below 39 samples per centroid, and when Ctrl-C ended the training.
    """
    source, most = as_source(samples), require_sample(sample)
    _check(source.shape, num_subvectors, rotation, width, most)
    drawn = draw(source, most, lambda count: min(MAX_HELD_OUT, int(count * HELD_OUT)), seed)
    training = Training(drawn.rows, drawn.held_out, num_subvectors, seed, num_threads, progress)
    found = training.run(rotation, width)
    facts = {
        "samples": len(drawn.rows) + len(drawn.held_out),
        "samples_given": drawn.given,
        "seed": int(seed),
        "training": rotation or "plain",
        **training.measured(found),
    }
    return found, facts | (_interruption(training) if training.interrupted else {})


def require_sample(sample=None):
    """Return how many rows are drawn at most. Raises InvalidInput unless they are enough."""
    if sample is None:
        return MAX_SAMPLES
    if not isinstance(sample, (int, np.integer)) or sample < MIN_SAMPLES:
        raise InvalidInput(what="sample", expected=f"{MIN_SAMPLES} or more", actual=sample)
    return int(sample)


def _interruption(training):
    done, planned = training.step, training.steps
    _warn(f"interrupted after step {done} of {planned}: the codebook is the best so far")
    return {"interrupted": True, "steps": done, "steps_planned": planned}


def _check(shape, num_subvectors, rotation, width, most):
    dim = shape[1]
    if num_subvectors not in SUBVECTORS or dim % num_subvectors:
        raise InvalidInput(
            what="num_subvectors",
            expected=f"a divisor of {dim} among {', '.join(map(str, SUBVECTORS))}",
            actual=num_subvectors,
        )
    if rotation not in KINDS:
        raise InvalidInput(what="rotation", expected="'opq', 'pca' or None", actual=rotation)
    if width is not None and (width % num_subvectors or not num_subvectors <= width <= dim):
        raise InvalidInput(
            what="width", expected=f"a multiple of {num_subvectors} up to {dim}", actual=width
        )
    count = min(shape[0], most)
    if count < MIN_SAMPLES:
        raise InvalidInput(what="samples", expected=f"{MIN_SAMPLES} or more", actual=count)
    if count < ENOUGH_SAMPLES:
        _warn(f"{count} samples are few; {ENOUGH_SAMPLES} or more give a codebook worth trusting")


def _warn(message):
    warnings.warn(message, CodebookWarning, stacklevel=5)


class Training:
    """One run: its rows, the rows held out, its seed, and who hears of its progress."""

    def __init__(self, rows, held_out, num_subvectors, seed, num_threads=1, progress=None):
        self.rows, self.held_out = rows, held_out
        self.num_subvectors, self.seed = num_subvectors, seed
        self.num_threads, self.progress = num_threads, progress
        self.step = self.steps = 0
        self.latest = self.settled = None  # the codebooks of the last step and the last stage
        self.interrupted = False

    def run(self, rotation, width=None):
        """Return the arrays of a codebook with a kind of rotation.

        Ctrl-C ends it with the best codebook so far; before the first step there is none, and
        KeyboardInterrupt passes on.
        """
        self.steps = STEPS + (ROUNDS * STEPS_EACH + LAST_STEPS if rotation == "opq" else 0)
        self.watch = Watch(self.held_out_loss, self.progress)
        try:
            return self._run(rotation, width)
        except KeyboardInterrupt:
            if self.latest is None:
                raise
            self.interrupted = True
            return min(filter(None, (self.settled, self.latest)), key=self.held_out_loss)

    def _run(self, rotation, width):
        if rotation is None:
            parts = self._parts(self.rows)
            return self._settle(parts, Trained(self._seeds(parts)), STEPS)
        axes = principal_axes(self.rows)
        width = width or self._width(rotation, *axes)
        rows, self.settled = self._in_axes(*axes, width, STEPS)
        if rotation == "pca":
            return self.settled
        # A rotation fitted to the training rows serves other kinds of rows less well than their
        # principal axes do, so it has to gain more than a little.
        refined = self._refined(rows, self.settled, ROUNDS, LAST_STEPS)
        bar = self.held_out_loss(self.settled) * (1 - REFINED_GAIN)
        return refined if self.held_out_loss(refined) < bar else self.settled

    def _in_axes(self, mean, axes, variances, width, steps):
        """Return the rows in their widest balanced axes, and a codebook of these."""
        start = axes[:, balanced(variances[:width], self.num_subvectors)].astype(np.float32)
        rows = (self.rows - mean) @ start
        parts = self._parts(rows)
        return rows, self._settle(parts, Trained(self._seeds(parts), mean, start), steps)

    def _refined(self, rows, found, rounds, last_steps):
        """Return a codebook whose rotation fits its centroids, by turns."""
        start, parts = found.rotation, self._parts(rows)
        for _ in range(rounds):
            turn = best_rotation(rows, self._decoded(parts, found.centroids))
            parts = self._parts(rows @ turn)
            found = self._settle(parts, found._replace(rotation=start @ turn), STEPS_EACH)
        return self._settle(parts, found, last_steps)

    def _settle(self, parts, found, steps):
        for left in reversed(range(steps)):
            pace = 1 if left < PLAIN_STEPS else PACE
            found = found._replace(centroids=self._improve(parts, found.centroids, pace))
            self.latest, self.step = found, self.step + 1
            self.watch.tell(found, self.step, self.steps)
        return found

    def held_out_loss(self, found):
        """Return 1 - the mean cosine of the held-out rows with what their codes decode to."""
        return float(np.mean(cosine_losses(self.held_out, self.decoded(found))))

    def measured(self, found):
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

    def decoded(self, found):
        """Return what the codes of the held-out rows decode to."""
        prepared = prepare(*found)
        codes = np.empty((len(self.held_out), self.num_subvectors), np.uint8)
        decoded = np.empty_like(self.held_out)
        kernels.pq.encode_rows(self.held_out, prepared, codes, scratch(prepared))
        kernels.pq.decode_rows(codes, prepared, decoded, scratch(prepared))
        return decoded

    def _width(self, rotation, *axes):
        """Return the first width beside which the next gains little held-out loss."""
        dim = len(axes[0])
        widths = sorted({w for w in (*WIDTHS, dim) if w <= dim and w % self.num_subvectors == 0})
        quick = Training(
            self.rows[:: -(-len(self.rows) // WIDTH_ROWS)],
            self.held_out,
            self.num_subvectors,
            self.seed,
            self.num_threads,
        )
        quick.watch = Watch(None, None)
        rounds = WIDTH_ROUNDS if rotation == "opq" else 0
        losses = (quick._loss_of(axes, width, rounds) for width in widths)
        for width, (loss, wider) in zip(widths, itertools.pairwise(losses)):
            if loss - wider <= WIDTH_LOSS:
                return width
        return widths[-1]

    def _loss_of(self, axes, width, rounds):
        rows, found = self._in_axes(*axes, width, WIDTH_STEPS)
        return self.held_out_loss(self._refined(rows, found, rounds, 0))

    def _parts(self, rows):
        return [np.ascontiguousarray(part) for part in np.split(rows, self.num_subvectors, axis=1)]

    def _each(self, function):
        """Return [function(m) for each subspace], subspaces shared out among the threads."""
        done = split_rows(
            lambda start, stop: [function(m) for m in range(start, stop)],
            self.num_subvectors,
            self.num_threads,
        )
        return [one for some in done for one in some]

    def _seeds(self, parts):
        def seeds(m):
            return seed_centroids(parts[m], np.random.default_rng([self.seed, m]))

        return np.stack(self._each(seeds))

    def _improve(self, parts, centroids, pace):
        return np.stack(self._each(lambda m: lloyd(parts[m], centroids[m], 1, pace)))

    def _decoded(self, parts, centroids):
        decoded = self._each(lambda m: centroids[m][assign(parts[m], centroids[m])])
        return np.concatenate(decoded, axis=1)


class Watch:
    """Tells the loss of steps, measured anew when that takes little of the time they took."""

    clock = staticmethod(time.perf_counter)

    def __init__(self, loss_of, progress):
        self._loss_of, self._progress = loss_of, progress
        self._loss, self._due = 0.0, -np.inf

    def tell(self, found, step, steps):
        """Report a step; the loss is that of this step or of one shortly before."""
        if self._progress is None:
            return
        started = self.clock()
        if started >= self._due or step == steps:
            self._loss = self._loss_of(found)
            ended = self.clock()
            self._due = ended + (ended - started) / WATCHING
        self._progress(step, steps, self._loss)
