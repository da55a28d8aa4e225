"""Training: deterministic, honest about its loss, no worse than what others train."""

import itertools
import os
import subprocess
import sys
import warnings
from functools import cache

import faiss
import numpy as np
import pytest

from cgcython import kernels
from cgcython.codecs import training_base, training_run
from cgcython.codecs.codebook import PQ8Codebook
from cgcython.codecs.kmeans import lloyd_step, seed_centroids
from cgcython.codecs.rotation import balanced, best_rotation, principal_axes
from cgcython.codecs.training import CodebookWarning
from cgcython.codecs.training_run import PACE, PLAIN_STEPS, STEPS
from cgcython.errors import InvalidInput, NonFiniteValue
from cgcython.kernels import dispatch
from cgcython.kernels.pq_layout import prepare

RNG = np.random.default_rng(50)
AXES = RNG.standard_normal((24, 64)) * np.geomspace(4, 0.2, 24)[:, None]


def structured(n, seed=0):
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((n, 64)) * 0.1
    return (rng.standard_normal((n, 24)) @ AXES + noise + 3).astype(np.float32)


SAMPLES = structured(1500)
FRESH = structured(400, seed=1)
FEW = 500  # samples, where steps matter and not what they reach


@pytest.fixture(autouse=True)
def _few_samples_are_fine():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CodebookWarning)
        yield


@cache
def trained(rotation, count=None):
    """Return the codebook of the first samples, trained once for all tests that look at it."""
    return PQ8Codebook.train(SAMPLES[:count], rotation=rotation, model="Semantic")


def lloyd(rows, centroids, steps, pace=1):
    for _ in range(steps):
        centroids = lloyd_step(rows, prepare(centroids[None]), pace)
    return centroids


def loss(book, rows=FRESH):
    decoded = book.decode(book.encode(rows)).astype(np.float64)
    lengths = np.linalg.norm(decoded, axis=1) * np.linalg.norm(rows, axis=1)
    return 1 - np.mean((decoded * rows).sum(axis=1) / lengths)


@pytest.mark.parametrize("rotation", ["opq", "pca", None])
def test_the_same_seed_gives_the_same_codebook_whatever_the_threads(rotation):
    samples = SAMPLES[:300]
    first = PQ8Codebook.train(samples, rotation=rotation, num_threads=1)
    assert PQ8Codebook.train(samples, rotation=rotation, num_threads=3) == first
    assert PQ8Codebook.train(samples, rotation=rotation, seed=1) != first


def test_every_level_trains_the_same_codebook():
    before, found = kernels.level, set()
    for level in dispatch.available():
        dispatch.use(level)
        found.add(PQ8Codebook.train(SAMPLES[:300, :16], rotation="pca", width=8).to_bytes())
    dispatch.use(before)
    assert len(found) == 1


TRAINED = """
import hashlib, numpy as np
from cgcython import PQ8Codebook, RQ8Codebook
rng = np.random.default_rng(0)
rows = (rng.standard_normal((400, 24)) * np.geomspace(2, 0.1, 24)).astype(np.float32)
books = [PQ8Codebook.train(rows), RQ8Codebook.train(rows, num_threads=2, width=16)]
found = [hashlib.sha256(book.to_bytes()).hexdigest() for book in books]
"""


def test_neither_blas_nor_its_threads_nor_the_processor_change_a_byte_of_a_codebook():
    here = {}
    exec(TRAINED, here)
    for surroundings in (
        {"OMP_NUM_THREADS": "2", "OPENBLAS_CORETYPE": "Haswell"},
        {
            "CGCYTHON_LEVEL": dispatch.available()[1],
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_CORETYPE": "Nehalem",
            "NPY_DISABLE_CPU_FEATURES": "X86_V3,X86_V4",
            "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-FMA,-AVX2",
        },
    ):
        program = [sys.executable, "-W", "ignore", "-c", TRAINED + "print(*found)"]
        done = subprocess.run(program, env=os.environ | surroundings, capture_output=True)
        assert done.stdout.decode().split() == here["found"]


def test_the_loss_reported_is_that_of_samples_held_out():
    book = trained("pca")
    facts = book.metadata
    assert facts["held_out_loss"] == pytest.approx(loss(book), rel=0.15)
    assert loss(book, SAMPLES) < facts["held_out_loss"]
    assert (facts["samples"], facts["seed"], facts["model"]) == (1500, 0, "Semantic")
    for what in ("held_out_loss", "held_out_recall10"):
        low, high = facts[f"{what}_interval"]
        assert low < facts[what] < high


def test_rotations_lose_less_than_plain_training():
    plain, pca, opq = (loss(trained(rotation)) for rotation in (None, "pca", "opq"))
    assert pca < 0.8 * plain
    assert opq < 1.02 * pca


def test_more_bytes_lose_less():
    more = PQ8Codebook.train(SAMPLES, num_subvectors=32, rotation="pca")
    assert loss(more) < 0.5 * loss(trained("pca"))


def test_the_width_is_what_was_asked_for_or_chosen():
    samples = np.hstack([SAMPLES, structured(1500, 2) * 1e-3, SAMPLES[:, ::-1] * 1e-3])
    assert PQ8Codebook.train(samples, rotation="pca", width=64).width == 64
    assert PQ8Codebook.train(samples, rotation="pca").width == 128
    assert trained("pca").width == 64


def test_plain_training_is_no_worse_than_faiss():
    theirs = faiss.ProductQuantizer(64, 8, 8)
    theirs.cp.niter = 25
    theirs.train(SAMPLES)
    ours = trained(None)
    kept = [
        np.square(pq(FRESH) - FRESH).sum()
        for pq in (
            lambda x: theirs.decode(theirs.compute_codes(x)),
            lambda x: ours.decode(ours.encode(x)),
        )
    ]
    # A tenth of the samples is held out, so a little less is known.
    assert kept[1] < 1.03 * kept[0]


def test_progress_is_told_after_each_step():
    heard = []
    PQ8Codebook.train(SAMPLES[:FEW], progress=lambda *step: heard.append(step))
    steps = [step for step, _, _ in heard]
    assert steps == list(range(1, heard[0][1] + 1))
    assert heard[-1][2] < heard[0][2]


def interrupting(at):
    def progress(step, *_):
        if step == at:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("step", [1, 9, 12, 13, 30])
def test_ctrl_c_ends_training_with_the_best_so_far(step):
    with pytest.warns(CodebookWarning, match=f"interrupted after step {step} of 42"):
        book = PQ8Codebook.train(SAMPLES[:FEW], progress=interrupting(step))
    facts = book.metadata
    assert (facts["interrupted"], facts["steps"], facts["steps_planned"]) == (True, step, 42)
    if step >= 12:  # by then the principal axes have a codebook
        whole = trained("pca", FEW).metadata
        assert facts["held_out_loss"] <= whole["held_out_loss"]


def test_ctrl_c_within_a_step_leaves_the_step_before(monkeypatch):
    calls = itertools.count()

    def step_until_pressed(*arguments):
        if next(calls) == 8 * 5 + 3:  # in the sixth step of eight subspaces
            raise KeyboardInterrupt
        return lloyd_step(*arguments)

    monkeypatch.setattr(training_run, "lloyd_step", step_until_pressed)
    with pytest.warns(CodebookWarning, match="interrupted after step 5 of 12"):
        PQ8Codebook.train(SAMPLES, rotation=None, num_threads=2)


def test_ctrl_c_before_the_first_step_and_once_more_passes_on(monkeypatch):
    def pressed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training_run, "principal_axes", pressed)
        with pytest.raises(KeyboardInterrupt):
            PQ8Codebook.train(SAMPLES)
    monkeypatch.setattr(training_run.Training, "held_out_loss", pressed)
    with pytest.raises(KeyboardInterrupt):
        PQ8Codebook.train(SAMPLES, rotation="pca", progress=lambda *_: None)


def test_telling_the_loss_takes_little_of_the_time():
    told, now = [], iter(np.arange(0, 1000, 0.5))
    watch = training_base.Watch(lambda found: told.append(found) or 0.25, lambda *_: None)
    watch.clock = lambda: next(now)  # half a second passes between any two looks
    for step in range(1, 101):
        watch.tell(step, step, 100)
    assert told[0] == 1
    assert told[-1] == 100
    assert len(told) < 10


def test_few_samples_warn_and_fewer_are_refused():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(CodebookWarning, match="9984 or more"):
            PQ8Codebook.train(SAMPLES)
    with pytest.raises(InvalidInput, match="256 or more"):
        PQ8Codebook.train(SAMPLES[:255])
    assert np.isfinite(PQ8Codebook.train(SAMPLES[:256]).centroids).all()


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"num_subvectors": 24}, "num_subvectors"),
        ({"num_subvectors": 4}, "num_subvectors"),
        ({"rotation": "random"}, "rotation"),
        ({"width": 12}, "width"),
        ({"width": 128}, "width"),
        ({"width": 16.0}, "width"),
        ({"num_threads": 0}, "num_threads"),
        ({"seed": -1}, "seed"),
        ({"seed": None}, "seed"),
        ({"sample": 255}, "sample"),
        ({"sample": True}, "sample"),
    ],
)
def test_wrong_arguments_are_named(arguments, what):
    with pytest.raises(InvalidInput, match=what):
        PQ8Codebook.train(SAMPLES, **arguments)


def test_samples_must_be_finite():
    with pytest.raises(NonFiniteValue):
        PQ8Codebook.train(np.where(np.arange(64) == 3, np.nan, SAMPLES))


@pytest.mark.parametrize("power", [-120, -60, 60, 110])
@pytest.mark.parametrize("rotation", ["opq", None])
def test_the_scale_of_samples_changes_the_scale_of_the_codebook_alone(power, rotation):
    samples = SAMPLES[:300, :16]
    first = PQ8Codebook.train(samples, rotation=rotation)
    book = PQ8Codebook.train(np.ldexp(samples, power), rotation=rotation)
    np.testing.assert_array_equal(book.centroids, np.ldexp(first.centroids, power))
    assert book.metadata == first.metadata
    if rotation:
        np.testing.assert_array_equal(book.mean, np.ldexp(first.mean, power))
        np.testing.assert_array_equal(book.rotation, first.rotation)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_caller_who_wants_floating_point_errors_gets_the_same_codebook(threads):
    samples = SAMPLES[:300, :16] * np.float32(1e-25)
    first = PQ8Codebook.train(samples)
    codes, tables = first.encode(samples), first.search_tables(samples[0])
    with np.errstate(all="raise"):
        book = PQ8Codebook.train(samples, num_threads=threads)
        assert book == first
        np.testing.assert_array_equal(book.encode(samples, num_threads=threads), codes)
        np.testing.assert_equal(book.search_tables(samples[0]), tables)


@pytest.mark.parametrize("rotation", ["opq", None])
def test_constant_samples_are_learnt_exactly(rotation):
    samples = np.full((300, 16), 0.5, np.float32)
    book = PQ8Codebook.train(samples, rotation=rotation)
    np.testing.assert_allclose(book.decode(book.encode(samples)), samples, atol=1e-6)


def test_steps_past_the_means_reach_lower_in_fewer_steps():
    rows = np.random.default_rng(1).standard_normal((3000, 8)).astype(np.float32)
    seeds = seed_centroids(rows, np.random.default_rng(2))
    paced = lloyd(rows, lloyd(rows, seeds, STEPS - PLAIN_STEPS, PACE), PLAIN_STEPS)
    plain = lloyd(rows, seeds, 2 * STEPS)
    lost = [((rows[:, None] - c) ** 2).sum(axis=2).min(axis=1).sum() for c in (paced, plain)]
    assert lost[0] < lost[1]


def test_empty_cells_move_to_the_rows_kept_worst():
    rows = np.arange(512, dtype=np.float32)[:, None]
    found = lloyd(rows, np.zeros((256, 1), np.float32), 30)
    assert len(np.unique(found)) == 256


def test_seeds_are_distinct_rows_while_there_are_any():
    rows = RNG.standard_normal((300, 4)).astype(np.float32)
    seeds = seed_centroids(rows, np.random.default_rng(0))
    assert len(np.unique(seeds, axis=0)) == 256


def test_axes_are_those_of_the_covariance():
    mean, axes, variances = principal_axes(SAMPLES)
    np.testing.assert_allclose(axes.T @ axes, np.eye(64), atol=1e-10)
    spread = np.var((SAMPLES - mean) @ axes, axis=0)
    np.testing.assert_allclose(variances, spread, rtol=1e-3, atol=1e-4)
    assert np.all(np.diff(variances) <= 0)


def test_groups_of_axes_have_nearly_equal_products():
    variances = np.geomspace(100, 1e-3, 64)
    products = np.log(variances)[balanced(variances, 8)].reshape(8, 8).sum(axis=1)
    assert np.ptp(products) < 0.1 * np.ptp(np.log(variances).reshape(8, 8).sum(axis=1))


def test_the_best_rotation_is_found():
    turn = np.linalg.qr(RNG.standard_normal((64, 64)))[0]
    rows = RNG.standard_normal((1500, 64))
    found = best_rotation(rows.astype(np.float32), (rows @ turn).astype(np.float32))
    np.testing.assert_allclose(found, turn, atol=1e-6)


def test_rows_in_few_directions_have_a_best_rotation_too():
    rows = RNG.standard_normal((500, 64)).astype(np.float32)
    rows[:, 10:] = 0
    turn = np.linalg.qr(RNG.standard_normal((64, 64)))[0].astype(np.float32)
    found = best_rotation(rows, rows @ turn)
    np.testing.assert_allclose(found.T @ found, np.eye(64), atol=1e-6)
    np.testing.assert_allclose(rows @ found, rows @ turn, atol=1e-4)
    np.testing.assert_array_equal(best_rotation(rows, 0 * rows), np.eye(64))
