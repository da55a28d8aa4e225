"""Trains product-quantization codebooks: rotation, k-means in every subspace, held-out loss.

Everything random comes from the seed and every subspace is one thread's work, so the number of
threads never changes the result.
"""

import itertools
import warnings
from typing import NamedTuple

import numpy as np

from cgcython import kernels
from cgcython.codecs.rotation import balanced, best_rotation, principal_axes
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
SEEDING_ROWS = 8192


class CodebookWarning(UserWarning):
    """A codebook comes from too few samples to be trusted."""


KINDS = ("opq", "pca", None)
STEPS = 12  # of k-means
PACE = 1.7  # centroids step past their means, where twelve steps reach lower than 25 plain ones
PLAIN_STEPS = 2  # the last ones, which end on the means
ROUNDS, STEPS_EACH, LAST_STEPS = 12, 2, 6  # of refining: rotate and step; then step alone
REFINED_GAIN = 0.01


class Trained(NamedTuple):
    """A codebook's arrays; mean and rotation are both None or both arrays."""

    centroids: np.ndarray
    mean: np.ndarray | None = None
    rotation: np.ndarray | None = None


def train(
    samples, *, num_subvectors=8, seed=0, rotation="opq", width=None, num_threads=1, progress=None
):
    """Return the arrays that suit samples [n, dim] and the facts of their training.

    `progress(step, steps, loss)` is called after each step. Raises InvalidInput; warns
    CodebookWarning below 39 samples per centroid.
    """
    _check(samples, num_subvectors, rotation, width)
    order = np.random.default_rng(seed).permutation(len(samples))[:MAX_SAMPLES]
    held = min(MAX_HELD_OUT, int(len(order) * HELD_OUT))
    training = Training(
        np.ascontiguousarray(samples[np.sort(order[held:])]),
        np.ascontiguousarray(samples[np.sort(order[:held])]),
        num_subvectors,
        seed,
        num_threads,
        progress,
    )
    found = training.run(rotation, width)
    facts = {
        "samples": len(samples),
        "seed": int(seed),
        "training": rotation or "plain",
        "held_out_samples": held,
        "held_out_loss": training.held_out_loss(found),
        "held_out_recall10": neighbours_kept(training.held_out, training.decoded(found)),
    }
    return found, facts


def _check(samples, num_subvectors, rotation, width):
    count, dim = samples.shape
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
    if count < MIN_SAMPLES:
        raise InvalidInput(what="samples", expected=f"{MIN_SAMPLES} or more", actual=count)
    if count < ENOUGH_SAMPLES:
        warnings.warn(
            f"{count} samples are few; {ENOUGH_SAMPLES} or more give a codebook worth trusting",
            CodebookWarning,
            stacklevel=4,
        )


class Training:
    """One run: its rows, the rows held out, its seed, and who hears of its progress."""

    def __init__(self, rows, held_out, num_subvectors, seed, num_threads=1, progress=None):
        self.rows, self.held_out = rows, held_out
        self.num_subvectors, self.seed = num_subvectors, seed
        self.num_threads, self.progress = num_threads, progress

    def run(self, rotation, width=None):
        """Return the arrays of a codebook with a kind of rotation."""
        steps = STEPS + (ROUNDS * STEPS_EACH + LAST_STEPS if rotation == "opq" else 0)
        self.reports = enumerate(itertools.repeat(steps), 1)
        if rotation is None:
            parts = self._parts(self.rows)
            return self._settle(parts, Trained(self._seeds(parts)), STEPS)
        axes = principal_axes(self.rows)
        width = width or self._width(rotation, *axes)
        rows, found = self._in_axes(*axes, width, STEPS)
        if rotation == "pca":
            return found
        # A rotation fitted to the training rows serves other kinds of rows less well than their
        # principal axes do, so it has to gain more than a little.
        refined = self._refined(rows, found, ROUNDS, LAST_STEPS)
        bar = self.held_out_loss(found) * (1 - REFINED_GAIN)
        return refined if self.held_out_loss(refined) < bar else found

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
            self._report(found)
        return found

    def held_out_loss(self, found):
        """Return 1 - the mean cosine of the held-out rows with what their codes decode to."""
        return mean_loss(self.held_out, self.decoded(found))

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

    def _report(self, found):
        if self.progress is not None:
            self.progress(*next(self.reports), self.held_out_loss(found))


def mean_loss(originals, decoded):
    """Return 1 - the mean cosine of rows; rows of zeros count as kept."""
    originals, decoded = originals.astype(np.float64), decoded.astype(np.float64)
    lengths = np.linalg.norm(originals, axis=1) * np.linalg.norm(decoded, axis=1)
    dots = (originals * decoded).sum(axis=1)
    return float(1 - np.mean(np.divide(dots, lengths, out=np.ones_like(dots), where=lengths > 0)))


def neighbours_kept(originals, decoded, k=10):
    """Return which part of each row's k nearest others, by cosine, is found among decoded rows.

    >>> neighbours_kept(np.eye(3), np.eye(3), k=1)
    1.0
    """
    k = min(k, len(originals) - 1)
    if k < 1:
        return 1.0
    exact = _nearest(originals, originals, k)
    found = _nearest(originals, decoded, k)
    return float(np.mean([len(set(a) & set(b)) / k for a, b in zip(exact, found)]))


def _nearest(queries, rows, k):
    """Return the k rows of highest cosine for each query, itself left out."""
    lengths = np.linalg.norm(rows, axis=1)
    scores = queries @ (rows / np.where(lengths > 0, lengths, 1)[:, None]).T
    np.fill_diagonal(scores, -np.inf)
    return np.argsort(-scores, axis=1, kind="stable")[:, :k].tolist()


def assign(rows, centroids):
    """Return the code of the nearest centroid of each row."""
    codes = np.empty((len(rows), 1), np.uint8)
    prepared = prepare(centroids[None])
    kernels.pq.encode_rows(rows, prepared, codes, scratch(prepared))
    return codes[:, 0]


def seed_centroids(rows, rng):
    """Return 256 rows chosen by k-means++: each with odds of its squared distance from the rest."""
    rows = rows[rng.permutation(len(rows))[:SEEDING_ROWS]]
    distances = np.full(len(rows), np.finfo(np.float32).max, np.float32)
    chosen = [0]
    for draw in rng.random(NUM_CENTROIDS - 1):
        kernels.kmeans.shrink_distances(rows, rows[chosen[-1]], distances)
        odds = np.cumsum(distances, dtype=np.float64)
        found = int(np.searchsorted(odds, draw * odds[-1], side="right"))
        chosen.append(min(found, len(rows) - 1))
    return rows[chosen]


def lloyd(rows, centroids, steps, pace=1):
    """Return the centroids after some steps of k-means, each `pace` times the way to the mean.

    Empty ones move to the rows that are kept worst.
    """
    for _ in range(steps):
        codes = assign(rows, centroids)
        sums, counts = np.zeros(centroids.shape), np.zeros(NUM_CENTROIDS, np.int64)
        kernels.kmeans.accumulate(rows, codes, sums, counts)
        empty = counts == 0
        means = sums / np.maximum(counts, 1)[:, None]
        if pace > 1:
            means = centroids + pace * (means - centroids)
        moved = means.astype(np.float32)
        if empty.any():
            errors = ((rows - centroids[codes]) ** 2).sum(axis=1)
            worst = np.argsort(-errors, kind="stable")[: np.count_nonzero(empty)]
            moved[empty] = rows[worst] if len(worst) == empty.sum() else centroids[empty]
        if np.array_equal(moved, centroids):
            break
        centroids = moved
    return centroids
