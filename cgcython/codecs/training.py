"""Trains product-quantization codebooks on samples drawn from what is given."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from cgcython.checks import require_progress, require_whole
from cgcython.codecs.samples import Samples, as_source, draw
from cgcython.codecs.scaling import power_beyond
from cgcython.codecs.training_base import Found, Run, Trained
from cgcython.codecs.training_run import Training
from cgcython.errors import InvalidInput
from cgcython.kernels.pq_layout import NUM_CENTROIDS
from cgcython.parallel import require_threads
from cgcython.types import ArrayLike, Float32Array, RowSource, TrainingProgress

SUBVECTORS = (8, 16, 24, 32, 48, 64, 96, 128, 192)
MIN_SAMPLES = NUM_CENTROIDS
ENOUGH_SAMPLES = 39 * NUM_CENTROIDS  # below this k-means learns its rows, not their kind
MAX_SAMPLES = 256 * NUM_CENTROIDS
HELD_OUT, MAX_HELD_OUT = 0.1, 1000
KINDS = ("opq", "pca", None)


class CodebookWarning(UserWarning):
    """A codebook comes from too few samples, or too few steps, to be trusted."""


@np.errstate(all="ignore")
def train(
    samples: ArrayLike | RowSource,
    *,
    num_subvectors: int = 8,
    seed: int = 0,
    rotation: str | None = "opq",
    width: int | None = None,
    sample: int | None = None,
    num_threads: int = 1,
    progress: TrainingProgress | None = None,
) -> tuple[Trained, dict[str, Any]]:
    """Return the arrays that suit samples [n, dim], `sample` of them, and facts of the training.

    `progress(step, steps, loss)` is called after each step. Raises InvalidInput; warns
    CodebookWarning below 39 samples per centroid, and when Ctrl-C ended the training.
    """
    require_progress(progress)
    source, most = as_source(samples), require_sample(sample)
    _check(source.shape, num_subvectors, rotation, width)

    def start(rows: Float32Array, held_out: Float32Array, seed: int, threads: int) -> Training:
        settings = num_subvectors, seed, threads, progress, rotation, width
        return Training(rows, held_out, *settings)

    found, facts = fitted(source, most, seed, num_threads, start)
    return found, {**facts, "training": rotation or "plain"}


def fitted(
    source: RowSource, most: int, seed: int, num_threads: int, start: Callable[..., Run[Found]]
) -> tuple[Found, dict[str, Any]]:
    """Return what `start(rows, held_out, seed, threads)` finds for samples, and facts of the run.

    Errors and warnings as in `train`.
    """
    require_enough(min(source.shape[0], most))
    seed, threads = require_whole(seed, "seed"), require_threads(num_threads)
    drawn = drawn_from(source, most, seed)
    power = _power_of(drawn)
    rows, held_out = (np.ldexp(one, -power) if power else one for one in drawn[:2])
    run = start(rows, held_out, seed, threads)
    found = run.run()
    facts = {
        "samples": len(drawn.rows) + len(drawn.held_out),
        "samples_given": drawn.given,
        "seed": seed,
        **run.measured(found),
    }
    if run.interrupted:
        facts |= _interruption(run)
    return _scaled(found, power), facts


def drawn_from(source: RowSource, most: int, seed: int) -> Samples:
    """Return the rows of a source that training reads, up to `most`, and those held out of it."""
    return draw(source, most, lambda count: min(MAX_HELD_OUT, int(count * HELD_OUT)), seed)


def require_enough(count: int) -> None:
    """Raise InvalidInput for too few samples; warn where they are few."""
    if count < MIN_SAMPLES:
        raise InvalidInput(what="samples", expected=f"{MIN_SAMPLES} or more", actual=count)
    if count < ENOUGH_SAMPLES:
        _warn(f"{count} samples are few; {ENOUGH_SAMPLES} or more give a codebook worth trusting")


def require_sample(sample: int | None = None) -> int:
    """Return how many rows are drawn at most. Raises InvalidInput unless they are enough."""
    return MAX_SAMPLES if sample is None else require_whole(sample, "sample", least=MIN_SAMPLES)


def require_rotation(rotation: object) -> None:
    """Raise InvalidInput unless there is a rotation of this name; None is one too."""
    if not (rotation is None or isinstance(rotation, str)) or rotation not in KINDS:
        raise InvalidInput(what="rotation", expected="'opq', 'pca' or None", actual=rotation)


def _power_of(drawn: Samples) -> int:
    """Return the power of two that brings samples to about 1; 0 where they need no scaling."""
    peak = max(float(np.abs(one).max(initial=0)) for one in (drawn.rows, drawn.held_out))
    return power_beyond(peak)


def _scaled(found: Found, power: int) -> Found:
    """Return a codebook's arrays times a power of two."""
    if not power:
        return found
    mean = None if found.mean is None else np.ldexp(found.mean, power)
    return found._replace(centroids=np.ldexp(found.centroids, power), mean=mean)


def _interruption(run: Run[Found]) -> dict[str, Any]:
    done, planned = run.step, run.steps
    _warn(f"interrupted after step {done} of {planned}: the codebook is the best so far")
    return {"interrupted": True, "steps": done, "steps_planned": planned}


def _check(
    shape: tuple[int, ...],
    num_subvectors: int,
    rotation: str | None,
    width: int | None,
) -> None:
    dim = shape[1]
    M = require_whole(num_subvectors, "num_subvectors")
    if M not in SUBVECTORS or dim == 0 or dim % M:
        expected = f"a divisor of {dim} among {', '.join(map(str, SUBVECTORS))}"
        raise InvalidInput(what="num_subvectors", expected=expected, actual=num_subvectors)
    require_rotation(rotation)
    if width is not None:
        _require_width(width, M, dim)


def _require_width(width: int, M: int, dim: int) -> None:
    if require_whole(width, "width", M, dim) % M:
        expected = f"a multiple of {M} up to {dim}"
        raise InvalidInput(what="width", expected=expected, actual=width)


def _warn(message: str) -> None:
    warnings.warn(message, CodebookWarning, stacklevel=6)
