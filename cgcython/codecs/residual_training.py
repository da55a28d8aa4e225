"""Trains residual quantizers, stage after stage.

Each stage is k-means of what the stages before it leave of the rows, in a growing number of their
widest directions, as faiss's ProgressiveDimClustering does it. What is left of a row is that of
some entries of its beam, drawn at random: a stage that knows the best entries alone fits them too
well. To fit the centroids of all stages again by least squares gained nothing on rows held out.
"""

from typing import Any, Final

import numpy as np

from cgcython import kernels
from cgcython.checks import require_progress, require_whole
from cgcython.codecs import training
from cgcython.codecs.kmeans import lloyd_step, seed_centroids
from cgcython.codecs.residual_search import (
    Encoder,
    blocks,
    empty_stages,
    lay_stage,
    multiplied,
    padded,
    squared,
    stage_of,
)
from cgcython.codecs.rotation import principal_axes, turned
from cgcython.codecs.samples import as_source
from cgcython.codecs.training_base import Run, TrainedStages
from cgcython.errors import InvalidInput
from cgcython.kernels.pq_layout import NUM_CENTROIDS, prepare, strips
from cgcython.parallel import split_rows
from cgcython.types import ArrayLike, Float32Array, RowSource, TrainingProgress

SIZES: Final = (8, 16, 24)  # bytes of a code
WIDTH: Final = 16  # principal axes kept for each byte of a code
MOST_WIDTH: Final = 256
FIRST_WIDTH: Final = 2  # of k-means, which doubles up to the whole
STEPS: Final = 5  # of k-means in each width
MOST_ROWS: Final = 1 << 16  # of k-means
PACE: Final = 1.3  # of a step, times the way to the means
BEAM: Final = 6  # of training; wider ones draw what is left of a row from ever worse entries


@np.errstate(all="ignore")
def train(
    samples: ArrayLike | RowSource,
    *,
    code_size: int = 8,
    seed: int = 0,
    width: int | None = None,
    sample: int | None = None,
    num_threads: int = 1,
    progress: TrainingProgress | None = None,
) -> tuple[TrainedStages, dict[str, Any]]:
    """Return the arrays that suit samples [n, dim], and facts; as `training.train`."""
    require_progress(progress)
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
        self.code_size = code_size
        self.width = min(width or min(WIDTH * code_size, MOST_WIDTH), rows.shape[1])
        self.steps = code_size

    def fit(self) -> TrainedStages:
        """Return the arrays of a codebook; stages that are not trained yet are zeros."""
        axes = principal_axes(self.rows, self.num_threads)
        rotation = np.ascontiguousarray(axes.directions[:, : self.width], np.float32)
        rows = turned(self.rows, rotation, axes.mean, self.num_threads)
        beams = Beams(rows, self.code_size, self.num_threads)
        centroids = np.zeros((self.code_size, NUM_CENTROIDS, self.width), np.float32)
        for stage in range(self.code_size):
            rng = np.random.default_rng([self.seed, stage])
            left = beams.left(centroids[:stage], rng)
            centroids = centroids.copy()
            centroids[stage] = self._clustered(left, rng)
            beams.extend(centroids, stage)
            found = TrainedStages(centroids, axes.mean, rotation)
            self.tell(found)
        return found

    def _clustered(self, rows: Float32Array, rng: "np.random.Generator") -> Float32Array:
        """Return 256 centroids of rows, by k-means in ever more of their widest directions."""
        axes = principal_axes(rows, self.num_threads)
        directions = axes.directions.astype(np.float32)
        rows = turned(rows, directions, axes.mean, self.num_threads)
        width = min(FIRST_WIDTH, rows.shape[1])
        centroids = seed_centroids(np.ascontiguousarray(rows[:, :width]), rng)
        while True:
            some = np.ascontiguousarray(rows[:, :width])
            for _ in range(STEPS):
                centroids = lloyd_step(some, prepare(centroids[None]), PACE, self.num_threads)
            if width == rows.shape[1]:
                return turned(centroids, directions.T) + axes.mean
            wider = min(2 * width, rows.shape[1])
            centroids = np.pad(centroids, [(0, 0), (0, wider - width)])
            width = wider

    def decoded(self, found: TrainedStages) -> Float32Array:
        """Return what the codes of the held-out rows decode to."""
        codes = np.empty((len(self.held_out), self.code_size), np.uint8)
        Encoder(found.centroids, strips(found.rotation), found.mean).encode(self.held_out, codes)
        sums = np.empty((len(codes), self.width), np.float32)
        kernels.residual.sums(codes, found.centroids, sums)
        return turned(sums, found.rotation.T, num_threads=self.num_threads) + found.mean


class Beams:
    """The beams of all training rows [n, width], which grow with the stages."""

    def __init__(self, rows: Float32Array, M: int, num_threads: int) -> None:
        self._rows, self._num_threads = rows, num_threads
        self._codes = np.zeros((len(rows), BEAM, M), np.uint8)
        self._scores = np.zeros((len(rows), BEAM), np.int32)

    def left(self, centroids: Float32Array, rng: "np.random.Generator") -> Float32Array:
        """Return what entries of each row's beam leave of the row: some drawn at random."""
        stage, n = len(centroids), len(self._rows)
        if not stage:
            return self._rows
        count = min(BEAM, max(1, MOST_ROWS // n))
        drawn = rng.permuted(np.tile(np.arange(BEAM), (n, 1)), axis=1)[:, :count]
        codes = np.take_along_axis(self._codes[:, :, :stage], drawn[:, :, None], axis=1)
        sums = np.empty((n * count, self._rows.shape[1]), np.float32)
        kernels.residual.sums(codes.reshape(-1, stage), centroids, sums)
        return np.repeat(self._rows, count, axis=0) - sums

    def extend(self, centroids: Float32Array, stage: int) -> None:
        """Extend all beams by a stage of centroids [M, 256, width]."""
        if not stage:
            M, _, width = centroids.shape
            self._stages = empty_stages(M, width, float(squared(centroids[0]).max()))
        lay_stage(self._stages, centroids, stage)
        columns, norms = stage_of(self._stages, stage)

        def extend_range(start: int, stop: int) -> None:
            for some in blocks(start, stop):
                products = multiplied(padded(self._rows[some]), columns)
                beams = self._codes[some], self._scores[some]
                kernels.residual.search(products, norms, *self._stages[2:], stage, *beams)

        split_rows(extend_range, len(self._rows), self._num_threads)
