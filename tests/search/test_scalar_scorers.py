"""Distances to scalar codes: a screen in whole numbers leaves out none of the nearest."""

import numpy as np
import pytest

from cgcython import CodeIndex, QuantizedBatch, ScalarCodec
from cgcython.codecs.row_settings import BITS

RNG = np.random.default_rng(9)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("metric", ["l2", "cosine"])
def test_rows_nearer_to_each_other_than_roundings_are_told_apart(bits, metric):
    codec, centre = ScalarCodec(64, bits), RNG.standard_normal(64)
    rows = centre + RNG.standard_normal((3000, 64)) * 0.003
    index = CodeIndex(codec, codec.encode_batch(rows), metric=metric)
    query = centre + RNG.standard_normal(64) * 0.003
    every = index.distances(query)
    found, distances = index.search(query, 20)
    np.testing.assert_array_equal(found, np.argsort(every, kind="stable")[:20])
    np.testing.assert_array_equal(distances, every[found])


@pytest.mark.parametrize("size", [1e-30, 1e-12, 1e12, 1e18])
def test_distances_hold_for_any_magnitude(size):
    codec = ScalarCodec(24)
    rows = (RNG.standard_normal((50, 24)) * size).astype(np.float32)
    index = CodeIndex(codec, codec.encode_batch(rows))
    stored = codec.decode_batch(codec.encode_batch(rows)).astype(np.float64)
    expected = np.square(stored - rows[3]).sum(axis=1)
    np.testing.assert_allclose(index.distances(rows[3]), expected.astype(np.float32), rtol=1e-5)
    assert index.search(rows[3], 1)[0].tolist() == [3]


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("metric", ["l2", "cosine"])
def test_rows_of_damaged_scales_are_farthest(metric):
    codec = ScalarCodec(24, 4)
    made = codec.encode_batch(RNG.standard_normal((5, 24)))
    scales = np.where(np.arange(5) == 2, np.nan, made.columns["scales"]).astype(np.float16)
    batch = QuantizedBatch(made.method, 24, {**made.columns, "scales": scales}, made.shared)
    index = CodeIndex(codec, batch, metric=metric)
    assert index.search(RNG.standard_normal(24), 5)[0][-1] == 2


@pytest.mark.parametrize("name", ["scales", "inverse_norms"])
def test_rows_of_infinite_scales_or_lengths_are_met_without_a_warning(name):
    codec, query = ScalarCodec(24, 4), RNG.standard_normal(24)
    index = CodeIndex(codec, codec.encode_batch(RNG.standard_normal((5, 24))), metric="l2")
    index.arrays[name][2] = np.inf
    found, distances = index.search(query, 5)
    assert sorted(found) == list(range(5))
    assert not np.isnan(distances).any()


@pytest.mark.parametrize("metric", ["l2", "cosine"])
def test_a_query_of_zeros_has_distances(metric):
    codec = ScalarCodec(24, 6)
    rows = RNG.standard_normal((5, 24)) * np.arange(5)[::-1, None]
    index = CodeIndex(codec, codec.encode_batch(rows), metric=metric)
    found, distances = index.search(np.zeros(24), 5)
    assert found.tolist() == ([4, 3, 2, 1, 0] if metric == "l2" else [0, 1, 2, 3, 4])
    assert distances[0] == (0 if metric == "l2" else 1)
