"""A store goes round all keepers and comes back as it was; of 5,000 records with --whole."""

import threading
import time
from itertools import pairwise

import pytest
from keepers.contract.cases import KEEPERS
from store.copies import content, fill

from cgcython.errors import StoreUnavailable
from cgcython.search import FingerprintStore
from cgcython.store import copying
from cgcython.store.copying import copy_store

pytestmark = pytest.mark.keepers
SERVERS = [one for one in ("cql", "postgres") if one in KEEPERS]


def test_a_store_that_goes_round_comes_back_as_it_was(memories, tmp_path, request):
    count = 5000 if request.config.getoption("--whole") else 500
    fill(tmp_path / "first", memories, count, trashed=count // 100)
    places = [request.getfixturevalue(f"{one}_place")() for one in SERVERS]
    route, digests = [tmp_path / "first", *places, tmp_path / "last"], set()
    for source, target in pairwise(route):
        start = time.perf_counter()
        found = copy_store(source, target)
        print(f"{target}: {found.records / (time.perf_counter() - start):.0f} records a second")
        assert (found.records, found.trashed) == (count - count // 100 + 1, count // 100)
        assert content(target) == content(tmp_path / "first")
        digests.add(found.digest)
    assert len(digests) == 1
    with FingerprintStore.open(tmp_path / "last") as store:
        assert store.verify().records == found.records
        assert [len(ids) for ids in store.statistics().codebooks.values()] == [2]


@pytest.mark.parametrize("server", SERVERS)
def test_an_interrupted_copy_goes_on(memories, tmp_path, request, monkeypatch, server):
    """To a server and back, each interrupted at its third batch; written to in between."""
    fill(tmp_path / "first", memories)
    place = request.getfixturevalue(f"{server}_place")()
    monkeypatch.setattr(copying, "BATCH", 32)
    monkeypatch.setattr(copying, "SAVED_EVERY", 0)
    told = []

    def stop(count):
        told.append(count)
        if len(told) % 3 == 0:
            raise KeyboardInterrupt

    for source, target in ((tmp_path / "first", place), (place, tmp_path / "last")):
        with pytest.raises(KeyboardInterrupt):
            copy_store(source, target, progress=stop)
        with pytest.raises(StoreUnavailable, match="unfinished copy"):
            FingerprintStore.open(target)
        with FingerprintStore.open(source) as store:
            store.store(f"later/{target}"[-30:], memories.make(5), metadata={"later": True})
            store.delete_many(list(store)[:9], soft=True)
            store.purge(older_than=3600)
        copy_store(source, target)
        assert content(target) == content(source)


@pytest.mark.parametrize("server", SERVERS)
def test_a_copy_beside_a_writer_is_whole_or_told_to_be_none(memories, tmp_path, request, server):
    """Batches of ten are written without a pause; a keeper of moments copies whole ones."""
    place = request.getfixturevalue(f"{server}_place")()
    record, stop, written = memories.make(1, ["E2", "E9"]), threading.Event(), []
    with FingerprintStore.open(place, memories.codebooks, memories.profile) as store:
        store.store_many((one, record) for one in range(200))

        def write():
            while not stop.is_set():
                first = 1000 + 10 * len(written)
                store.store_many((one, record) for one in range(first, first + 10))
                store.delete(len(written), soft=True)
                written.append(first)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            copy_store(place, tmp_path / "beside")
            told = None
        except StoreUnavailable as error:
            told = str(error)
        finally:
            stop.set()
            writer.join()
        assert written
        if told:
            assert "stop what writes" in told
            assert not KEEPERS[server].frozen
            copy_store(place, tmp_path / "beside")
            assert content(tmp_path / "beside") == content(place)
        elif KEEPERS[server].frozen:
            with FingerprintStore.open(tmp_path / "beside") as copy:
                kept = [one for one in copy if one >= 1000]
                assert kept == list(range(1000, 1000 + len(kept)))
                assert len(kept) % 10 == 0
