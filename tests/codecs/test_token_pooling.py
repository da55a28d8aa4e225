"""Pooled tokens: Ward's clusters at their mean direction and mean length."""

import warnings

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage

from cgcython import (
    ImportanceScoringMethod,
    InvalidInput,
    TokenArray,
    TokenPruningConfig,
    TokenPruningQuantizer,
)
from cgcython.codecs.token_pooling import pool_documents, pool_tokens

F32 = np.float32


def tokens(n, dim=16, seed=0):
    return np.random.default_rng(seed).standard_normal((n, dim), dtype=F32)


def pool(embeddings, compression=0.5, least=1):
    config = TokenPruningConfig(compression, least)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return TokenPruningQuantizer(config).prune(embeddings, pool=True)


def test_pooled_tokens_are_the_means_of_scipys_clusters(level):
    embeddings = tokens(50)
    lengths = np.linalg.norm(embeddings.astype(float), axis=1)
    units = embeddings / lengths[:, None]
    labels = fcluster(linkage(units, "ward"), 25, "maxclust")
    found = pool(embeddings)
    for position, pooled in zip(found.retained_indices, found.embeddings):
        members = labels == labels[position]
        direction = units[members].sum(axis=0)
        expected = direction / np.linalg.norm(direction) * lengths[members].mean()
        np.testing.assert_allclose(pooled, expected, rtol=1e-5, atol=1e-6)


def test_representatives_ascend_one_in_each_cluster_and_most_like_it(level):
    embeddings = np.repeat(np.eye(4, 8, dtype=F32), 3, axis=0)
    embeddings[1::3, 5] = 0.4
    embeddings[2::3, 5] = 0.2
    found = pool(embeddings, 2 / 3)
    assert found.retained_indices.tolist() == [2, 5, 8, 11]
    assert found.compression_ratio == 1 - 4 / 12


def test_tokens_that_stay_alone_stay_what_they_were():
    embeddings = np.array([[1, 0, 0], [0, 1e-30, 0], [0, 0, 3e38], [0.1, 0, 0]], F32)
    found = pool(embeddings, 0.25)
    assert found.retained_indices.tolist() == [0, 1, 2]
    assert np.array_equal(found.embeddings[1:], embeddings[1:3])
    np.testing.assert_allclose(found.embeddings[0], [0.55, 0, 0], rtol=1e-6)


@pytest.mark.parametrize("embeddings", [np.zeros((4, 3)), [[1.0], [-1.0], [2.0], [-2.0]]])
def test_zero_and_opposite_tokens_are_pooled_without_noise(embeddings):
    found = pool(embeddings, 0.75)
    assert np.isfinite(found.embeddings).all()
    assert len(found.retained_indices) == 1


def test_nothing_to_merge_leaves_the_tokens():
    assert np.array_equal(pool(tokens(10), least=64).embeddings, tokens(10))
    assert pool([]).embeddings.shape[0] == 0


def test_a_batch_is_pooled_like_single_texts():
    documents = [tokens(n, seed=n) for n in (5, 0, 40)]
    config = TokenPruningConfig(0.5, 1, ImportanceScoringMethod.COVERAGE)
    quantizer = TokenPruningQuantizer(config)
    for given in (documents, TokenArray.from_list(documents)):
        for one, document in zip(quantizer.prune_batch(given, None, True, 2), documents):
            expected = pool(document)
            assert np.array_equal(one.embeddings, expected.embeddings)
            assert np.array_equal(one.retained_indices, expected.retained_indices)
            assert one.compression_ratio == expected.compression_ratio


@pytest.mark.parametrize("num_threads", [1, 3])
def test_documents_are_pooled_like_single_texts(level, num_threads):
    matrices = [tokens(n, seed=n) for n in (33, 0, 1, 20, 9)]
    counts = np.array([11, 0, 1, 20, 4])
    documents = TokenArray.from_list(matrices)
    for given, order in ((documents, slice(None)), (documents[::-1], slice(None, None, -1))):
        pooled, positions = pool_documents(given, counts[order], num_threads)
        expected = [pool_tokens(*one) for one in list(zip(matrices, counts.tolist()))[order]]
        for one, (values, _) in zip(pooled, expected, strict=True):
            np.testing.assert_array_equal(one, values)
        np.testing.assert_array_equal(positions, np.concatenate([some for _, some in expected]))


def test_codes_are_not_pooled():
    codes = TokenArray(np.zeros((3, 4), np.uint8), [0, 3])
    with pytest.raises(InvalidInput, match="expected float32 values"):
        pool_documents(codes, np.array([1]))
