"""Scans of sparse vectors: the best are those of all scores, whatever the weights are."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cgcython.errors import DimensionMismatch, InvalidInput
from cgcython.records import SparseVector
from cgcython.search import inverted
from cgcython.search.inverted import Rows
from cgcython.search.sparse_scans import FloatSparseScan, HalfSparseScan
from cgcython.tensors import Malformed

DIM = 40
KINDS = [HalfSparseScan, FloatSparseScan]
# Few different ones, so that scores are equal; some below 0, some that f16 barely holds.
WEIGHTS = st.sampled_from([1.0, 2.0, 0.5, 3.0, -1.0, 2.0**-24, 65504.0])
POSITIVE = st.sampled_from([1.0, 2.0, 0.5, 3.0, 0.125])


def vectors(weights):
    return st.dictionaries(st.integers(0, DIM - 1), weights, max_size=12)


@st.composite
def rows_and_queries(draw):
    weights = draw(st.sampled_from([WEIGHTS, POSITIVE, POSITIVE]))
    rows = draw(st.lists(vectors(weights), min_size=1, max_size=60))
    copies = draw(st.sampled_from([1, 1, 5]))  # so that as many rows score alike
    return rows * copies, draw(vectors(weights)), draw(st.integers(1, 12))


def rows_of(dictionaries):
    sorted_rows = [sorted(one.items()) for one in dictionaries]
    pairs = [pair for one in sorted_rows for pair in one]
    indptr = np.cumsum([0, *map(len, sorted_rows)])
    indices, weights = (
        np.array([pair[i] for pair in pairs], dtype) for i, dtype in ((0, np.uint32), (1, "f4"))
    )
    return Rows(indptr, indices, weights)


def sparse(dictionary):
    return SparseVector(list(dictionary), list(dictionary.values()), DIM)


@pytest.fixture(params=[5, 1 << 16])
def most_rows(request, monkeypatch):
    monkeypatch.setattr(inverted, "MOST_ROWS", request.param)


@pytest.fixture(autouse=True)
def sorted_out(monkeypatch):
    """Let few rows be searched as many are."""
    monkeypatch.setattr("cgcython.search.sparse_scans.SORTED_OUT", 1)


@pytest.mark.usefixtures("most_rows")
@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows_and_queries(), st.sampled_from(KINDS), st.sampled_from(["cosine", "dot"]))
def test_the_best_are_those_of_all_scores(drawn, kind, metric):
    rows, query, k = drawn
    scan, asked = kind.of_rows(rows_of(rows), DIM), sparse(query)
    scores, best = scan.scores(asked, metric), scan.best(asked, k, metric)
    last = np.sort(scores)[-min(k, len(scores))]
    assert sorted(best.rows.tolist()) == np.flatnonzero(scores >= last).tolist()
    np.testing.assert_array_equal(best.scores, scores[best.rows])
    assert best.read == len(rows)
    products = [[w * query.get(i, 0) for i, w in row.items()] for row in rows]
    sizes = np.array([sum(map(abs, one)) for one in products])
    dots = scan.scores(asked, "dot")
    assert np.all(abs(dots - np.array(list(map(sum, products)))) <= 1e-6 * sizes)


@pytest.fixture(scope="module")
def many():
    rng = np.random.default_rng(5)
    rows = [
        dict.fromkeys(rng.choice(DIM, rng.integers(0, 9), False).tolist(), rng.choice([1, 0.25, 2]))
        for _ in range(700)
    ]
    return rows, sparse({3: 1.0, 5: 0.7, 20: 1.5})


@pytest.mark.usefixtures("most_rows")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [0, 3, 100])
def test_rows_of_another_scan_score_bit_for_bit(many, kind, count):
    rows, query = many
    scan = kind.of_rows(rows_of(rows), DIM)
    chosen = np.random.default_rng(1).permutation(len(rows))[:count]
    expected = scan.scores(query)[chosen]
    for some in (scan.take(chosen), scan.subset(chosen)):
        assert len(some) == count
        np.testing.assert_array_equal(some.scores(query), expected)
    if count:
        best = scan.take(chosen).take(np.arange(count)).best(query, 2)
        np.testing.assert_array_equal(best.scores, expected[best.rows])
    assert scan.subset(chosen).chosen is None


@pytest.mark.usefixtures("most_rows")
@pytest.mark.parametrize("kind", KINDS)
def test_scans_that_are_joined_have_the_rows_of_all(many, kind):
    rows, query = many
    whole = kind.of_rows(rows_of(rows), DIM)
    parts = [kind.of_rows(rows_of(rows[a:b]), DIM) for a, b in [(0, 1), (1, 4), (4, 4), (4, 700)]]
    joined = kind.joined([*parts[:3], parts[3].take(np.arange(len(parts[3])))])
    np.testing.assert_array_equal(joined.scores(query), whole.scores(query))
    np.testing.assert_array_equal(joined.norms, whole.norms)
    assert len(joined.lists.edges) <= len(whole.lists.edges) + 1


def test_small_blocks_that_are_joined_become_one(many):
    rows, _ = many
    ones = [HalfSparseScan.of_rows(rows_of([row]), DIM) for row in rows[:20]]
    joined, whole = HalfSparseScan.joined(ones), HalfSparseScan.of_rows(rows_of(rows[:20]), DIM)
    for name, one in whole.arrays().items():
        np.testing.assert_array_equal(joined.arrays()[name], one)


def test_halves_take_four_bytes_for_a_non_zero():
    rng = np.random.default_rng(0)
    indices = np.sort(rng.permuted(np.tile(np.arange(3000), (500, 1)), axis=1)[:, :150], axis=1)
    ends = np.arange(0, indices.size + 1, 150)
    rows = Rows(ends, indices.ravel().astype(np.uint32), np.ones(indices.size, np.float32))
    arrays = HalfSparseScan.of_rows(rows, 3000).arrays()
    postings = {name: arrays.pop(name).nbytes for name in ("rows", "weights")}
    assert sum(postings.values()) == 4 * indices.size
    assert sum(one.nbytes for one in arrays.values()) < 0.25 * 4 * indices.size


def test_a_wrong_query_is_refused(many):
    scan = HalfSparseScan.of_rows(rows_of(many[0]), DIM)
    with pytest.raises(DimensionMismatch):
        scan.best(SparseVector([1], [1.0], DIM + 1), 3)
    with pytest.raises(InvalidInput, match="cosine or dot"):
        scan.best(many[1], 3, "l2")


def put(at, value):
    def change(array):
        array[at] = value
        return array

    return change


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("list_rows", put(0, 1)),
        ("list_rows", put(1, 0)),
        ("list_rows", put(1, 2**63 - 1)),
        ("list_rows", put(1, -(2**63))),
        ("list_rows", lambda array: array[:0]),
        ("list_starts", put(0, 1)),
        ("list_starts", put(1, 2**62)),
        ("list_starts", put(-1, 3)),
        ("indices", put(0, DIM)),
        ("indices", put(1, 0)),
        ("indptr", put(1, 0)),
        ("indptr", put(1, 2**62)),
        ("indptr", put(-1, 5)),
        ("indptr", lambda array: array[:-1]),
        ("rows", put(0, 65535)),
        ("rows", put(1, 0)),
        ("rows", lambda array: array[:-1]),
    ],
)
@pytest.mark.parametrize("rows", [4, 1 << 16])
def test_lists_that_are_not_sound_are_malformed(many, monkeypatch, rows, name, change):
    monkeypatch.setattr(inverted, "MOST_ROWS", rows)
    arrays = HalfSparseScan.of_rows(rows_of(many[0]), DIM).arrays()
    assert HalfSparseScan.from_arrays(arrays, (DIM,), None).scores(many[1]).any()
    arrays[name] = change(arrays[name].copy())
    with pytest.raises(Malformed):
        HalfSparseScan.from_arrays(arrays, (DIM,), None)
