"""Trains residual quantizers: stage after stage, then the centroids of all stages together.

Each stage is k-means of what the stages before it leave of the rows, in a growing number of their
widest directions, as faiss's ProgressiveDimClustering does it. Then codes and centroids are fitted
to each other in turns, the centroids of all stages at once by least squares.
"""

from typing import Any, Final

import numpy as np

from cgcython import kernels
from cgcython.checks import require_whole
from cgcython.codecs import training
from cgcython.codecs.kmeans import lloyd_step, seed_centroids
from cgcython.codecs.residual_search import Encoder, best_codes, lay_stages, multiplied, padded
from cgcython.codecs.rotation import principal_axes, turned
from cgcython.codecs.samples import as_source
from cgcython.codecs.training_base import Run, TrainedStages
from cgcython.errors import InvalidInput
from cgcython.kernels.pq_layout import NUM_CENTROIDS, prepare
from cgcython.parallel import split_rows
from cgcython.types import ArrayLike, Float32Array, Float64Array, TrainingProgress, UInt8Array

SIZES: Final = (8, 16, 24)  # bytes of a code
WIDTH: Final = 128
FIRST_WIDTH: Final = 4  # of k-means, which doubles up to the whole
STEPS: Final = 4  # of k-means in each width
ROUNDS: Final = 3  # of fitting codes and centroids to each other
BEAM: Final = 4


@np.errstate(all="ignore")
def train(
    samples: ArrayLike,
    *,
    code_size: int = 8,
    seed: int = 0,
    width: int | None = None,
    sample: int | None = None,
    num_threads: int = 1,
    progress: TrainingProgress | None = None,
) -> tuple[TrainedStages, dict[str, Any]]:
    """Return the arrays that suit samples [n, dim], and facts; as `training.train`."""
    source, most = as_source(samples), training.require_sample(sample)
    if require_whole(code_size, "code_size") not in SIZES or not source.shape[1]:
        expected = f"one of {', '.join(map(str, SIZES))}"
        raise InvalidInput(what="code_size", expected=expected, actual=code_size)
    if width is not None:
        require_whole(width, "width", 1, source.shape[1])

    def start(
        rows: Float32Array, held_out: Float32Array, seed: int, threads: int
    ) -> "ResidualTraining":
        return ResidualTraining(rows, held_out, code_size, seed, threads, progress, width)

    found, facts = training.fitted(source, most, seed, num_threads, start)
    return found, {**facts, "training": "residual"}


class ResidualTraining(Run[TrainedStages]):
    """A run of a residual quantizer's training, in the widest principal axes of its rows."""

    def __init__(
        self,
        rows: Float32Array,
        held_out: Float32Array,
        code_size: int,
        seed: int,
        num_threads: int = 1,
        progress: TrainingProgress | None = None,
        width: int | None = None,
    ) -> None:
        super().__init__(rows, held_out, seed, num_threads, progress)
        self.code_size, self.width = code_size, min(width or WIDTH, rows.shape[1])
        self.steps = code_size + ROUNDS

    def fit(self) -> TrainedStages:
        """Return the arrays of a codebook."""
        axes = principal_axes(self.rows)
        rotation = np.ascontiguousarray(axes.directions[:, : self.width], np.float32)
        rows = turned(self.rows, rotation, axes.mean)
        shape = self.code_size, NUM_CENTROIDS, self.width
        found = TrainedStages(np.zeros(shape, np.float32), axes.mean, rotation)
        left = rows
        for stage in range(self.code_size):
            centroids = found.centroids.copy()
            rng = np.random.default_rng([self.seed, stage])
            centroids[stage] = clustered(left, rng)
            found = found._replace(centroids=centroids)
            left = rows - self._sums(rows, centroids[: stage + 1])
            self.tell(found)
        best = found
        for _ in range(ROUNDS):
            self.settled = best = found
            codes = self._codes(rows, found.centroids)
            found = found._replace(centroids=fitted(codes, rows, found.centroids))
            self.tell(found)
        return min((best, found), key=self.held_out_loss)

    def decoded(self, found: TrainedStages) -> Float32Array:
        """Return what the codes of the held-out rows decode to."""
        codes = np.empty((len(self.held_out), self.code_size), np.uint8)
        Encoder(found.centroids, found.rotation, found.mean).encode(self.held_out, codes)
        sums = np.empty((len(codes), self.width), np.float32)
        kernels.residual.sums(codes, found.centroids, sums)
        decoded = np.empty_like(self.held_out)
        back = np.ascontiguousarray(found.rotation.T)
        kernels.dense.back_project(sums, back, found.mean, decoded)
        return decoded

    def _codes(self, rows: Float32Array, centroids: Float32Array) -> UInt8Array:
        stages = lay_stages(centroids)
        codes = np.empty((len(rows), len(centroids)), np.uint8)

        def encode_range(start: int, stop: int) -> None:
            for first in range(start, stop, 64):
                some = slice(first, min(first + 64, stop))
                products = multiplied(padded(rows[some]), stages.columns)
                codes[some] = best_codes(products, stages, BEAM)

        split_rows(encode_range, len(rows), self.num_threads)
        return codes

    def _sums(self, rows: Float32Array, centroids: Float32Array) -> Float32Array:
        sums = np.empty_like(rows)
        kernels.residual.sums(self._codes(rows, centroids), centroids, sums)
        return sums


def clustered(rows: Float32Array, rng: "np.random.Generator") -> Float32Array:
    """Return 256 centroids of rows, by k-means in a growing number of their widest directions."""
    axes = principal_axes(rows)
    directions = axes.directions.astype(np.float32)
    rows, width = turned(rows, directions, axes.mean), min(FIRST_WIDTH, rows.shape[1])
    centroids = seed_centroids(np.ascontiguousarray(rows[:, :width]), rng)
    while True:
        some = np.ascontiguousarray(rows[:, :width])
        for _ in range(STEPS):
            centroids = lloyd_step(some, prepare(centroids[None]))
        if width == rows.shape[1]:
            return centroids @ directions.T + axes.mean
        wider = min(2 * width, rows.shape[1])
        centroids = np.pad(centroids, [(0, 0), (0, wider - width)])
        width = wider


def fitted(codes: UInt8Array, rows: Float32Array, centroids: Float32Array) -> Float32Array:
    """Return the centroids of all stages whose sums are nearest to rows with such codes."""
    M, ksub, width = centroids.shape
    places = codes + np.arange(M) * ksub
    counts = np.zeros((M * ksub, M * ksub))
    targets = np.zeros((M * ksub, width))
    for m in range(M):
        np.add.at(targets, places[:, m], rows)
        for i in range(m + 1):
            np.add.at(counts, (places[:, m], places[:, i]), 1)
    counts = np.tril(counts) + np.tril(counts, -1).T
    return solved(counts, targets, centroids.reshape(-1, width)).reshape(centroids.shape)


def solved(counts: Float64Array, targets: Float64Array, start: Float32Array) -> Float32Array:
    """Return the least squares' solution near a start."""
    weight = 1.0
    counts[np.diag_indices_from(counts)] += weight
    return np.linalg.solve(counts, targets + weight * start).astype(np.float32)
