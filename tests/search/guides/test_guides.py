"""What every guide promises, whatever it keeps: a new one joins by a case of its own."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structured import clustered

from cgcython import TokenArray, kernels
from cgcython.errors import DimensionMismatch
from cgcython.search.float8_scans import Float8Scan
from cgcython.search.guides.cells import CellGuide
from cgcython.search.guides.choice import GUIDES, guide_class, guide_named
from cgcython.search.guides.first_pass import FirstPass
from cgcython.search.guides.guide import Guide
from cgcython.search.guides.token_cells import TokenCellGuide
from cgcython.search.scan import ROWS, Scan
from cgcython.search.token_scans import E4M3TokenScan
from cgcython.tensors import Malformed, require_arrays


def float8(vectors):
    codes, scales = np.empty(vectors.shape, np.uint8), np.empty(len(vectors), np.float32)
    kernels.e4m3.encode_rows(vectors, codes, scales)
    return Float8Scan(codes, scales)


def documents(count, tokens=6, dim=24):
    """Return documents whose tokens are words of their topic, and noise."""
    rng = np.random.default_rng(6)
    words = rng.standard_normal((150, 5, dim), np.float32)
    topics, chosen = rng.integers(150, size=(count, 1)), rng.integers(5, size=(count, tokens))
    return words[topics, chosen] + 0.3 * rng.standard_normal((count, tokens, dim), np.float32)


def e4m3_tokens(matrices):
    coded = TokenArray.from_list(matrices).quantize("e4m3")
    dim = coded.dim
    return E4M3TokenScan(coded.values.reshape(-1), coded.starts * dim, coded.counts, dim)


class Case(NamedTuple):
    """A kind of guide, a scan of structured rows that suits it, and what queries are."""

    kind: type[Guide]
    scan: Scan
    queries: np.ndarray

    def part(self, rows):
        return self.scan.take(np.arange(rows))


ROW_COUNT, PART = 6_003, 5_000
VECTORS = clustered(100, ROW_COUNT + 20)
DOCUMENTS = documents(ROW_COUNT + 20)
CASES = [
    *(
        Case(kind, float8(VECTORS[:ROW_COUNT]), VECTORS[ROW_COUNT:])
        for kind in (CellGuide, FirstPass)
    ),
    Case(TokenCellGuide, e4m3_tokens(DOCUMENTS[:ROW_COUNT]), DOCUMENTS[ROW_COUNT:]),
]
QUICK = settings(max_examples=10)


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.kind.name)
def case(request):
    return request.param


@pytest.fixture(scope="module")
def guide(case):
    """Return the guide of the first rows of a case's scan."""
    return case.kind.of(case.part(PART))


def recall(guide, scan, queries, k):
    shares = []
    for query in queries:
        rows = guide.near(scan, query, k).rows
        scores = scan.scores(query)
        shares.append(
            np.mean(scores[rows].max() >= scores.max() if k == 1 else _held(scores, rows, k))
        )
    return np.mean(shares)


def _held(scores, rows, k):
    """Return which of the k best scores the rows hold, equals counted once each."""
    least = np.sort(scores)[-k]
    return min(np.count_nonzero(scores[rows] >= least), k) / k


def test_there_is_a_case_of_every_guide():
    assert {case.kind for case in CASES} == set(GUIDES)
    assert all(guide_named(case.kind.name) is case.kind for case in CASES)


def test_no_two_guides_have_one_name():
    assert len({kind.name for kind in GUIDES}) == len(GUIDES)
    assert guide_named("none") is None


def test_a_scan_of_enough_rows_gets_a_guide(case):
    assert case.kind.suits(case.scan)
    assert case.kind.suits(case.part(3))
    assert guide_class(case.part(3)) is None


@pytest.mark.parametrize("k", [1, 10, 100])
def test_nearly_all_of_the_best_are_found(case, guide, k):
    assert recall(guide, case.part(PART), case.queries, k) >= 0.98


def test_rows_are_found_once_and_enough_of_them(case, guide):
    scan = case.part(PART)
    for count in (1, 64, PART - 1, PART, 10 * PART):
        rows, read = guide.near(scan, case.queries[0], count)
        assert len(np.unique(rows)) == len(rows) >= min(count, PART)
        assert rows.dtype == np.int64
        assert 0 <= rows.min() <= rows.max() < PART
        assert 0 <= read <= PART


def test_not_all_rows_are_found(case, guide):
    assert len(guide.near(case.part(PART), case.queries[0], 1).rows) < PART / 2


def test_threads_find_the_same(case, guide, monkeypatch):
    monkeypatch.setattr("cgcython.search.guides.first_pass.PART", 1000)
    scan = case.part(PART)
    for query in case.queries[:3]:
        alone, several = (np.sort(guide.near(scan, query, 10, n).rows) for n in (1, 3))
        np.testing.assert_array_equal(alone, several)


def test_the_same_codes_give_the_same_guide(case, guide):
    added = []
    again = case.kind.of(case.part(PART), num_threads=2, progress=added.append)
    assert sum(added) == PART
    for name, array in guide.arrays().items():
        np.testing.assert_array_equal(array, again.arrays()[name])


def test_an_extended_guide_finds_the_new_rows_too(case, guide):
    longer = guide.extended(case.scan)
    assert len(longer) == ROW_COUNT
    assert recall(longer, case.scan, case.queries, 10) >= 0.98
    assert guide.extended(case.part(PART)) is not None
    np.testing.assert_array_equal(
        *(np.sort(one.near(case.part(PART), case.queries[0], 10).rows)
          for one in (guide, guide.extended(case.part(PART))))
    )  # fmt: skip


def test_a_guide_of_far_fewer_rows_is_made_anew(case):
    assert case.kind.of(case.part(PART // 2)).extended(case.scan) is None


def test_arrays_give_the_guide_back(case, guide):
    scan = case.part(PART)
    again = case.kind.from_arrays(guide.arrays(), scan)
    require_arrays(guide.arrays(), case.kind.kept, {ROWS: PART})
    assert guide.nbytes == again.nbytes > 0
    assert len(again) == PART
    np.testing.assert_array_equal(
        *(one.near(scan, case.queries[1], 10).rows for one in (guide, again))
    )


def test_a_mapped_guide_and_what_is_left_of_it_tell_of_their_files(case, guide, tmp_path):
    arrays = {}
    for name, array in guide.arrays().items():
        np.save(tmp_path / f"{name}.npy", array)
        arrays[name] = np.load(tmp_path / f"{name}.npy", mmap_mode="r")
    mapped = case.kind.from_arrays(arrays, case.part(PART))
    fewer = mapped.subset(np.arange(10, PART))
    for one in (mapped, fewer):
        still = [array for array in one.arrays().values() if isinstance(array, np.memmap)]
        assert len(one.mapped) == len(still)
    assert mapped.mapped


def test_arrays_of_another_scan_are_malformed(case, guide):
    for rows in (PART - 8, PART + 8):
        with pytest.raises(Malformed):
            case.kind.from_arrays(guide.arrays(), case.part(rows))


@QUICK
@given(data=st.data())
def test_altered_arrays_are_malformed_or_find_rows(case, guide, data):
    arrays, scan = dict(guide.arrays()), case.part(PART)
    name = data.draw(st.sampled_from(sorted(arrays)))
    changed = arrays[name].copy()
    raw = changed.reshape(-1).view(np.uint8)
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at : at + 8] = data.draw(st.sampled_from([0, 1, 127, 128, 255]))
    try:
        found = case.kind.from_arrays({**arrays, name: changed}, scan).near(
            scan, case.queries[0], 10
        )
    except Malformed:
        return
    rows = found.rows
    assert len(np.unique(rows)) == len(rows) >= 10
    assert 0 <= rows.min() <= rows.max() < PART


def test_queries_of_zeros_are_answered(case, guide):
    assert len(guide.near(case.part(PART), 0 * case.queries[0], 10).rows) >= 10


def test_a_query_of_another_dimension_is_refused(case, guide):
    with pytest.raises(DimensionMismatch):
        guide.near(case.part(PART), case.queries[0][..., 1:], 10)
