"""Searches of a store by guides: like exact ones, through writes, files and damage."""

import os
import pickle
import shutil
from uuid import UUID

import numpy as np
import pytest

from cgcython.base import ModelId
from cgcython.search import FingerprintStore
from cgcython.search.column_files import FORMAT, VERSION, column_path
from cgcython.search.guides.first_pass import FirstPass
from cgcython.tensors import read_arrays, write_arrays

COUNT, LEAST = 2000, 1000
IDS = [UUID(int=i + 1) for i in range(COUNT + 60)]
QUERIES = range(COUNT + 60, COUNT + 80)  # rows that are not stored
QUERY = COUNT + 70


def rows(dim, count=COUNT + 80):
    """Return vectors that differ in eight directions, the same for all dimensions, and noise."""
    latent = np.random.default_rng(0).standard_normal((count, 8))
    rng = np.random.default_rng(dim)
    noise = 0.3 * rng.standard_normal((count, dim))
    return (latent @ rng.standard_normal((8, dim)) + noise).astype(np.float32)


ROWS = {"E8": rows(384), "E2": rows(512)}


def memory(row, names=("E8",)):
    return {name: ROWS[name][row] for name in names}


@pytest.fixture(scope="module", autouse=True)
def guides():
    """Let few rows be enough for a guide; return the numbers of rows of those that are made."""
    seen, make = [], FirstPass.of.__func__
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FirstPass, "least_rows", LEAST)
        patch.setattr(
            FirstPass, "of", classmethod(lambda *args: seen.append(len(args[1])) or make(*args))
        )
        yield seen


@pytest.fixture
def made(guides):
    """Return the numbers of rows of the guides that a test makes."""
    del guides[:]
    return guides


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    path = tmp_path_factory.mktemp("guided") / "s"
    with FingerprintStore.open(path) as store:
        store.store_many((IDS[i], memory(i, ROWS)) for i in range(COUNT))
    return path


@pytest.fixture(scope="module")
def shared(original, tmp_path_factory):
    """Return a store that no test changes."""
    path = shutil.copytree(original, tmp_path_factory.mktemp("shared") / "s")
    with FingerprintStore.open(path, read_only=True) as store:
        yield store


@pytest.fixture
def path(original, tmp_path):
    return shutil.copytree(original, tmp_path / "s")


@pytest.fixture
def store(path):
    with FingerprintStore.open(path) as store:
        yield store


def recall(store, k=10, **how):
    shares = []
    for row in QUERIES:
        query = memory(row, how.get("embedders", ["E8"]))
        exact, near = store.search(query, k, **how), store.search(query, k, approximate=True, **how)
        assert len(near) == len(exact) == k
        assert near.rows_read < exact.rows_read / 2
        shares.append(len({hit.id for hit in exact} & {hit.id for hit in near}) / k)
    return np.mean(shares)


def test_nearly_all_of_the_best_are_found_and_few_rows_read(store, made):
    assert recall(store) >= 0.98
    assert made == [COUNT]
    exact, near = (store.search(memory(QUERY), approximate=way) for way in (False, True))
    assert exact.rows_read == COUNT
    assert near.rows_read < COUNT / 4


def test_scores_are_those_of_an_exact_search(shared):
    scores = {hit.id: hit for hit in shared.search(memory(QUERY), COUNT)}
    assert all(scores[hit.id] == hit for hit in shared.search(memory(QUERY), approximate=True))


def test_hits_of_several_embedders_are_fused(shared):
    assert recall(shared, embedders=["E8", "E2"]) >= 0.95


def test_a_number_is_how_many_are_proposed_at_least(shared):
    read = [shared.search(memory(QUERY), approximate=way).rows_read for way in (True, 100)]
    assert LEAST / 4 > read[0] > 10
    assert read[1] > read[0]
    assert shared.search(memory(QUERY), approximate=10 * COUNT) == shared.search(memory(QUERY))


@pytest.mark.parametrize("k", [1, 700, COUNT, 2 * COUNT])
def test_as_many_are_found_as_there_are(shared, k):
    assert len(shared.search(memory(QUERY), k, approximate=True)) == min(k, COUNT)


def test_each_stored_embedding_finds_itself_first(shared):
    for row in range(0, COUNT, 90):
        assert shared.search(memory(row), 1, approximate=True)[0].id == IDS[row]


def test_equals_come_in_the_order_of_ids(store):
    for row in range(COUNT, COUNT + 40):
        store.store(IDS[row], memory(3))
    for k in (5, 20, 41):
        found = store.search(memory(3), k, approximate=True)
        assert [hit.id for hit in found] == [IDS[3], *IDS[COUNT : COUNT + 40]][:k]


def test_dot_products_are_exact(shared):
    exact, near = (
        shared.search(memory(QUERY), metric="dot", approximate=way) for way in (False, True)
    )
    assert near == exact


@pytest.mark.parametrize("ids", [IDS[:1500], IDS[5:9], IDS[1:COUNT:2], IDS[:COUNT], []], ids=len)
def test_only_ids_of_a_filter_are_found_and_as_many_as_there_are(shared, ids):
    shares = []
    for row in QUERIES:
        exact, near = (
            shared.search(memory(row), among=ids, approximate=way) for way in (False, True)
        )
        assert len(near) == min(10, len(ids))
        assert {hit.id for hit in near} <= set(ids)
        shares.append(len({hit.id for hit in exact} & {hit.id for hit in near}) == len(exact))
    assert np.mean(shares) >= 0.9
    assert len(ids) < 1500 or near.rows_read < COUNT / 2


def test_a_filter_of_what_is_far_is_answered_exactly(shared):
    for row in QUERIES:
        far = [hit.id for hit in shared.search(memory(row), COUNT)[COUNT // 2 :]]
        exact, near = (
            shared.search(memory(row), among=far, approximate=way) for way in (False, True)
        )
        assert near == exact


def test_fused_hits_are_of_the_filter(shared):
    query, ids = memory(QUERY, ROWS), IDS[::3]
    assert {hit.id for hit in shared.search(query, among=ids, approximate=True)} <= set(ids)


def test_many_queries_find_what_each_finds(shared):
    batch = ROWS["E8"][list(QUERIES)]
    found = shared.search_many({"E8": batch}, 5, approximate=True, num_threads=2)
    alone = [shared.search({"E8": row}, 5, approximate=True) for row in batch]
    assert found.hits == alone
    assert found.rows_read.tolist() == [hits.rows_read for hits in alone]
    assert shared.search_many({"E8": batch}, 5).rows_read.tolist() == [COUNT] * len(batch)


def test_hits_can_be_sent_to_another_process(shared):
    hits = shared.search(memory(QUERY), approximate=True)
    again = pickle.loads(pickle.dumps(hits))
    assert (again, again.rows_read) == (hits, hits.rows_read)


def test_guides_follow_writes_and_are_extended(store, made):
    store.search(memory(QUERY), approximate=True)
    for row in range(COUNT, COUNT + 60):
        store.store(IDS[row], memory(row))
    assert store.search(memory(COUNT + 5), 1, approximate=True)[0].id == IDS[COUNT + 5]
    store.delete(IDS[COUNT + 5])
    store.store(IDS[7], memory(QUERY + 1))
    assert store.search(memory(QUERY + 1), 1, approximate=True)[0].id == IDS[7]
    assert IDS[COUNT + 5] not in {
        hit.id for hit in store.search(memory(COUNT + 5), 50, approximate=True)
    }
    assert recall(store) >= 0.98
    assert made == [COUNT]


def test_so_many_rows_may_be_deleted_that_others_are_found(store, made):
    query, k = memory(QUERY), 20
    store.search(query, approximate=True)
    gone = {hit.id for hit in store.search(query, 300)}
    store.delete_many(gone)
    near = store.search(query, k, approximate=True)
    assert len(near) == k
    assert not gone & {hit.id for hit in near}
    assert made == [COUNT]


def test_guides_stand_in_the_files_of_columns(path, made):
    with FingerprintStore.open(path) as store:
        expected = store.search(memory(QUERY), approximate=True)
        assert column_path(path, ModelId.parse("E8")) in store.save_columns()
    assert sorted(made) == [COUNT]
    with FingerprintStore.open(path, read_only=True) as store:
        assert store.search(memory(QUERY), approximate=True) == expected
        (guide,) = store._columns.get(ModelId.parse("E8")).guides
    assert isinstance(guide, FirstPass)
    assert made == [COUNT]
    assert not guide.blocks.flags.owndata


def test_files_without_guides_are_read(path, made):
    with FingerprintStore.open(path) as store:
        store.save_columns(["E8"], guides=False)
    assert made == []
    arrays, about = read_arrays(column_path(path, ModelId.parse("E8")), FORMAT, VERSION)
    assert "guides" not in about
    assert set(arrays) == {"0.keys", "0.codes", "0.scales", "0.inverse_norms"}
    with FingerprintStore.open(path) as store:
        assert recall(store) >= 0.98
    assert made == [COUNT]


ALTERATIONS = {
    "gone": lambda arrays, about: arrays.pop("0.guide.centre"),
    "more": lambda arrays, about: arrays.update({"0.guide.more": np.zeros(3)}),
    "of other rows": lambda arrays, about: arrays.update(
        {"0.guide.blocks": arrays["0.guide.blocks"][:-1]}
    ),
    "far": lambda arrays, about: arrays["0.guide.centre"].fill(1e30),
    "none": lambda arrays, about: arrays["0.guide.made_of"].fill(0),
    "unknown": lambda arrays, about: about.update(guides=["another"]),
    "no name": lambda arrays, about: about.update(guides=[3]),
    "of no part": lambda arrays, about: about.update(guides=[]),
    "no list": lambda arrays, about: about.update(guides=5),
}


@pytest.fixture(scope="module")
def altered(original, tmp_path_factory):
    """Return a function: the hits of a store whose column file a change was made to."""
    path = shutil.copytree(original, tmp_path_factory.mktemp("altered") / "s")
    file = column_path(path, ModelId.parse("E8"))
    with FingerprintStore.open(path) as store:
        store.save_columns(["E8"])
    whole, about = read_arrays(file, FORMAT, VERSION)
    whole = {name: one.copy() for name, one in whole.items()}

    def found(change):
        arrays, changed = {name: one.copy() for name, one in whole.items()}, dict(about)
        change(arrays, changed)
        write_arrays(file, arrays, changed)
        with FingerprintStore.open(path, read_only=True) as store:
            return store.search(memory(QUERY), approximate=True)

    return found


@pytest.mark.parametrize("change", ALTERATIONS.values(), ids=ALTERATIONS)
def test_a_guide_that_is_not_right_is_made_anew(altered, made, change):
    expected = altered(lambda arrays, about: None)
    del made[:]
    assert altered(change) == expected
    assert made == [COUNT]


def test_a_mapped_guide_whose_file_is_cut_short_is_made_anew(path):
    with FingerprintStore.open(path) as store:
        store.save_columns(["E8"])
    with FingerprintStore.open(path, read_only=True) as store:
        expected = store.search(memory(QUERY), approximate=True)
        os.truncate(column_path(path, ModelId.parse("E8")), 200)
        assert store.search(memory(QUERY), approximate=True) == expected


def test_a_guide_that_was_made_is_worth_a_new_file(path, monkeypatch):
    monkeypatch.setattr("cgcython.search.columns.LARGE", 100)
    file = column_path(path, ModelId.parse("E8"))
    with FingerprintStore.open(path) as store:
        store.save_columns(["E8"], guides=False)
    before = file.stat().st_size
    with FingerprintStore.open(path) as store:
        store.search(memory(QUERY), approximate=True)
    assert file.stat().st_size > before + COUNT * 40
