"""A screened MaxSim is MaxSim: the same scores, the same bits, the same tokens, on any input."""

import numpy as np
import pytest
from looping import looped

from cgcython.kernels import dispatch

F32 = np.float32
LANES = 32


def tokens(n, dim=128, seed=0):
    return np.random.default_rng(seed).standard_normal((n, dim), dtype=F32)


def huge_coordinate(rng, n):
    values = rng.standard_normal((n, 128))
    values[:, 5] = 1e6
    return values


def outliers(rng, n):
    values = rng.standard_normal((n, 128))
    values[::7] *= np.where(np.arange(128) == 9, 1e4, 1)
    return values


def mixed(rng, n):
    return rng.standard_normal((n, 128)) * np.resize([1, 1e-30, 1e18, 1e-42, 0], n)[:, None]


HOSTILE = {
    "normal": lambda rng, n: rng.standard_normal((n, 128)),
    "near ties": lambda rng, n: np.ones(128) + 1e-6 * rng.standard_normal((n, 128)),
    "close pairs": lambda rng, n: (
        np.repeat(rng.standard_normal((n, 128)), 2, 0)[:n]
        * (1 + 1e-7 * rng.standard_normal((n, 128)))
    ),
    "exact ties": lambda rng, n: np.resize(rng.standard_normal((9, 128)), (n, 128)),
    "outliers": outliers,
    "one huge coordinate": huge_coordinate,
    "one coordinate only": lambda rng, n: np.eye(128)[rng.integers(0, 128, n)],
    "zeros among them": lambda rng, n: rng.standard_normal((n, 128)) * (np.arange(n) % 3)[:, None],
    "all zero": lambda rng, n: np.zeros((n, 128)),
    "denormal": lambda rng, n: rng.standard_normal((n, 128)) * 1e-42,
    "tiny": lambda rng, n: rng.standard_normal((n, 128)) * 1e-30,
    "huge": lambda rng, n: rng.standard_normal((n, 128)) * 1e18,
    "mixed": mixed,
    "signs": lambda rng, n: np.sign(rng.standard_normal((n, 128))),
    "opposite": lambda rng, n: -np.abs(rng.standard_normal((n, 128))),
}


def hostile(kind, n, seed=1):
    return HOSTILE[kind](np.random.default_rng(seed), n).astype(F32)


def side_copy(kernel, values):
    """Inverse norms, codes and bounds."""
    norms = np.empty(len(values), F32)
    kernel("maxsim").inverse_norms(values, norms)
    codes, bounds = np.empty(values.shape, np.uint8), np.empty((len(values), 2), F32)
    kernel("maxsim_screen").encode_rows(values, norms, codes, bounds)
    return norms, codes, bounds


def pack(kernel, query):
    screen, blocks, dim = kernel("maxsim_screen"), -(-len(query) // LANES), query.shape[1]
    packed, rows = np.empty((blocks, dim, LANES), F32), np.empty((blocks * LANES, dim), F32)
    numbers = np.empty((blocks, screen.lines(dim), 128), np.int8)
    assert kernel("maxsim").pack_query(query, packed) == -1
    screen.pack_query(packed, rows, numbers)
    return packed, rows, numbers, len(query)


def both_scores(kernel, query, values, starts=(0,), counts=None):
    """The sums of maxsim and of the screen, and the share of dots the latter finished."""
    starts = np.array(starts, np.int64)
    counts = np.array([len(values)] if counts is None else counts, np.int64)
    plain, screened = np.full(len(starts), np.nan, F32), np.full(len(starts), np.nan, F32)
    norms, codes, bounds = side_copy(kernel, values)
    packed = pack(kernel, query)
    kernel("maxsim").score(packed[0], packed[3], values, norms, starts, counts, plain)
    work = values, norms, codes, bounds, starts, counts, screened
    finished = kernel("maxsim_screen").score(*packed, *work)
    return plain, screened, finished / max(1, len(query) * counts.sum())


@looped("kind", HOSTILE)
@looped("count", [16, 100, 700])
def test_scores_are_those_of_maxsim_bit_for_bit(kernel, kind, count):
    plain, screened, _ = both_scores(kernel, hostile("normal", 9, 0), hostile(kind, count))
    assert plain.tobytes() == screened.tobytes()


@looped("kind", HOSTILE)
def test_queries_of_any_kind_find_the_same(kernel, kind):
    document = np.concatenate([hostile(kind, 60, 2), hostile("normal", 60)])
    plain, screened, _ = both_scores(kernel, hostile(kind, 33), document)
    assert plain.tobytes() == screened.tobytes()


@looped("kind", HOSTILE)
def test_alignments_are_those_of_maxsim(kernel, kind):
    query, values = hostile("normal", 40, 0), hostile(kind, 90)
    norms, codes, bounds = side_copy(kernel, values)
    packed = pack(kernel, query)
    plain, screened = ((np.empty(40, np.int64), np.empty(40, F32)) for _ in range(2))
    kernel("maxsim").align(packed[0], 40, values, norms, *plain)
    kernel("maxsim_screen").align(*packed, values, norms, codes, bounds, *screened)
    np.testing.assert_array_equal(plain[0], screened[0])
    assert plain[1].tobytes() == screened[1].tobytes()


@looped("kind", HOSTILE)
@looped("dim", [128, 40])
def test_bounds_hold_and_name_all_of_the_best(kernel, kind, dim):
    values = np.ascontiguousarray(hostile(kind, 400)[:, :dim])
    norms, codes, bounds = side_copy(kernel, values)
    packed = pack(kernel, tokens(35, dim))
    starts, counts = np.arange(0, 400, 20), np.full(20, 20)
    plain, lower, upper = (np.empty(20, F32) for _ in range(3))
    kernel("maxsim").score(packed[0], 35, values, norms, starts, counts, plain)
    side = values, norms, codes, bounds
    kernel("maxsim_screen").bound(*packed, *side, starts, counts, lower, upper)
    assert np.all(lower <= plain)
    assert np.all(plain <= upper)
    best = np.lexsort((np.arange(20), -plain))[:5]
    assert np.all(upper[best] >= np.sort(lower)[-5])


@looped("dim", [1, 7, 16, 96, 127, 129, 256, 300, 1024])
def test_tokens_of_any_dimension_score_the_same(kernel, dim):
    plain, screened, _ = both_scores(kernel, tokens(5, dim), tokens(50, dim, seed=1))
    assert plain.tobytes() == screened.tobytes()


def test_batches_of_any_lengths_score_the_same(kernel):
    counts = [0, 1, 15, 16, 17, 40, 511, 512, 513, 100, 3, 64]
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    for query in (tokens(32), tokens(70), tokens(1)):
        plain, screened, _ = both_scores(kernel, query, tokens(sum(counts), seed=1), starts, counts)
        assert plain.tobytes() == screened.tobytes()


def test_a_useless_bound_does_not_change_results_later(kernel):
    useless, useful = hostile("near ties", 200), tokens(200, seed=1)
    values = np.concatenate([useless, useful, useless, useful])
    starts, counts = np.arange(0, 800, 50), np.full(16, 50)
    plain, screened, _ = both_scores(kernel, tokens(32), values, starts, counts)
    assert plain.tobytes() == screened.tobytes()


@pytest.mark.parametrize("level", sorted({"v2", "v4n", "v4x"} & set(dispatch.available())))
def test_few_dots_of_real_tokens_are_finished(level, data):
    with np.load(data / "tokens_cranfield.npz") as file:
        values, offsets = file["doc_tok"].astype(F32), file["doc_off"].astype(np.int64)[:61]
        query = file["q_tok"][:32].astype(F32)
    values = values[: offsets[-1]]
    work = query, values, offsets[:-1], np.diff(offsets)
    plain, screened, share = both_scores(lambda family: dispatch.load(family, level), *work)
    assert plain.tobytes() == screened.tobytes()
    assert share <= 0.05


def test_radii_are_no_smaller_than_the_distances(kernel):
    values = tokens(50)
    norms, codes, bounds = side_copy(kernel, values)
    units = values.astype(float) * norms[:, None]
    offs = units - bounds[:, :1].astype(float) * codes.view(np.int8)
    distances = np.linalg.norm(offs, axis=1)
    assert np.all(bounds[:, 1] >= distances)
    np.testing.assert_allclose(bounds[:, 1], distances, rtol=1e-5)


def test_shapes_must_agree(kernel):
    screen, values = kernel("maxsim_screen"), tokens(3, 8)
    norms, codes, bounds = side_copy(kernel, values)
    packed, rows, numbers, _ = pack(kernel, tokens(2, 8))
    none, sums = np.zeros(0, np.int64), np.zeros(0, F32)
    work = norms, codes, bounds, none, none, sums
    with pytest.raises(ValueError, match="a row of values"):
        screen.score(packed, rows, numbers, 2, tokens(3, 9), *work)
    with pytest.raises(ValueError, match="rows"):
        screen.score(packed, rows[:3], numbers, 2, values, *work)
    with pytest.raises(ValueError, match="query"):
        screen.score(packed, rows, numbers, 33, values, *work)
    with pytest.raises(ValueError, match="bounds"):
        screen.encode_rows(values, norms, codes, bounds[:2])
    outside = np.array([3]), np.array([1]), np.zeros(1, F32)
    with pytest.raises(ValueError, match="document at"):
        screen.score(packed, rows, numbers, 2, values, norms, codes, bounds, *outside)
