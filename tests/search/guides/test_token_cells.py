"""Searches of tokens by their cells: like exact ones, through writes, files and other layouts."""

import shutil

import numpy as np
import pytest

from cgcython import TokenArray
from cgcython.search import FingerprintStore
from cgcython.search.guides.token_cells import TokenCellGuide
from cgcython.search.token_scans import E4M3TokenScan, Float32TokenScan, IntegerTokenScan

COUNT, DIM = 2300, 128
WORDS = np.random.default_rng(5).standard_normal((80, 6, DIM))


def text(number):
    """Return tokens about one of eighty topics."""
    rng = np.random.default_rng(number)
    return WORDS[number % 80][rng.integers(6, size=8)] + 0.4 * rng.standard_normal((8, DIM))


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    path = tmp_path_factory.mktemp("tokens") / "s"
    with FingerprintStore.open(path) as store:
        store.add(range(COUNT), {"E12": [text(number) for number in range(COUNT)]})
    return path


@pytest.fixture
def store(original, tmp_path):
    with FingerprintStore.open(shutil.copytree(original, tmp_path / "s")) as store:
        yield store


def found(store, number, **how):
    return [hit.id for hit in store.search({"E12": text(number)}, 10, **how)]


def recall(store):
    numbers = range(10_000, 10_016)
    pairs = [(found(store, one), found(store, one, approximate=True)) for one in numbers]
    return np.mean([len(set(exact) & set(near)) / 10 for exact, near in pairs])


def test_nearly_all_of_the_best_are_found_and_few_records_read(store):
    assert recall(store) >= 0.98
    near = store.search({"E12": text(10_000)}, 10, approximate=True)
    assert 10 <= near.rows_read < COUNT / 2
    exact = {hit.id: hit for hit in store.search({"E12": text(10_000)}, 10)}
    assert all(exact.get(hit.id, hit).scores == hit.scores for hit in near)


def test_searches_follow_writes(store):
    found(store, 10_000, approximate=True)
    best = found(store, 10_000)
    store.delete(best[0])
    store.add([COUNT], {"E12": [text(10_000)]})
    assert found(store, 10_000, approximate=True)[:2] == [COUNT, best[1]]
    assert recall(store) >= 0.98


def test_cells_are_kept_in_column_files(store, monkeypatch):
    before = found(store, 10_007, approximate=True)
    store.save_columns(["E12"])
    store.close()
    monkeypatch.setattr(TokenCellGuide, "of", None)
    with FingerprintStore.open(store.path) as again:
        assert found(again, 10_007, approximate=True) == before


@pytest.mark.parametrize("precision", ["e4m3", "int4", "float32"])
def test_scans_of_every_layout_have_cells(precision):
    tokens = TokenArray.from_list([text(number) for number in range(400)])
    coded = tokens.quantize(precision)
    spans = coded.starts, coded.counts
    scan = {
        "e4m3": lambda: E4M3TokenScan(coded.values.reshape(-1), spans[0] * DIM, spans[1], DIM),
        "int4": lambda: IntegerTokenScan(coded.values, coded.inverse_norms, *spans, DIM, 4),
        "float32": lambda: Float32TokenScan(coded.values, *spans, DIM),
    }[precision]()
    assert TokenCellGuide.suits(scan)
    np.testing.assert_array_equal(scan.tokens[3], coded[3])
    guide, rows = TokenCellGuide.of(scan), np.flatnonzero(np.arange(400) % 9)
    sums = guide._cells.sums(text(3), 8)
    assert sums.argmax() == 3
    np.testing.assert_array_equal(guide.subset(rows)._cells.sums(text(3), 8), sums[rows])
    assert guide.subset(rows[:50]) is None
