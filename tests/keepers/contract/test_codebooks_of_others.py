"""Where several handles write, none writes with a codebook that another one dropped."""

import pytest
from keepers.contract.cases import IDS

from cgcython.base import ModelId
from cgcython.errors import CodebookMissing, StoreUnavailable

ONE, TWO, THREE = IDS[:3]


@pytest.fixture
def two(open_store, memories, promises):
    """Return two handles that write, with a record of the first codebook, or skip."""
    first = open_store()
    first.store(ONE, memories.make(1))
    if promises.one_writer:
        with pytest.raises(StoreUnavailable):
            open_store()
        pytest.skip("one handle writes, and no other")
    return first, open_store()


@pytest.fixture
def new(memories):
    return memories.other_codebooks[ModelId.SEMANTIC]


def id_of_e1(store, record_id):
    return store.quantized(record_id, "E1").metadata.codebook_id


def test_a_dropped_codebook_is_not_written_with(two, memories, new, open_store):
    first, second = two
    old = second.quantized(ONE)
    first.reencode("E1", new)
    assert first.drop_codebooks() == [memories.codebooks[ModelId.SEMANTIC].codebook_id]
    second.store(TWO, memories.make(2))
    second.store_many([(THREE, memories.make(3))])
    with pytest.raises(CodebookMissing):
        second.store_quantized([(ONE, old)])
    again = open_store(codebooks=None)
    assert {id_of_e1(again, one) for one in (ONE, TWO, THREE)} == {new.codebook_id}
    assert None not in again.retrieve_many([ONE, TWO, THREE])
    again.verify()


def test_what_is_written_while_codebooks_are_dropped_has_one(two, memories, new, monkeypatch):
    first, second = two
    first.reencode("E1", new)
    needed = first._needed

    def and_then_written():
        found = needed()
        second.store(TWO, memories.make(2))
        return found

    monkeypatch.setattr(first, "_needed", and_then_written)
    assert len(first.drop_codebooks()) == 1
    assert id_of_e1(first, TWO) == new.codebook_id
    assert second.retrieve(TWO) is not None
    first.verify()


def test_a_drop_that_is_interrupted_drops_nothing(two, new, monkeypatch, open_store):
    first, second = two
    first.reencode("E1", new)

    def interrupted():
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(first, "_needed", interrupted)
        with pytest.raises(KeyboardInterrupt):
            first.drop_codebooks()
    assert [len(ids) for ids in open_store(codebooks=None)._shelf.generations().values()] == [2]
    assert len(first.drop_codebooks()) == 1
    assert second.retrieve(ONE) is not None
