"""Candidates of late interaction: what cells propose, what is found among it, what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgcython import PQ8Codebook, TokenArray, kernels, max_sim_batch
from cgcython.errors import DimensionMismatch, InvalidInput
from cgcython.similarity import PreparedQuery, TokenCells, cell_settings, centroids, token_cells
from cgcython.similarity.cell_settings import CellSettings
from cgcython.tensors import Malformed

RNG = np.random.default_rng(7)
DIM, TOPICS = 32, 60
SLOW = kernels.level == "reference"
QUERIES = 1 if SLOW else 20
PRECISIONS = (
    ["int8"] if SLOW else ["float32", "bfloat16", "e4m3", "int8", "int4", "int2", "hadamard_sign"]
)


def documents_about(topics, rng, tokens=12):
    """Return documents whose tokens are around the words of their topic."""
    words = np.random.default_rng(1).standard_normal((TOPICS, 8, DIM))
    chosen = [words[topic][rng.integers(8, size=tokens)] for topic in topics]
    return [one + 0.4 * rng.standard_normal(one.shape) for one in chosen]


@pytest.fixture(scope="module", autouse=True)
def few_queries_where_they_take_long():
    with pytest.MonkeyPatch.context() as patch:
        if SLOW:
            patch.setattr(cell_settings, "QUERIES", 1)
            patch.setattr(centroids, "STEPS", 1)
        yield


@pytest.fixture(scope="module")
def documents():
    rng = np.random.default_rng(3)
    return TokenArray.from_list(documents_about(rng.integers(TOPICS, size=2400), rng))


@pytest.fixture(scope="module")
def cells(documents):
    return TokenCells.of(documents)


def recall(found, expected):
    pairs = zip(found.tolist(), expected.tolist())
    return np.mean([len(set(one) & set(other)) / len(other) for one, other in pairs])


@pytest.mark.parametrize("precision", PRECISIONS)
def test_almost_all_of_the_best_are_found(documents, cells, precision):
    coded = documents.quantize(precision)
    queries = TokenArray.from_list(documents_about(range(QUERIES), np.random.default_rng(9)))
    exact = max_sim_batch(queries, coded, k=10)
    found = max_sim_batch(queries, coded, k=10, approximate=cells)
    assert recall(found[0], exact[0]) >= 0.99
    assert np.all(found[1] <= exact[1])


def test_tokens_of_product_quantization_have_cells(documents):
    rows = documents.values[RNG.permutation(len(documents.values))[:256]]
    book = PQ8Codebook(np.ascontiguousarray(rows.reshape(256, 8, 4).transpose(1, 0, 2)))
    coded = documents.quantize("pq", book)
    queries = TokenArray.from_list(documents_about(range(QUERIES), np.random.default_rng(9)))
    found = max_sim_batch(queries, coded, k=10, approximate=TokenCells.of(coded))
    assert recall(found[0], max_sim_batch(queries, coded, k=10)[0]) >= 0.98


def test_cells_of_codes_find_as_well_as_those_of_float32(documents):
    coded = documents.quantize("int4")
    queries = TokenArray.from_list(documents_about(range(QUERIES), np.random.default_rng(9)))
    found = max_sim_batch(queries, coded, k=10, approximate=True)
    assert recall(found[0], max_sim_batch(queries, coded, k=10)[0]) >= 0.98


def test_a_screen_of_float32_tokens_finds_the_same(documents, cells):
    query = documents[5]
    plain = max_sim_batch(query, documents, k=5, approximate=cells)
    screened = max_sim_batch(query, documents.with_screen(), k=5, approximate=cells)
    for one, other in zip(plain, screened):
        np.testing.assert_array_equal(one, other)


@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 12))
@settings(max_examples=20, deadline=None)
def test_all_cells_and_all_documents_are_exact(seed, count, k):
    rng = np.random.default_rng(seed)
    documents = TokenArray.from_list(
        [rng.standard_normal((rng.integers(5), 8)) for _ in range(count)], 8
    )
    cells = TokenCells.of(documents)
    all_of_it = CellSettings(max(1, len(cells.codes)), count)
    everything = TokenCells(cells.codes, cells.offsets, cells.members, count, all_of_it)
    query = rng.standard_normal((6, 8))
    exact = max_sim_batch(query, documents, k=k)
    for one, other in zip(exact, max_sim_batch(query, documents, k=k, approximate=everything)):
        np.testing.assert_array_equal(one, other)
    met = everything.near(PreparedQuery.of(query), count - 1)
    assert set(met.ids) <= set(documents.counts.nonzero()[0])


def test_the_same_documents_and_seed_give_the_same_cells(documents, cells):
    again = TokenCells.of(documents, num_threads=2)
    other = TokenCells.of(documents, seed=1)
    assert again.settings == cells.settings
    for name in ("codes", "offsets", "members"):
        np.testing.assert_array_equal(getattr(again, name), getattr(cells, name))
    assert not np.array_equal(other.codes, cells.codes)


def test_a_list_holds_each_document_of_its_cell_once(documents, cells):
    nearest = cells.centroids.cells_of(documents)
    for cell in (0, 50, len(cells.codes) - 1):
        members = cells.members[cells.offsets[cell] : cells.offsets[cell + 1]]
        owners = np.flatnonzero(nearest == cell) // 12
        np.testing.assert_array_equal(members, np.unique(owners))


def test_a_selection_has_cells_of_its_own(documents):
    chosen = documents.take(RNG.permutation(2400)[:2100])
    best = max_sim_batch(chosen[77], chosen, k=1, approximate=True)[0]
    assert best.tolist() == [77]


def test_cells_are_extended_by_the_documents_that_were_added(documents, cells):
    more = TokenArray.from_list(documents_about([1, 2, 3], np.random.default_rng(4)))
    joined = TokenArray.concatenate([documents, more, TokenArray.from_list([[]], DIM)])
    extended = cells.extended(joined)
    extended.require_sound()
    assert len(extended) == len(joined)
    assert len(extended.members) > len(cells.members)
    assert max_sim_batch(more[1], joined, k=1, approximate=extended)[0].tolist() == [2401]
    lists = np.split(extended.members, extended.offsets[1:-1])
    assert all(np.all(np.diff(one.astype(int)) > 0) for one in lists)


def test_tokens_that_are_not_finite_are_in_no_cell(documents):
    values = documents.values.copy()
    values[:12] = np.nan
    broken = TokenArray(values, documents.offsets, finite=False)
    cells = TokenCells.of(broken)
    assert 0 not in cells.members
    assert max_sim_batch(documents[9], broken, k=1, approximate=cells)[0].tolist() == [9]


def test_cells_of_a_selection_have_the_sums_of_its_documents(documents, cells):
    ids = RNG.permutation(2400)[:900]
    query = PreparedQuery.of(documents[4])
    np.testing.assert_array_equal(cells.take(ids).sums(query, 8), cells.sums(query, 8)[ids])
    with pytest.raises(InvalidInput, match="ids: expected 0 to 2399, got 2400"):
        cells.take([2400])
    with pytest.raises(InvalidInput, match="ids: expected each of them once, got 3 twice"):
        cells.take([4, 3, 0, 3])


def test_given_queries_choose_the_settings(documents):
    queries = TokenArray.from_list(documents_about(range(6), np.random.default_rng(2)))
    strict = TokenCells.of(documents, queries, recall=1.0)
    loose = TokenCells.of(documents, queries, recall=0.1)
    assert strict.settings.candidates >= loose.settings.candidates
    assert loose.settings.candidates_for(20) == 2 * loose.settings.candidates


def test_few_documents_and_none_are_scored_exactly():
    few = TokenArray.from_list(RNG.standard_normal((30, 3, 8)))
    exact = max_sim_batch(few[4], few, k=3)
    for one, other in zip(exact, max_sim_batch(few[4], few, k=3, approximate=True)):
        np.testing.assert_array_equal(one, other)
    none = TokenArray.from_list([], 8)
    assert len(max_sim_batch(few[4], none, k=3, approximate=True)[0]) == 0


def test_a_query_without_direction_finds_as_many_as_without_cells(documents, cells):
    found = max_sim_batch(np.zeros((2, DIM)), documents, k=10, approximate=cells)
    assert found[0].tolist() == list(range(10))
    assert max_sim_batch([], documents, k=2, approximate=cells)[1].tolist() == [0, 0]


def test_true_makes_cells_once(documents, monkeypatch):
    array = documents[:2100]
    first = max_sim_batch(array[3], array, k=4, approximate=True)
    monkeypatch.setattr(token_cells, "trained", None)
    second = max_sim_batch(array[3], array, k=4, approximate=True)
    np.testing.assert_array_equal(first[0], second[0])


@pytest.mark.parametrize("approximate", ["yes", 1, None])
def test_what_is_no_cells_is_refused(documents, approximate):
    with pytest.raises(InvalidInput, match=r"approximate: expected True, False or TokenCells"):
        max_sim_batch(documents[0], documents, k=3, approximate=approximate)


def test_cells_of_other_documents_are_refused(documents, cells):
    with pytest.raises(InvalidInput, match="got cells of 2400 documents"):
        max_sim_batch(documents[0], documents[:50], k=3, approximate=cells)
    with pytest.raises(InvalidInput, match=r"k: expected a number of documents, k=10"):
        max_sim_batch(documents[0], documents, approximate=cells)
    with pytest.raises(DimensionMismatch):
        max_sim_batch(np.ones((2, 8)), documents, k=3, approximate=cells)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("offsets", np.array([0, 5]), "not those of its cells"),
        ("offsets", "shuffled", "do not follow"),
        ("members", "beyond", "name document 2400 of 2400"),
        ("settings", CellSettings(0, 10), "probes"),
        ("settings", CellSettings(10, 0), "candidates"),
    ],
)
def test_hostile_lists_are_malformed(cells, name, value, message):
    changed = {one: getattr(cells, one) for one in ("codes", "offsets", "members", "settings")}
    if isinstance(value, str):
        value = changed[name].copy()
        value[1] = 2400 if name == "members" else value[-1]
    hostile = TokenCells(**{**changed, name: value}, count=2400)
    with pytest.raises(Malformed, match=message):
        hostile.require_sound()
