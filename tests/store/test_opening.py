"""Stores of earlier formats open for ever; the first writable open brings them to this one."""

import shutil
from pathlib import Path
from uuid import UUID

import pytest

from cgcython.errors import StoreUnavailable
from cgcython.store import RecordStore
from cgcython.store.keepers.rocksdb import Database

GOLDEN = Path(__file__).parents[1] / "golden/v1/store"
ONE = UUID(int=1)


@pytest.fixture
def old(tmp_path):
    return Path(shutil.copytree(GOLDEN, tmp_path / "old"))


def content(path):
    return {
        one.name: one.read_bytes() for one in path.iterdir() if one.suffix in (".sst", ".log")
    } | {"CURRENT": (path / "CURRENT").read_bytes()}


def test_an_old_store_is_read_as_it_is(old):
    before = content(old)
    with RecordStore.open(old, read_only=True) as store:
        assert len(store) > 0
        assert store.retrieve(next(iter(store))) is not None
        assert store.journal.position() == 0
        assert store.journal.changes_since(0) is None
        with store.snapshot() as view:
            assert list(view) == list(store)
    assert content(old) == before


def test_opening_an_old_store_to_write_brings_it_to_this_format(old, memories):
    with RecordStore.open(old, read_only=True) as store:
        before = {one: store.quantized(one) for one in store}
    with RecordStore.open(old) as store:
        assert store._keeper.files.get("meta", b"format") == b"cgcython store 2"
        assert store.journal.changes_since(0) is None
        position = store.journal.position()
        assert {one: store.quantized(one) for one in store} == before
        (first, *_) = before
        store.delete(first)
    with RecordStore.open(old) as store:
        assert store.journal.changes_since(position) == [first.bytes]
        store.verify()


def test_a_store_of_families_yet_unknown_is_refused(old):
    rocksdict = pytest.importorskip("rocksdict")
    RecordStore.open(old).close()
    names = rocksdict.Rdict.list_cf(str(old))
    families = {name: rocksdict.Options(raw_mode=True) for name in names}
    later = rocksdict.Rdict(str(old), rocksdict.Options(raw_mode=True), column_families=families)
    later.create_column_family("later", rocksdict.Options(raw_mode=True)).close()
    later.close()
    with pytest.raises(StoreUnavailable, match="unknown families later"):
        RecordStore.open(old)


def test_an_upgrade_that_was_interrupted_goes_on(old):
    files = Database(old)
    files.add_families()  # and then the process died
    files.close()
    with RecordStore.open(old, read_only=True) as store:
        assert len(store) > 0
    with RecordStore.open(old) as store:
        assert store._keeper.files.get("meta", b"format") == b"cgcython store 2"
        assert store.journal.changes_since(0) is None
        store.verify()
