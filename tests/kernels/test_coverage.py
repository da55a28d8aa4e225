"""Coverage and clusters are the same on every level, and what they say they are."""

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage

from cgcython.kernels import dispatch
from cgcython.kernels.reference import coverage as reference

F32, U32 = np.float32, np.uint32


def values(n, dim, seed=0):
    return np.random.default_rng(seed).standard_normal((n, dim), dtype=F32)


def cover(kernel, tokens, keep):
    kept, gains = np.empty(keep, U32), np.empty(keep, F32)
    scratch = np.empty(kernel("coverage").cover_scratch(*tokens.shape), np.uint8)
    kernel("coverage").cover(tokens, kept, gains, scratch)
    return kept.tolist(), gains.tolist()


def cluster(kernel, tokens, count):
    labels = np.empty(len(tokens), U32)
    scratch = np.empty(kernel("coverage").cluster_scratch(*tokens.shape), np.uint8)
    kernel("coverage").cluster(tokens, labels, count, scratch)
    return labels.tolist()


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (33, 8), (70, 31), (130, 128), (20, 300)])
def test_coverage_is_the_same_on_every_level(kernel, shape):
    tokens = values(*shape, seed=3)
    tokens[::7] = tokens[0]
    for keep in {0, 1, (shape[0] + 1) // 2, shape[0]}:
        assert cover(kernel, tokens, keep) == cover(lambda _: reference, tokens, keep)


@pytest.mark.parametrize("n", [1, 8, 31, 65])
def test_coverage_of_equal_opposite_and_zero_tokens_is_the_same_on_every_level(kernel, n):
    tokens = np.random.default_rng(n).integers(-1, 2, (n, 3)).astype(F32)
    assert cover(kernel, tokens, n) == cover(lambda _: reference, tokens, n)


def test_coverage_is_greedy_facility_location(kernel):
    tokens, kept, best = values(60, 32, seed=4), [], np.full(60, -1.0)
    units = tokens / np.linalg.norm(tokens.astype(float), axis=1, keepdims=True)
    table = units @ units.T
    for _ in range(20):
        kept.append(int(np.maximum(table, best).sum(axis=1).argmax()))
        best = np.maximum(best, table[kept[-1]])
    found, gains = cover(kernel, tokens, 20)
    assert found == sorted(kept)
    np.testing.assert_allclose(sum(gains), (best + 1).sum(), rtol=1e-3)


def test_coverage_keeps_one_of_each_cluster(kernel):
    centres = np.eye(5, 64, dtype=F32)
    tokens = np.repeat(centres, 10, axis=0) + 0.01 * values(50, 64)
    kept, _ = cover(kernel, tokens, 5)
    assert [position // 10 for position in kept] == [0, 1, 2, 3, 4]


def test_coverage_does_not_depend_on_lengths(kernel):
    tokens = values(30, 16)
    stretched = tokens * np.exp2(np.arange(30) - 60).astype(F32)[:, None]
    assert cover(kernel, tokens, 11) == cover(kernel, stretched, 11)


def test_coverage_takes_zero_tokens_last(kernel):
    tokens = values(12, 8)
    tokens[[0, 5]] = 0
    assert cover(kernel, tokens, 10)[0] == [1, 2, 3, 4, 6, 7, 8, 9, 10, 11]
    assert cover(kernel, np.zeros((4, 8), F32), 2) == ([0, 1], [0, 0])


def test_documents_are_covered_as_single_texts(kernel):
    tokens, offsets = values(60, 16, seed=7), np.array([5, 5, 38, 39, 60])
    places = np.array([2, 2, 12, 13, 20])
    kept, gains = np.zeros(21, U32), np.zeros(21, F32)
    scratch = np.empty(kernel("coverage").cover_scratch(33, 16), np.uint8)
    kernel("coverage").cover_documents(tokens, offsets, kept, places, gains, scratch)
    for i in range(4):
        found = slice(places[i], places[i + 1])
        text = tokens[offsets[i] : offsets[i + 1]]
        expected = cover(kernel, text, places[i + 1] - places[i])
        assert (kept[found].tolist(), gains[found].tolist()) == expected
    with pytest.raises(ValueError, match="kept holds 2"):
        kernel("coverage").cover_documents(
            tokens, np.array([0, 1]), kept, np.array([0, 2]), gains, scratch
        )


@pytest.mark.parametrize("count", [1, 7, 30, 60])
def test_clusters_are_those_of_scipys_ward(kernel, count):
    tokens = values(60, 32, seed=5)
    units = tokens / np.linalg.norm(tokens.astype(float), axis=1, keepdims=True)
    expected = fcluster(linkage(units, "ward"), count, "maxclust")
    first = {label: place for place, label in reversed(list(enumerate(expected)))}
    order = sorted(first, key=first.get)
    assert cluster(kernel, tokens, count) == [order.index(label) for label in expected]


@pytest.mark.parametrize("shape", [(0, 4), (1, 1), (9, 3), (40, 8), (33, 300)])
def test_clusters_are_the_same_on_every_level(kernel, shape):
    rng = np.random.default_rng(6)
    for tokens in (values(*shape, seed=6), rng.integers(-1, 2, shape).astype(F32)):
        for count in {min(1, shape[0]), (shape[0] + 1) // 2, shape[0]}:
            assert cluster(kernel, tokens, count) == cluster(lambda _: reference, tokens, count)


def test_clusters_of_equals_are_merged_first(kernel):
    tokens = np.eye(3, 8, dtype=F32)[[0, 1, 0, 2, 1, 0]]
    assert cluster(kernel, tokens, 3) == [0, 1, 0, 2, 1, 0]


def test_as_many_clusters_as_tokens_at_most(kernel):
    for count in (0, 5):
        with pytest.raises(ValueError, match=f"num_clusters is {count}"):
            cluster(kernel, values(4, 8), count)


def test_more_tokens_than_there_are_cannot_cover(kernel):
    with pytest.raises(ValueError, match="kept holds 5"):
        cover(kernel, values(4, 8), 5)


@pytest.mark.parametrize("level", dispatch.available()[1:])
def test_too_little_scratch_is_refused(level):
    family, kept = dispatch.load("coverage", level), np.empty(2, U32)
    scratch = np.empty(family.cover_scratch(4, 8) - 1, np.uint8)
    with pytest.raises(ValueError, match="scratch"):
        family.cover(values(4, 8), kept, np.empty(2, F32), scratch)
    scratch = np.empty(family.cluster_scratch(4, 8) - 1, np.uint8)
    with pytest.raises(ValueError, match="scratch"):
        family.cluster(values(4, 8), np.empty(4, U32), 2, scratch)


def pool(kernel, documents, counts):
    """What a kernel pools of documents, behind a row that belongs to none."""
    offsets, edges = (np.cumsum([1, *some]) for some in (map(len, documents), counts))
    dim = documents[0].shape[1]
    tokens = np.concatenate([np.ones((1, dim), F32), *documents])
    pooled, positions = np.zeros((edges[-1], dim), F32), np.zeros(edges[-1], U32)
    scratch = np.empty(kernel("coverage").pool_scratch(max(map(len, documents)), dim), np.uint8)
    kernel("coverage").pool_documents(tokens, offsets, pooled, positions, edges, scratch)
    return pooled, positions


@pytest.mark.parametrize("dim", [1, 3, 16, 31, 128])
def test_documents_are_pooled_the_same_on_every_level(kernel, dim):
    rng = np.random.default_rng(9)
    documents = [values(n, dim, seed=n) for n in (33, 0, 1, 7, 70)]
    documents += [rng.integers(-1, 2, (n, dim)).astype(F32) for n in (20, 9)]
    documents[0][5] = 0
    documents[4] *= np.exp2(rng.integers(-120, 120, (70, 1))).astype(F32)
    for part in (1, 0.5, 0.2):
        counts = [max(int(len(one) * part), min(len(one), 1)) for one in documents]
        expected = pool(lambda _: reference, documents, counts)
        for found, wanted in zip(pool(kernel, documents, counts), expected):
            np.testing.assert_array_equal(found, wanted)


def test_pooled_tokens_have_the_mean_direction_and_length(kernel):
    tokens = values(40, 16, seed=8)
    lengths = np.linalg.norm(tokens.astype(float), axis=1)
    units = tokens / lengths[:, None]
    labels = np.array(cluster(kernel, tokens, 15))
    pooled, positions = pool(kernel, [tokens], [15])
    assert positions[0] == 0  # of the row before the first document
    for position, found in zip(positions[1:], pooled[1:]):
        members = np.flatnonzero(labels == labels[position])
        direction = units[members].sum(axis=0)
        expected = direction / np.linalg.norm(direction) * lengths[members].mean()
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
        assert units[position] @ direction > (units[members] @ direction).max() - 1e-6


def test_pools_that_do_not_fit_are_refused(kernel):
    family, tokens, two = kernel("coverage"), values(4, 8), np.array([0, 2])
    scratch = np.empty(family.pool_scratch(4, 8), np.uint8)
    given = tokens, np.array([0, 4]), np.empty((2, 8), F32), np.empty(2, U32), two, scratch
    family.pool_documents(*given)
    for place, wrong, message in (
        (1, np.array([0, 1]), "num_clusters is 2"),
        (1, np.array([0, 5]), "offsets leave 4 rows"),
        (2, np.empty((2, 7), F32), "a row of pooled holds 7, values holds 8"),
        (3, np.empty(3, U32), "positions holds 3, pooled holds 2"),
        (4, np.array([0, 0]), "num_clusters is 0"),
        (4, np.array([0, 1, 2]), "edges holds 3, offsets holds 2"),
    ):
        with pytest.raises(ValueError, match=message):
            family.pool_documents(*given[:place], wrong, *given[place + 1 :])
