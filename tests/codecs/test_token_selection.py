"""Token pruning as the seeds word it: how many tokens stay, which ones, and what is warned of."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensor_stand_in import Tensor

from cgcython import (
    DimensionMismatch,
    ImportanceScoringMethod,
    InvalidInput,
    NonFiniteValue,
    TokenArray,
    TokenEmbeddings,
    TokenPruningConfig,
    TokenPruningQuantizer,
)
from cgcython.codecs.token_selection import count_kept

F32 = np.float32
ATTENTION, MAGNITUDE, ENTROPY, MAX_ABS, COVERAGE = ImportanceScoringMethod
QUIET = [method for method in ImportanceScoringMethod if method is not ATTENTION]


def tokens(n, dim=16, seed=0):
    return np.random.default_rng(seed).standard_normal((n, dim), dtype=F32)


def prune(embeddings, compression=0.5, least=1, method=MAX_ABS, weights=None, **options):
    config = TokenPruningConfig(compression, least, method, **options)
    return TokenPruningQuantizer(config).prune(embeddings, weights)


@pytest.mark.parametrize("method", QUIET)
def test_an_empty_text_stays_empty(method):
    pruned = prune([], method=method)
    assert pruned.embeddings.shape[0] == len(pruned.retained_indices) == 0
    assert pruned.compression_ratio == 0.0


@pytest.mark.parametrize("method", QUIET)
def test_a_text_below_the_minimum_is_not_pruned(method):
    pruned = prune(tokens(10), least=64, method=method)
    assert np.array_equal(pruned.embeddings, tokens(10))
    assert pruned.compression_ratio == 0.0


def test_the_compression_ratio_is_the_part_removed():
    assert prune(tokens(512)).compression_ratio == 0.5
    assert prune(tokens(101)).compression_ratio == 1 - 51 / 101
    assert prune(tokens(100), least=64).compression_ratio == 1 - 64 / 100


@pytest.mark.parametrize("method", QUIET)
def test_retained_indices_ascend_and_name_the_kept_tokens(level, method):
    pruned = prune(tokens(33), method=method)
    assert len(pruned.retained_indices) == 17
    assert np.all(np.diff(pruned.retained_indices) > 0)
    assert np.array_equal(pruned.embeddings, tokens(33)[pruned.retained_indices])


def test_min_tokens_are_kept():
    assert len(prune(tokens(100), 0.99, least=7).embeddings) == 7


@pytest.mark.parametrize(("count", "part", "kept"), [(100, 1 - 0.6, 40), (10, 1 - 0.9, 1)])
def test_rounding_noise_keeps_no_extra_token(count, part, kept):
    assert count_kept(count, part) == kept


@given(st.integers(0, 10**6), st.integers(1, 999), st.integers(1, 200))
def test_the_number_kept_is_that_of_exact_fractions(count, thousandths, least):
    expected = min(count, max(math.ceil(count * (1000 - thousandths) / 1000 - 1e-9), least))
    assert count_kept(count, 1 - thousandths / 1000, least) == expected


def test_each_scorer_keeps_what_it_values():
    embeddings = np.zeros((4, 4), F32)
    embeddings[0] = 1  # the most even, length 2
    embeddings[1, 0] = 1.9  # the highest peak
    embeddings[2] = [1.5, 1.5, 0, 0]  # the longest
    assert prune(embeddings, 0.75, method=ENTROPY).retained_indices.tolist() == [0]
    assert prune(embeddings, 0.75, method=MAX_ABS).retained_indices.tolist() == [1]
    assert prune(embeddings, 0.75, method=MAGNITUDE).retained_indices.tolist() == [2]
    weights = [0, 0.1, 0.2, 0.7]
    assert prune(embeddings, 0.75, 1, ATTENTION, weights).retained_indices.tolist() == [3]


def test_coverage_keeps_one_of_two_equal_tokens():
    embeddings = np.eye(4, 8, dtype=F32)[[0, 0, 1, 1, 2, 3]]
    assert prune(embeddings, 1 / 3, method=COVERAGE).retained_indices.tolist() == [0, 2, 4, 5]


@pytest.mark.parametrize("method", QUIET)
def test_ties_keep_the_lower_position(level, method):
    embeddings = np.repeat([[2.0], [1.0]], [4, 4], axis=0) * np.ones(8)
    if method in (ENTROPY, COVERAGE):
        embeddings[4:] = embeddings[0]
    pruned = prune(embeddings, 0.75, method=method)
    assert pruned.retained_indices.tolist() == [0, 1]


def test_attention_weights_decide_and_are_checked():
    pruned = prune(tokens(4), 0.5, 1, ATTENTION, [0.1, 0.4, 0.4, 0.4])
    assert pruned.retained_indices.tolist() == [1, 2]
    with pytest.raises(DimensionMismatch):
        prune(tokens(4), 0.5, 1, ATTENTION, [0.1, 0.4])
    with pytest.raises(NonFiniteValue, match="value 2"):
        prune(tokens(4), 0.5, 1, ATTENTION, [0.1, 0.4, np.nan, 1])


def test_missing_attention_falls_back_to_magnitude_with_one_warning():
    with pytest.warns(UserWarning, match="no attention weights") as caught:
        pruned = prune(tokens(20), method=ATTENTION)
    assert len(caught) == 1
    expected = prune(tokens(20), method=MAGNITUDE)
    assert np.array_equal(pruned.retained_indices, expected.retained_indices)
    with pytest.raises(InvalidInput, match="20 weights"):
        prune(tokens(20), method=ATTENTION, strict=True)


def test_magnitudes_of_normalised_tokens_are_warned_of():
    unit = tokens(20) / np.linalg.norm(tokens(20), axis=1, keepdims=True)
    with pytest.warns(UserWarning, match=r"normalised.*COVERAGE") as caught:
        prune(unit, method=MAGNITUDE)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prune(tokens(20), method=MAGNITUDE)
        prune(unit, least=20, method=MAGNITUDE)


@pytest.mark.parametrize("compression", [0, 1, -0.1, 1.5, np.nan, "0.5", None])
def test_compression_lies_between_zero_and_one(compression):
    with pytest.raises(InvalidInput, match="target_compression"):
        TokenPruningConfig(compression)


@pytest.mark.parametrize("least", [0, -1, 1.5, np.nan])
def test_min_tokens_is_a_positive_whole_number(least):
    with pytest.raises(InvalidInput, match="min_tokens"):
        TokenPruningConfig(min_tokens=least)


def test_scoring_methods_are_known_by_their_names():
    assert TokenPruningConfig() == TokenPruningConfig(0.5, 64, ATTENTION)
    with pytest.raises(InvalidInput, match="COVERAGE"):
        TokenPruningConfig(scoring_method="coverage")


@pytest.mark.parametrize(
    "form",
    [np.ndarray.tolist, TokenEmbeddings, Tensor, np.asfortranarray, np.float64],
    ids=["lists", "record", "tensor", "fortran", "float64"],
)
def test_tokens_may_come_in_any_form(form):
    pruned = prune(form(tokens(9)), method=COVERAGE)
    assert np.array_equal(pruned.embeddings, prune(tokens(9), method=COVERAGE).embeddings)


def test_values_that_are_not_finite_are_refused():
    broken = tokens(5)
    broken[2, 3] = np.nan
    with pytest.raises(NonFiniteValue, match="value 35"):
        prune(broken)


def test_too_many_tokens_to_compare_are_refused():
    many = np.ones((32768, 1), F32)
    for method, pool in ((COVERAGE, False), (MAX_ABS, True)):
        quantizer = TokenPruningQuantizer(TokenPruningConfig(0.5, 1, method))
        with pytest.raises(InvalidInput, match="at most 32767"):
            quantizer.prune(many, pool=pool)


@pytest.mark.parametrize("num_threads", [1, 3])
def test_a_batch_prunes_like_single_texts(num_threads):
    documents = [tokens(n, seed=n) for n in (5, 0, 40, 1)]
    quantizer = TokenPruningQuantizer(TokenPruningConfig(0.5, 1, COVERAGE))
    for one, document in zip(quantizer.prune_batch(documents, num_threads=num_threads), documents):
        assert np.array_equal(one.embeddings, quantizer.prune(document).embeddings)
    with pytest.raises(InvalidInput, match="attention_weights"):
        quantizer.prune_batch(documents, attention_weights=[[1.0]])


@pytest.mark.parametrize("num_threads", [1, 3])
def test_a_batch_may_be_a_token_array_of_values(num_threads):
    documents = TokenArray.from_list([tokens(n, seed=n) for n in (9, 5, 0, 40, 1)])
    quantizer = TokenPruningQuantizer(TokenPruningConfig(0.5, 1, COVERAGE))
    documents = documents.take([3, 1, 2, 4])
    for one, document in zip(quantizer.prune_batch(documents, num_threads=num_threads), documents):
        expected = quantizer.prune(document)
        assert np.array_equal(one.embeddings, expected.embeddings)
        assert np.array_equal(one.retained_indices, expected.retained_indices)
        assert one.compression_ratio == expected.compression_ratio
    assert quantizer.prune_batch(documents.take([])) == []
    with pytest.raises(InvalidInput, match="float32"):
        quantizer.prune_batch(documents.quantize("e4m3"))


def test_a_batch_warns_once():
    with pytest.warns(UserWarning, match="no attention weights") as caught:
        TokenPruningQuantizer(TokenPruningConfig(min_tokens=1)).prune_batch([tokens(9)] * 3)
    assert len(caught) == 1
    assert caught[0].filename == __file__
