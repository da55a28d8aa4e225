"""Token scores beside NumPy's float64, and choices that are equal on every level."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from looping import looped

from cgcython.kernels import dispatch
from cgcython.kernels.reference import tokens as reference

F32, U32 = np.float32, np.uint32
SHAPES = [(0, 8), (1, 1), (3, 5), (17, 16), (40, 33), (64, 128), (9, 300)]


def values(n, dim, seed=0):
    return np.random.default_rng(seed).standard_normal((n, dim), dtype=F32)


def score(kernel, method, tokens):
    out = np.full(len(tokens), np.nan, F32)
    getattr(kernel("tokens"), method)(tokens, out)
    return out


def select(kernel, scores, k):
    kept = np.full(k, 2**32 - 1, U32)
    kernel("tokens").select_top(np.asarray(scores, F32), kept)
    return kept.tolist()


@pytest.mark.parametrize("shape", SHAPES)
def test_magnitudes_are_lengths(kernel, shape):
    tokens = values(*shape)
    expected = np.linalg.norm(tokens.astype(float), axis=1)
    # Sums of float32 in sixteen lanes.
    np.testing.assert_allclose(score(kernel, "magnitude", tokens), expected, rtol=4e-7)


@pytest.mark.parametrize("magnitude", [1e-44, 1e-13, 1e-12, 1, 1e18, 1e20])
def test_magnitudes_are_the_same_bits_on_every_level(kernel, magnitude):
    tokens = np.array(values(200, 133) * magnitude, F32)
    expected = score(lambda _: reference, "magnitude", tokens)
    assert np.array_equal(score(kernel, "magnitude", tokens), expected)


@pytest.mark.parametrize("magnitude", [1e-44, 1e-30, 1e18, 1e37])
def test_magnitudes_neither_overflow_nor_vanish(kernel, magnitude):
    tokens = np.array(values(5, 20).clip(-3, 3) * magnitude, F32)
    expected = np.linalg.norm(tokens.astype(float), axis=1)
    np.testing.assert_allclose(score(kernel, "magnitude", tokens), expected, rtol=1e-6, atol=1e-45)


def test_the_largest_magnitude_is_finite(kernel):
    largest = np.finfo(F32).max
    assert score(kernel, "magnitude", np.full((1, 4), largest, F32)) == [largest]


@pytest.mark.parametrize("shape", SHAPES)
def test_max_abs_is_exact(kernel, shape):
    tokens = values(*shape)
    assert np.array_equal(score(kernel, "max_abs", tokens), np.abs(tokens).max(1, initial=0))


@looped("magnitude", [1e-44, 1e-38, 1e-30, 1, 1e18, 1e37])
@looped("shape", SHAPES)
def test_entropy_is_scipys(kernel, shape, magnitude):
    from scipy.stats import entropy  # which takes a second to import

    tokens = np.array(values(*shape).clip(-3, 3) * magnitude, F32)
    tokens[2:3] = 0
    tokens[4:5, 1:] = 0
    expected = [entropy(np.abs(t).astype(float)) if t.any() else 0 for t in tokens]
    # The logarithm is a polynomial of float32; 2e-6 is about eight units of ln 300.
    np.testing.assert_allclose(score(kernel, "entropy", tokens), expected, atol=2e-6)


@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 33, 512])
def test_the_best_are_selected_in_order(kernel, n):
    scores = values(1, n, seed=n)[0]
    for k in {0, 1, n // 2, n - 1, n}:
        expected = np.sort(np.argsort(-scores, kind="stable")[:k])
        assert select(kernel, scores, k) == expected.tolist()


def test_ties_keep_the_lower_position(kernel):
    assert select(kernel, [1, 2, 1, 2, 1], 3) == [0, 1, 3]
    assert select(kernel, [0.0, -0.0, 0.0, -0.0], 2) == [0, 1]
    assert select(kernel, [-1, -1, -2, -1], 2) == [0, 1]


@settings(deadline=None)  # every level in turn, on whatever machine
@given(
    scores=arrays.arrays(
        F32,
        st.integers(1, 70),
        elements=st.sampled_from(
            [0, -0.0, 1, -1, 1e-45, -1e-45, 3.4e38, -3.4e38, np.inf, -np.inf, 0.5]
        ),
    ),
    part=st.floats(0, 1),
)
def test_every_level_selects_as_a_stable_sort(scores, part):
    k = round(part * len(scores))
    expected = np.sort(np.argsort(-scores, kind="stable")[:k]).tolist()
    for level in dispatch.available():
        assert select(lambda name, at=level: dispatch.load(name, at), scores, k) == expected


def test_what_is_not_a_number_comes_last(kernel):
    scores = [np.nan, -np.inf, -np.nan, 1, np.nan]
    assert select(kernel, scores, 2) == [1, 3]
    assert select(kernel, scores, 4) == [0, 1, 2, 3]


@looped("name", ["MAGNITUDE", "MAX_ABS", "ENTROPY"])
@looped("shape", [*SHAPES, (513, 130)])
def test_pruning_scores_selects_and_gathers(kernel, shape, name):
    family, tokens, count = kernel("tokens"), values(*shape), (shape[0] + 1) // 2
    scores, kept = np.empty(shape[0], F32), np.empty(count, U32)
    out = np.empty((count, shape[1]), F32)
    family.prune(tokens, getattr(family, name), scores, kept, out)
    assert np.array_equal(scores, score(kernel, name.lower(), tokens))
    assert kept.tolist() == select(kernel, scores, count)
    assert np.array_equal(out, tokens[kept])


def prune_documents(kernel, tokens, offsets, kept_offsets):
    family, total = kernel("tokens"), int(kept_offsets[-1])
    scores, kept = np.empty(len(tokens), F32), np.empty(total, U32)
    out = np.empty((total, tokens.shape[1]), F32)
    places = np.array(offsets, np.int64), np.array(kept_offsets, np.int64)
    family.prune_documents(tokens, places[0], family.ENTROPY, scores, kept, places[1], out)
    return scores, kept, out


def test_documents_are_pruned_one_by_one(kernel):
    tokens = values(100, 40)
    scores, kept, out = prune_documents(kernel, tokens, [0, 30, 30, 31, 100], [0, 7, 7, 8, 68])
    assert np.array_equal(scores, score(kernel, "entropy", tokens))
    expected = [select(kernel, scores[:30], 7), [0], select(kernel, scores[31:], 60)]
    assert kept.tolist() == [*expected[0], *expected[1], *expected[2]]
    assert np.array_equal(out[8:], tokens[31:][expected[2]])


@pytest.mark.parametrize(
    ("offsets", "kept_offsets", "message"),
    [
        ([0, 5], [0, 6], "document 0 has fewer tokens"),
        ([0, 11], [0, 1], "offsets leave 10 rows"),
        ([-1, 5], [0, 1], "offsets leave 10 rows"),
        ([0, 7, 5], [0, 1, 2], "offsets fall at 1"),
        ([0, 3, 6], [0, 3, 2], "kept_offsets fall at 1"),
        ([0, 5], [0, 1, 2], "kept_offsets holds 3"),
    ],
)
def test_documents_must_lie_within_their_tokens(kernel, offsets, kept_offsets, message):
    with pytest.raises(ValueError, match=message):
        prune_documents(kernel, values(10, 4), offsets, kept_offsets)


@pytest.mark.parametrize("level", dispatch.available()[1:])
def test_pruning_refuses_memory_it_cannot_write(level):
    family, tokens = dispatch.load("tokens", level), values(4, 8)
    scores, kept, out = np.empty(4, F32), np.empty(2, U32), np.empty((2, 8), F32)
    for bad in ([0] * 4, tokens.astype(float), tokens[:, ::2], tokens[0], tokens[:, :7].copy()):
        with pytest.raises(ValueError, match=r"values|row"):
            family.prune(bad, 0, scores, kept, out)
    for bad in (np.empty(3, F32), np.empty(4, np.int32), np.empty(8, F32)[::2]):
        with pytest.raises(ValueError, match="scores"):
            family.prune(tokens, 0, bad, kept, out)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="out is read-only"):
        family.prune(tokens, 0, scores, kept, out)
    with pytest.raises(ValueError, match="kept holds 5"):
        family.prune(tokens, 0, scores, np.empty(5, U32), np.empty((5, 8), F32))


def test_kept_rows_are_gathered(kernel):
    tokens, kept = values(9, 5), np.array([1, 4, 8], U32)
    out = np.empty((3, 5), F32)
    kernel("tokens").gather(tokens, kept, out)
    assert np.array_equal(out, tokens[kept])


def test_rows_outside_are_not_gathered(kernel):
    with pytest.raises(ValueError, match="row 9 of 9"):
        kernel("tokens").gather(values(9, 5), np.array([9], U32), np.empty((1, 5), F32))


def test_shapes_must_agree(kernel):
    tokens, three = values(4, 8), np.empty(3, F32)
    for method in ("magnitude", "entropy", "max_abs"):
        with pytest.raises(ValueError, match="out holds 3, values holds 4"):
            getattr(kernel("tokens"), method)(tokens, three)
    with pytest.raises(ValueError, match="kept holds 4, scores holds 3"):
        kernel("tokens").select_top(three, np.empty(4, U32))
    with pytest.raises(ValueError, match="out"):
        kernel("tokens").gather(tokens, np.zeros(2, U32), np.empty((3, 8), F32))
