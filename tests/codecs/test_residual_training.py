"""Training of residual codebooks: deterministic, honest about its loss, no worse than faiss's."""

import warnings
from functools import cache

import faiss
import numpy as np
import pytest

from cgcython import kernels
from cgcython.codecs import residual_training
from cgcython.codecs.codebook import PQ8Codebook
from cgcython.codecs.residual_codebook import RQ8Codebook
from cgcython.codecs.training import CodebookWarning
from cgcython.errors import InvalidInput, NonFiniteValue
from cgcython.kernels import dispatch

RNG = np.random.default_rng(51)
AXES = RNG.standard_normal((24, 64)) * np.geomspace(4, 0.2, 24)[:, None]


def structured(n, seed=0):
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((n, 64)) * 0.1
    return (rng.standard_normal((n, 24)) @ AXES + noise + 3).astype(np.float32)


SAMPLES = structured(1500)
FRESH = structured(400, seed=1)


@pytest.fixture(autouse=True)
def _few_samples_are_fine():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CodebookWarning)
        yield


@cache
def trained():
    return RQ8Codebook.train(SAMPLES, model="Semantic")


def lost(decode, rows=FRESH):
    return np.square(decode(rows) - rows).sum()


def decoded(book):
    return lambda rows: book.decode(book.encode(rows))


def test_the_same_seed_gives_the_same_codebook_whatever_the_threads():
    samples = SAMPLES[:400, :16]
    first = RQ8Codebook.train(samples, num_threads=1)
    assert RQ8Codebook.train(samples, num_threads=3) == first
    assert RQ8Codebook.train(samples, seed=1) != first


def test_the_loss_reported_is_that_of_samples_held_out():
    facts = trained().metadata
    rows = decoded(trained())(FRESH).astype(np.float64)
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(FRESH, axis=1)
    assert facts["held_out_loss"] == pytest.approx(
        1 - np.mean((rows * FRESH).sum(axis=1) / lengths), rel=0.2
    )
    assert (facts["samples"], facts["seed"], facts["model"]) == (1500, 0, "Semantic")
    for what in ("held_out_loss", "held_out_recall10"):
        low, high = facts[f"{what}_interval"]
        assert low < facts[what] < high


def test_sums_of_centroids_lose_less_than_products():
    product = PQ8Codebook.train(SAMPLES, rotation="pca")
    assert lost(decoded(trained())) < 0.95 * lost(decoded(product))


def test_more_bytes_lose_less():
    some = [decoded(RQ8Codebook.train(SAMPLES[:700, :24], size)) for size in (8, 16)]
    assert lost(some[1], FRESH[:, :24]) < 0.9 * lost(some[0], FRESH[:, :24])


def test_training_loses_less_than_faiss_in_one_width():
    theirs = faiss.ResidualQuantizer(64, 8, 8)
    theirs.train_type = faiss.ResidualQuantizer.Train_default  # the progressive one takes 20 s
    theirs.max_beam_size = 8
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)  # on a busy machine its threads wait for each other
    theirs.train(SAMPLES[150:])  # as many as ours, of which a tenth is held out
    found = theirs.decode(theirs.compute_codes(FRESH))
    faiss.omp_set_num_threads(threads)
    assert lost(decoded(trained())) < np.square(found - FRESH).sum()


def test_progress_is_told_after_each_step():
    heard = []
    RQ8Codebook.train(SAMPLES[:300, :16], progress=lambda *step: heard.append(step))
    assert [step for step, _, _ in heard] == list(range(1, heard[0][1] + 1))


def interrupting(at):
    def progress(step, *_):
        if step == at:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("step", [1, 5, 8])
def test_ctrl_c_ends_training_with_the_best_so_far(step):
    with pytest.warns(CodebookWarning, match=f"interrupted after step {step} of"):
        book = RQ8Codebook.train(SAMPLES[:300, :16], progress=interrupting(step))
    assert (book.metadata["interrupted"], book.metadata["steps"]) == (True, step)
    assert lost(decoded(book), SAMPLES[:, :16]) < np.square(SAMPLES[:, :16]).sum()


def test_ctrl_c_before_the_first_step_passes_on(monkeypatch):
    def pressed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(residual_training, "principal_axes", pressed)
    with pytest.raises(KeyboardInterrupt):
        RQ8Codebook.train(SAMPLES)


def test_few_samples_warn_and_fewer_are_refused():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(CodebookWarning, match="9984 or more"):
            RQ8Codebook.train(SAMPLES)
    with pytest.raises(InvalidInput, match="256 or more"):
        RQ8Codebook.train(SAMPLES[:255])
    assert np.isfinite(RQ8Codebook.train(SAMPLES[:256, :16]).centroids).all()


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"code_size": 7}, "code_size"),
        ({"code_size": 8.0}, "code_size"),
        ({"width": 0}, "width"),
        ({"width": 65}, "width"),
        ({"num_threads": 0}, "num_threads"),
        ({"seed": -1}, "seed"),
        ({"sample": 255}, "sample"),
    ],
)
def test_wrong_arguments_are_named(arguments, what):
    with pytest.raises(InvalidInput, match=what):
        RQ8Codebook.train(SAMPLES, **arguments)


def test_samples_must_be_finite():
    with pytest.raises(NonFiniteValue):
        RQ8Codebook.train(np.where(np.arange(64) == 3, np.nan, SAMPLES))


@pytest.mark.parametrize("power", [-120, 110])
def test_the_scale_of_samples_changes_the_scale_of_the_codebook_alone(power):
    samples = SAMPLES[:300, :16]
    first = RQ8Codebook.train(samples)
    book = RQ8Codebook.train(np.ldexp(samples, power))
    np.testing.assert_array_equal(book.centroids, np.ldexp(first.centroids, power))
    np.testing.assert_array_equal(book.encode(np.ldexp(samples, power)), first.encode(samples))
    assert book.metadata["held_out_loss"] == pytest.approx(first.metadata["held_out_loss"])


def test_a_caller_who_wants_floating_point_errors_gets_the_same_codebook():
    samples = SAMPLES[:300, :16] * np.float32(1e-25)
    first = RQ8Codebook.train(samples)
    codes, tables = first.encode(samples), first.dot_tables(samples[0])
    with np.errstate(all="raise"):
        book = RQ8Codebook.train(samples, num_threads=2)
        assert book == first
        np.testing.assert_array_equal(book.encode(samples), codes)
        np.testing.assert_equal(book.dot_tables(samples[0]), tables)


@pytest.mark.parametrize("value", [0.0, 0.5])
def test_constant_samples_are_learnt_exactly(value):
    samples = np.full((300, 16), value, np.float32)
    book = RQ8Codebook.train(samples)
    np.testing.assert_allclose(decoded(book)(samples), samples, atol=1e-6)


def test_few_distinct_samples_are_learnt_exactly():
    samples = np.repeat(SAMPLES[:20], 20, axis=0)
    np.testing.assert_allclose(decoded(RQ8Codebook.train(samples))(samples), samples, atol=0.01)


def test_every_level_finds_the_same_codes():
    before, found = kernels.level, set()
    for level in dispatch.available():
        dispatch.use(level)
        found.add(RQ8Codebook.from_bytes(trained().to_bytes()).encode(FRESH[:40]).tobytes())
    dispatch.use(before)
    assert len(found) == 1


@pytest.mark.parametrize("size", [1e3, 1e18, 3e38])
def test_rows_far_away_are_coded_by_their_direction(size):
    row = np.zeros(64, np.float32)
    row[5] = size
    near = row / np.float32(size) * 100
    decoded_row = trained().dequantize(trained().quantize(row))
    assert decoded_row[5] > 0.9 * trained().dequantize(trained().quantize(near))[5]


@pytest.mark.parametrize("kind", [PQ8Codebook, RQ8Codebook])
def test_a_progress_that_cannot_be_told_is_refused_before_any_work(kind):
    with pytest.raises(InvalidInput, match="progress: expected a function"):
        kind.train(SAMPLES[:300, :16], progress="loud")
