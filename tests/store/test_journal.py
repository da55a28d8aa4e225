"""The journal of a store names exactly what changed since a position, or says that it cannot."""

from uuid import UUID

import pytest

from cgcython.base import ModelId
from cgcython.errors import InvalidInput
from cgcython.store import RecordStore
from cgcython.store.keepers.rocksdb import journal

ONE, TWO, THREE = (UUID(int=i) for i in (1, 2, 3))


@pytest.fixture
def store(memories, tmp_path):
    with RecordStore.open(tmp_path / "s", memories.codebooks, memories.profile) as store:
        yield store


def keys(*ids):
    return [one.bytes for one in ids]


def test_a_new_store_has_changed_nothing(store):
    assert store.journal.position() == 0
    assert store.journal.changes_since(0) == []


def test_every_write_is_noted_once_and_in_order(store, memories):
    store.store_many((one, memories.make(one.int)) for one in (THREE, ONE))
    middle = store.journal.position()
    store.store(TWO, memories.make(2))
    store.delete(ONE)
    store.store(TWO, memories.make(3))
    assert store.journal.changes_since(0) == keys(ONE, TWO, THREE)
    assert store.journal.changes_since(middle) == keys(ONE, TWO)
    assert store.journal.changes_since(store.journal.position()) == []
    assert store.journal.position() > middle


def test_a_write_that_fails_is_not_noted(store, memories, monkeypatch):
    store.store(ONE, memories.make(1))
    before = store.journal.position()
    monkeypatch.setattr(
        store._keeper.files, "commit", lambda *_: (_ for _ in ()).throw(OSError("full"))
    )
    with pytest.raises(OSError, match="full"):
        store.store(TWO, memories.make(2))
    monkeypatch.undo()
    assert store.journal.position() == before
    store.store(THREE, memories.make(3))
    assert store.journal.changes_since(before) == keys(THREE)


def test_changes_of_one_embedder_are_told_apart(store, memories):
    store.store(ONE, memories.make(1, ["E1", "E9"]))
    store.store(TWO, memories.make(2, ["E2"]))
    before = store.journal.position()
    store.store(ONE, memories.make(1, ["E2"]))
    assert store.journal.changes_since(0, "E9") == keys(ONE)
    assert store.journal.changes_since(0, ModelId.TEMPORAL_RECENT) == keys(ONE, TWO)
    assert store.journal.changes_since(before, "E1") == keys(ONE)  # it lost that one
    assert store.journal.changes_since(before, "E6") == []


def test_it_goes_on_after_reopening(store, memories):
    store.store(ONE, memories.make(1))
    before = store.journal.position()
    store.close()
    with RecordStore.open(store.path) as again:
        assert again.journal.position() == before
        again.store(TWO, memories.make(2))
        assert again.journal.changes_since(before) == keys(TWO)
    with RecordStore.open(store.path, read_only=True) as reader:
        assert reader.journal.changes_since(before) == keys(TWO)


def test_what_was_truncated_is_unknown_and_the_rest_is_not(store, memories):
    positions = [0]
    for one in (ONE, TWO, THREE):
        store.store(one, memories.make(one.int))
        positions.append(store.journal.position())
    store._keeper._journal.truncate(positions[2])
    found = [store.journal.changes_since(one) for one in positions]
    assert found == [None, None, keys(THREE), []]
    store._keeper._journal.truncate(positions[3])
    assert store.journal.position() == positions[3]
    store.store(ONE, memories.make(4))
    assert store.journal.changes_since(positions[3]) == keys(ONE)
    assert store.journal.changes_since(positions[2]) is None


def test_two_copies_of_a_store_do_not_pass_for_each_other(store, memories, tmp_path):
    store.store(ONE, memories.make(1))
    common = store.journal.position()
    store.backup(tmp_path / "copy")
    store.store(TWO, memories.make(2))
    with RecordStore.open(tmp_path / "copy") as copy:
        copy.store(THREE, memories.make(3))
        assert copy.journal.changes_since(common) == keys(THREE)
        assert copy.journal.changes_since(store.journal.position()) is None
    assert store.journal.changes_since(common) == keys(TWO)


def test_positions_of_the_future_are_unknown(store, memories):
    store.store(ONE, memories.make(1))
    assert store.journal.changes_since(store.journal.position() + 1) is None


@pytest.mark.parametrize("position", [-1, 2**64, 1.5, "1", None])
def test_what_is_no_position_is_refused(store, position):
    with pytest.raises(InvalidInput, match="position"):
        store.journal.changes_since(position)


def test_it_keeps_the_latest_changes_and_forgets_older_ones(store, memories, monkeypatch):
    monkeypatch.setattr(journal, "KEPT_CHANGES", 1000)
    ids = [UUID(int=i) for i in range(3)]
    positions = []
    for _ in range(1100):
        changes = {one.bytes: 1 for one in ids}
        store._keeper._journal.commit(store._keeper.files.new_batch(), changes)
        positions.append(store.journal.position())
    known = [store.journal.changes_since(one) is not None for one in positions]
    # Cut at the write 1024, to the last 334 of 3 changes each.
    assert known.index(True) == 1024 - 335
    assert all(known[known.index(True) :])


def test_a_journal_that_begins_anew_knows_no_earlier_position(store, memories):
    store.store(ONE, memories.make(1))
    before = store.journal.position()
    store._keeper._journal.reset()
    assert store.journal.changes_since(before) is None
    assert store.journal.position() > before
    store.store(TWO, memories.make(2))
    assert store.journal.changes_since(0) is None


def test_a_snapshot_stays_as_it_was_while_writes_go_on(store, memories):
    store.store_many((one, memories.make(one.int)) for one in (ONE, TWO))
    before, position = store.retrieve(ONE), store.journal.position()
    with store.snapshot() as view:
        store.store(ONE, memories.make(7))
        store.delete(TWO)
        store.store(THREE, memories.make(3))
        assert view.retrieve(ONE) == before
        assert view.quantized(TWO) is not None
        assert view.retrieve(THREE) is None
        assert (list(view), len(view)) == ([ONE, TWO], 2)
        assert [key for key, _ in view.scan("E9")] == keys(ONE, TWO)
        assert view.get_stored_size(THREE) is None
        assert view.journal.position() == position
        assert view.journal.changes_since(position) == []
        assert store.journal.changes_since(position) == keys(ONE, TWO, THREE)


def test_closing_a_store_ends_its_snapshots(store, memories, tmp_path):
    store.store(ONE, memories.make(1))
    with store.snapshot() as view:
        store.close()
        with pytest.raises(Exception, match="closed"):
            view.retrieve(ONE)
        RecordStore.open(store.path).close()


def test_what_is_no_profile_is_refused_when_it_is_given(store):
    with pytest.raises(InvalidInput, match="profile: expected"):
        store.journal.use_profile(3)
    assert store.journal.changes_since(store.journal.position(), "E1") == []
