"""Cells: k-means of directions, gaps that were measured, and arrays that kernels may rely on."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structured import clustered

from cgcython import PQ8Codebook, kernels
from cgcython.codecs.binary import BinaryCodec
from cgcython.codecs.training import CodebookWarning
from cgcython.search.binary_scan import BinaryScan
from cgcython.search.float8_scans import Float8Scan
from cgcython.search.guides.cell_signs import FORMS
from cgcython.search.guides.cells import CellGuide
from cgcython.search.guides.centroids import Centroids, nearest
from cgcython.search.guides.probing import MEASURES
from cgcython.search.guides.signs import units
from cgcython.search.pq_scan import PQ8Scan
from cgcython.search.vector_scan import VectorScan
from cgcython.tensors import Malformed

ROWS, DIM = 3000, 64
VECTORS = clustered(DIM, ROWS)
QUERIES = clustered(DIM, 40, seed=9)


def float8(vectors):
    codes, scales = np.empty(vectors.shape, np.uint8), np.empty(len(vectors), np.float32)
    kernels.e4m3.encode_rows(vectors, codes, scales)
    return Float8Scan(codes, scales)


def product_quantized(vectors):
    with pytest.warns(CodebookWarning):
        book = PQ8Codebook.train(vectors, 8, rotation=None)
    return PQ8Scan(book.encode(vectors), book)


def bits(vectors, threshold=0.0):
    codec = BinaryCodec(DIM, threshold)
    data = [codec.encode(row + threshold).data for row in vectors]
    return BinaryScan(np.frombuffer(b"".join(data), np.uint8).reshape(len(data), -1), codec)


@pytest.fixture(scope="module")
def scan():
    return float8(VECTORS)


@pytest.fixture(scope="module")
def guide(scan):
    return CellGuide.of(scan)


def recall(guide, scan, queries):
    shares = []
    for query in queries:
        rows, scores = guide.near(scan, query, 10).rows, scan.scores(query)
        shares.append(min(10, np.sum(scores[rows] >= np.sort(scores)[-10])) / 10)
    return np.mean(shares)


def altered(guide, **arrays):
    return {**guide.arrays(), **arrays}


def test_every_row_is_in_the_cell_whose_centroid_is_nearest(scan, guide):
    rows = units(scan.vectors(np.arange(ROWS)))
    products = rows @ guide._centroids.decoded().T
    found = np.take_along_axis(products, guide._cells()[:, None], axis=1)[:, 0]
    np.testing.assert_allclose(found, products.max(axis=1), rtol=1e-5)


@pytest.mark.parametrize(
    "make", [float8, VectorScan, product_quantized, bits, lambda rows: bits(rows, 3.5)]
)
def test_cells_of_any_dense_codes_hold_the_best(make, few_steps):
    scan = make(VECTORS)
    guide = CellGuide.of(scan)
    shift = scan.codec.threshold if isinstance(scan, BinaryScan) else 0
    assert recall(guide, scan, QUERIES + np.float32(shift)) >= 0.98
    assert guide.measured.recall_of_rows >= 0.99
    assert guide.measured.recall_between >= 0.99


def test_cells_suit_bits_and_long_codes_alone(few_steps):
    assert [CellGuide.suits(make(VECTORS[:300])) for make in (float8, VectorScan, bits)] == [
        True
    ] * 3
    assert not CellGuide.suits(product_quantized(VECTORS[:300]))


def test_queries_between_rows_are_answered_as_well(guide, scan):
    assert recall(guide, scan, units(VECTORS[:30]) + units(VECTORS[30:60])) >= 0.95


def with_gap(guide, scan, gap, drop=()):
    """Return a guide of another gap, without some of its arrays."""
    measures = guide.arrays()["measures"].copy()
    measures[:2] = gap
    arrays = altered(guide, measures=measures)
    return CellGuide.from_arrays({name: arrays[name] for name in arrays if name not in drop}, scan)


def test_all_cells_without_signs_are_the_exact_scan(guide, scan):
    whole = with_gap(guide, scan, 2, drop=FORMS)
    for query in QUERIES[:5]:
        np.testing.assert_array_equal(np.sort(whole.near(scan, query, 1).rows), np.arange(ROWS))


def test_signs_choose_among_the_rows_of_many_cells(guide, scan, monkeypatch):
    monkeypatch.setattr("cgcython.search.guides.cells.WORTH", 0)
    whole = with_gap(guide, scan, 2)
    found = [len(whole.near(scan, query, 10).rows) for query in QUERIES]
    assert min(found) >= 10
    assert np.mean(found) < ROWS / 4
    assert recall(whole, scan, QUERIES) >= 0.98


def test_places_of_cells_are_compared_by_their_bits(guide, scan):
    signs, query, cells = guide._signs, QUERIES[0], np.array([3, 4, 90, len(guide.offsets) - 2])
    spans = guide.offsets[cells], guide.offsets[cells + 1]
    held = np.concatenate([np.arange(*span) for span in zip(*spans)])
    every = signs.nearest(query, *spans, 1, 1000)
    assert set(held) <= set(every.tolist())
    assert len(set(every.tolist())) == len(every) <= len(held) + 8 * len(cells)
    assert every.max() < ROWS
    more = signs.more_bits(query, *spans, held[:5])
    for bits in range(more.max() + 2):
        found = signs.nearest(query, *spans, 5, bits)
        np.testing.assert_array_equal(np.isin(held[:5], found), more <= bits)
    elsewhere = np.setdiff1d(np.arange(ROWS), every)[:5]
    assert not signs.more_bits(query, *spans, elsewhere).any()


def test_signs_follow_their_rows(guide, scan):
    longer = guide.extended(scan.take(np.r_[0:ROWS, 0:1003]))
    part = longer.subset(np.arange(5, ROWS + 900))
    for one, first in ((longer, 0), (part, 5)):
        rows = (one.rows.astype(np.int64) + first) % ROWS
        expected = guide._signs._signs.blocks(scan, rows)
        np.testing.assert_array_equal(one._signs.blocks, expected)


def test_more_rows_lie_farther(guide):
    counts = 1, 10, 20, 100, 1000
    gaps, bits = (
        [f(count) for count in counts] for f in (guide.measured.gap_of, guide.measured.bits_of)
    )
    assert gaps == sorted(gaps)
    assert bits == sorted(bits)
    assert gaps[0] == gaps[1] == guide.measured.gap
    assert gaps[3] == guide.measured.wide_gap


def test_levels_put_nearly_all_rows_into_the_same_cells(level, guide, scan):
    some = np.arange(300)
    cells = nearest(units(scan.vectors(some)), guide._centroids.decoded())
    assert np.mean(cells == guide._cells()[some]) > 0.99


def test_threads_change_no_centroid():
    rows = units(VECTORS)
    alone, several = (
        Centroids.trained(rows, 40, np.random.default_rng(1), num_threads=n).codes for n in (1, 3)
    )
    np.testing.assert_array_equal(alone, several)


def test_a_centroid_without_rows_moves_to_a_row():
    rows = units(np.repeat(np.eye(4, 8, dtype=np.float32), 25, axis=0))
    found = Centroids.trained(rows, 12, np.random.default_rng(2))
    assert np.isfinite(found.decoded()).all()
    assert (found.decoded() @ rows.T).max(axis=0).min() > 0.99


def test_rows_that_crowd_into_few_cells_make_the_guide_stale(scan, guide):
    crowd = scan.take(np.concatenate([np.arange(ROWS), np.zeros(1400, np.int64)]))
    assert guide.extended(crowd) is None
    assert guide.extended(scan.take(np.r_[0:ROWS, 0:1400])) is not None


def test_the_cells_of_some_rows_are_those_of_the_whole(scan, guide):
    rows = np.delete(np.arange(ROWS), np.arange(0, ROWS, 7))
    part = guide.subset(rows)
    np.testing.assert_array_equal(part._cells(), guide._cells()[rows])
    assert recall(part, scan.take(rows), QUERIES) >= 0.98
    assert guide.subset(rows[:100]) is None


def test_what_was_measured_is_kept(guide, scan):
    again = CellGuide.from_arrays(guide.arrays(), scan)
    assert again.measured == guide.measured
    assert 0 < again.measured.read < 0.5
    assert again.measured.rows == ROWS


BROKEN = {
    "offsets fall": ("offsets", 3, ROWS),
    "offsets begin late": ("offsets", 0, 1),
    "offsets end early": ("offsets", -1, ROWS - 1),
    "a row out of range": ("rows", 5, ROWS),
    "a row twice": ("rows", slice(0, 2), 7),
    "a code of NaN": ("centroids", (0, 0), 0xFF),
    "a gap of NaN": ("measures", 0, np.nan),
    "a gap below zero": ("measures", 0, -1),
    "of no rows": ("measures", -1, 0),
    "bits that fall": ("measures", 2, 60_000),
    "too many bits": ("measures", 3, 1e9),
    "a centre of NaN": ("centre", 0, np.nan),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_arrays_are_malformed(guide, scan, name):
    array, at, value = BROKEN[name]
    changed = guide.arrays()[array].copy()
    changed[at] = value
    with pytest.raises(Malformed):
        CellGuide.from_arrays(altered(guide, **{array: changed}), scan)


def test_offsets_of_other_cells_are_malformed(guide, scan):
    with pytest.raises(Malformed):
        CellGuide.from_arrays(altered(guide, offsets=np.array([0, ROWS])), scan)
    with pytest.raises(Malformed):
        CellGuide.from_arrays(altered(guide, centroids=np.empty((0, DIM), np.uint8)), scan)


def test_signs_of_other_rows_are_malformed(guide, scan):
    for name, array in (("blocks", guide._signs.blocks[:-1]), ("flips", np.empty((2, 128), "u1"))):
        with pytest.raises(Malformed):
            CellGuide.from_arrays(altered(guide, **{name: array}), scan)
    with pytest.raises(Malformed):
        with_gap(guide, scan, 1, drop=["centre"])


@settings(max_examples=20)
@given(seed=st.integers(0, 999), count=st.integers(1, ROWS))
def test_as_many_rows_are_found_as_are_asked_for(guide, scan, seed, count):
    query = np.random.default_rng(seed).standard_normal(DIM).astype(np.float32)
    rows = guide.near(scan, query, count).rows
    assert len(np.unique(rows)) == len(rows) >= count


def test_measures_have_names(guide):
    assert len(guide.arrays()["measures"]) == len(MEASURES)
