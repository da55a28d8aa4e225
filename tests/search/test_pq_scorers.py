"""The nearest by cosine are exact, whatever the screen of their lengths excludes."""

import numpy as np
import pytest

from cgcython import CodeIndex, PQ8Codebook
from cgcython.search import nearest_codes


@pytest.mark.parametrize("num_threads", [1, 2])
def test_a_screen_leaves_the_cosines_as_they_are(num_threads, level, monkeypatch):
    # Lengths of decoded rows from 0 to 30, equal rows, and queries whose nearest are far.
    monkeypatch.setattr(nearest_codes, "FIRST_BLOCKS", 1)
    rng = np.random.default_rng(9)
    scales = rng.exponential(3, (4, 256, 1)) * (rng.random((4, 256, 1)) > 0.2)
    book = PQ8Codebook(rng.standard_normal((4, 256, 9)) * scales)
    codes = rng.integers(0, 256, (20_000, 4), np.uint8)
    codes[7000:7040], codes[9000:9040] = codes[9], np.argmin(scales, 1)[:, 0]
    index = CodeIndex(book, codes, metric="cosine")
    far = -book.decode(codes).mean(axis=0)
    for query in [*rng.standard_normal((4, 36)), book.decode(codes[9:10])[0], far]:
        every = index.distances(query)
        for k in (1, 10, 100, 200):
            ids, distances = index.search(query, k, num_threads=num_threads)
            order = np.argsort(every, kind="stable")[:k]
            np.testing.assert_array_equal(ids, order)
            np.testing.assert_array_equal(distances, every[order])


def test_lengths_are_measured_anew_where_rows_change():
    book = PQ8Codebook(np.random.default_rng(2).standard_normal((4, 256, 9)))
    index, rng = CodeIndex(book, metric="cosine"), np.random.default_rng(1)
    for size in (5000, 3, 9000):
        query = rng.standard_normal(36)
        index.add_embeddings(rng.standard_normal((size, 36)) * rng.uniform(1, 9))
        ids, distances = index.search(query, 10)
        every = index.distances(query)
        np.testing.assert_array_equal(distances, every[np.argsort(every, kind="stable")[:10]])
    index.remove(ids)
    assert index.search(query, 1)[1][0] > distances[-1]


def test_lengths_beyond_float32_are_not_screened(level):
    book = PQ8Codebook(np.geomspace(1, 1e37, 4 * 256 * 9).reshape(4, 256, 9))
    codes = np.random.default_rng(3).integers(0, 256, (9000, 4), np.uint8)
    index = CodeIndex(book, codes, metric="cosine")
    every = index.distances(np.ones(36))
    ids, _ = index.search(np.ones(36), 10)
    order = np.argsort(np.fmin(every, np.inf), kind="stable")[:10]
    np.testing.assert_array_equal(ids, order)
