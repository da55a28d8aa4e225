"""The best rows of float8 codes are those of a whole scan, with the same scores."""

import numpy as np
import pytest

from cgcython import parallel
from cgcython.errors import DimensionMismatch, InvalidInput
from cgcython.search import float8_best
from cgcython.search.best import best_rows
from cgcython.search.float8_scans import Float8Scan

RNG = np.random.default_rng(15)


@pytest.fixture
def scan(monkeypatch):
    """Return a scan whose rows go to several threads, in several pieces."""
    monkeypatch.setattr(parallel, "START_SECONDS", 1e-7)
    monkeypatch.setattr(parallel, "LEAST_SECONDS", 1e-6)
    monkeypatch.setattr(float8_best, "FIRST_ROWS", 500)
    monkeypatch.setattr(float8_best, "UNIT_PRODUCTS", 1 << 16)
    codes = (
        RNG.integers(0, 0x7F, (3000, 40), np.uint8) | RNG.integers(0, 2, (3000, 40), np.uint8) << 7
    )
    codes[2000:2040] = codes[7]
    return Float8Scan(codes, RNG.random(3000, np.float32))


def query_for(scan, row):
    return scan.vectors(np.array([row]))[0] + RNG.standard_normal(40, np.float32) / 50


def require_best(scan, found, query, k, metric):
    scores = scan.scores(query, metric)
    np.testing.assert_array_equal(np.sort(found.rows), np.sort(best_rows(scores, k)))
    np.testing.assert_array_equal(found.scores, scores[found.rows])
    assert found.read == len(scan)


@pytest.mark.parametrize("metric", ["cosine", "dot"])
@pytest.mark.parametrize("k", [0, 1, 10, 60, 2000, 5000])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_scan_finds_its_best_rows(scan, metric, k, threads):
    for row in (7, 8):  # of which one has many equals
        query = query_for(scan, row)
        require_best(scan, scan.best(query, k, metric, threads), query, k, metric)


@pytest.mark.parametrize("metric", ["cosine", "dot"])
@pytest.mark.parametrize("count", [0, 1, 5, 6, 33, 130])
@pytest.mark.parametrize("threads", [1, 2])
def test_many_queries_find_what_each_finds(scan, monkeypatch, metric, count, threads):
    monkeypatch.setattr(float8_best, "GROUP", 64)
    queries = [query_for(scan, row) for row in range(count)]
    many = scan.best_many(queries, 10, metric, threads)
    assert len(many) == count
    for query, found in zip(queries, many):
        require_best(scan, found, query, 10, metric)


def test_many_queries_find_equal_rows_and_zeros(scan):
    equal = Float8Scan(np.full((3000, 8), 0x38, np.uint8), np.ones(3000, np.float32))
    queries = [np.ones(8, np.float32), *np.zeros((6, 8), np.float32)]
    assert [len(one.rows) for one in equal.best_many(queries, 2)] == [3000] * 7


def test_a_scan_of_equal_rows_finds_them_all(scan):
    equal = Float8Scan(np.full((3000, 8), 0x38, np.uint8), np.ones(3000, np.float32))
    assert len(equal.best(np.ones(8, np.float32), 2).rows) == 3000


def test_calls_are_checked(scan):
    with pytest.raises(DimensionMismatch):
        scan.best(np.zeros(41, np.float32), 5)
    with pytest.raises(InvalidInput):
        scan.best(np.zeros(40, np.float32), 5, "angle")
