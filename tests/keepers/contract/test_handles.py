"""Stores are opened anew, read beside a writer, shared by threads, closed and forked."""

import asyncio
import os
import threading
from contextlib import suppress
from uuid import UUID

import pytest
from keepers.contract.cases import IDS
from memories import make_codebook

from cgcython.errors import CodebookMissing, InvalidInput, StoreUnavailable

ONE, TWO, THREE = IDS[:3]
NEW = UUID(int=2**128 - 1)

CALLS = {
    "store": lambda store, one: store.store(NEW, one),
    "store_many": lambda store, one: store.store_many([(NEW, one)]),
    "store_quantized": lambda store, one: store.store_quantized([(NEW, one.encode(store.router))]),
    "add": lambda store, one: store.add([NEW], {"E9": [one["E9"]]}),
    "update": lambda store, one: store.update(ONE, {"E9": one["E9"]}),
    "delete": lambda store, one: store.delete(ONE),
    "delete_many": lambda store, one: store.delete_many([ONE], soft=True),
    "delete_where": lambda store, one: store.delete_where({"n": 0}),
    "restore": lambda store, one: store.restore("none"),
    "purge": lambda store, one: store.purge(),
    "drop_codebooks": lambda store, one: store.drop_codebooks(),
    "reencode": lambda store, one: store.reencode("E1", make_codebook(3)),
    "save_columns": lambda store, one: store.save_columns(),
}
READS = {
    "retrieve": lambda store, one: store.retrieve(ONE),
    "retrieve_many": lambda store, one: store.retrieve_many([ONE]),
    "quantized": lambda store, one: store.quantized(ONE),
    "info": lambda store, one: store.info(ONE),
    "infos": lambda store, one: list(store.infos()),
    "ids": lambda store, one: list(store),
    "ids where": lambda store, one: list(store.ids(where={"n": 1})),
    "scan": lambda store, one: list(store.scan("E9")),
    "search": lambda store, one: store.search(one, k=3),
    "search_many": lambda store, one: store.search_many({"E9": [one["E9"]]}),
    "prepared": lambda store, one: store.prepared([ONE]),
    "trash": lambda store, one: store.trash(),
    "len": lambda store, one: len(store),
    "contains": lambda store, one: ONE in store,
    "size": lambda store, one: store.get_stored_size(ONE),
    "position": lambda store, one: store.journal.position(),
    "changes_since": lambda store, one: store.journal.changes_since(0),
    "statistics": lambda store, one: store.statistics(),
    "verify": lambda store, one: store.verify(),
}


def refusals(calls, store, one, message):
    """Return the calls that do not raise StoreUnavailable with a message."""
    wrong = {}
    for name, call in calls.items():
        try:
            wrong[name] = call(store, one)
        except StoreUnavailable as error:
            if message not in str(error):
                wrong[name] = str(error)
    return wrong


def test_a_store_keeps_everything_until_it_is_opened_again(filled, memories, open_store):
    filled.delete(TWO, soft=True)
    before = {one: (filled.quantized(one), filled.info(one)) for one in IDS}
    trash, hits = filled.trash(), filled.search(memories.make(50), k=30)
    filled.close()
    again = open_store(codebooks=None, profile=None)
    assert again.profile == memories.profile
    assert {one: (again.quantized(one), again.info(one)) for one in IDS} == before
    assert again.trash() == trash
    assert again.search(memories.make(50), k=30) == hits
    again.store(NEW, memories.make(1))
    assert again.quantized(NEW)["E1"] == memories.make(1).encode(memories.router)["E1"]


def test_a_store_is_made_only_when_that_is_asked(open_store):
    for how in ({"create": False}, {"read_only": True}, {"follow": True}):
        with pytest.raises(StoreUnavailable, match="no store"):
            open_store(codebooks=None, profile=None, **how)
    open_store().close()
    open_store(create=False).close()


def test_another_profile_is_refused_and_changes_nothing(store, open_store, memories):
    store.close()
    with pytest.raises(StoreUnavailable, match="another profile"):
        open_store(codebooks=None, profile="default")
    assert open_store(codebooks=None, profile=None).profile == memories.profile


def test_without_a_codebook_what_needs_none_is_stored(open_store, memories):
    store = open_store(codebooks=None)
    with pytest.raises(CodebookMissing, match="cgcython train"):
        store.store(ONE, memories.make(1))
    store.store(ONE, memories.make(1, ["E9"]))
    assert list(store) == [ONE]


@pytest.mark.parametrize("durability", ["wal", "sync"])
def test_what_was_written_is_there_with_either_durability(open_store, memories, durability):
    open_store(durability=durability).store(ONE, memories.make(1))
    with pytest.raises(InvalidInput, match="durability"):
        open_store(durability="none")


def test_a_reader_reads_everything_and_writes_nothing(filled, memories, open_store):
    filled.delete(TWO, soft=True)
    reader = open_store(codebooks=None, profile=None, read_only=True)
    assert reader.search(memories.make(3), k=30) == filled.search(memories.make(3), k=30)
    assert reader.retrieve(ONE) == filled.retrieve(ONE)
    assert set(reader.ids(where={"n": {"$lt": 5}})) == {ONE, *IDS[2:5]}
    assert list(reader.trash()) == [TWO]
    assert reader.verify().records == 29
    assert refusals(CALLS, reader, memories.make(1), "read_only") == {}


def test_a_second_writer_is_refused_or_writes_too(filled, memories, open_store, promises):
    if promises.one_writer:
        with pytest.raises(StoreUnavailable, match="this process"):
            open_store(codebooks=None, profile=None)
        return
    other = open_store(codebooks=None, profile=None)
    other.store(NEW, memories.make(77), metadata={"n": 77})
    filled.update(ONE, {"E9": memories.make(78)["E9"]})
    other.delete(TWO, soft=True)
    for store in (filled, other):
        assert store.search(memories.make(77), k=1)[0].id == NEW
        assert store.search(memories.make(78, ["E9"]), k=1)[0].id == ONE
        assert list(store.ids(where={"n": 77})) == [NEW]
        assert list(store.trash()) == [TWO]
    assert filled.restore(TWO) is True
    assert len(other) == 31


def test_a_handle_beside_the_writer_sees_what_it_writes(filled, memories, beside):
    other = beside()
    filled.store(NEW, memories.make(77))
    filled.delete_many([ONE, TWO])
    filled.update(THREE, {}, metadata={"n": 78})
    changed = other.catch_up()
    assert changed is None or set(changed) >= {ONE, TWO, THREE, NEW}
    assert set(other) == {*IDS[2:], NEW}
    assert other.retrieve(NEW) == filled.retrieve(NEW)
    assert other.info(THREE).metadata == {"n": 78}


def test_a_snapshot_is_one_moment_or_is_refused(filled, memories, promises):
    if not promises.frozen:
        with pytest.raises(StoreUnavailable, match="moment"), filled.snapshot():
            pass
        return
    before, position = filled.retrieve(ONE), filled.journal.position()
    with filled.snapshot() as view:
        filled.store(ONE, memories.make(7))
        filled.delete(TWO)
        filled.store(NEW, memories.make(3))
        assert view.retrieve(ONE) == before
        assert view.quantized(TWO) is not None
        assert view.retrieve(NEW) is None
        assert (sorted(view), len(view)) == (IDS, 30)
        assert len(list(view.scan("E9"))) == 30
        assert view.journal.position() == position
    assert set(filled) == {ONE, *IDS[2:], NEW}


def test_a_closed_store_refuses_every_call(filled, memories):
    rows = filled.scan("E9"), iter(filled), filled.infos()
    for one in rows:
        next(one)
    filled.delete(TWO, soft=True)
    filled.close()
    filled.close()
    assert refusals(CALLS | READS, filled, memories.make(1), "closed") == {}
    for one in rows:
        with pytest.raises(StoreUnavailable, match="closed"):
            list(one)
    assert "closed" in repr(filled)


def test_the_child_of_a_fork_is_refused_and_leaves(filled, memories):
    filled.delete(TWO, soft=True)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            wrong = refusals(CALLS | READS, filled, memories.make(1), "before a fork")
            filled.close()
            os.write(writer, repr(wrong).encode()[:4000])
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as told:
        assert told.read() == b"{}"
    assert os.waitpid(child, 0)[1] == 0
    filled.store(NEW, memories.make(1))
    assert len(filled) == 30


def test_threads_share_a_store(filled, memories):
    failures = []

    def work(number):
        try:
            for turn in range(6):
                one = IDS[(number + turn) % 12]
                filled.store(one, memories.make(number))
                filled.update(one, {"E2": memories.make(turn)["E2"]})
                filled.search(memories.make(turn), k=3)
                filled.delete(IDS[12 + number], soft=True)
                filled.restore(IDS[12 + number])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert failures == []
    assert filled.verify().records == len(filled) == 30
    assert filled.trash() == {}


def test_readers_beside_a_writing_thread_never_see_half_a_record(store, memories):
    versions = [memories.make(seed, ["E2", "E9"]).encode(memories.router) for seed in range(3)]
    store.store_quantized([(ONE, versions[0])])
    stop = threading.Event()

    def write():
        while not stop.is_set():
            for one in versions:
                store.store_quantized([(ONE, one)])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(200):
            assert store.quantized(ONE) in versions
            assert len(store.retrieve(ONE)) == 2
    finally:
        stop.set()
        writer.join()


def test_tasks_share_a_store(filled, memories):
    async def work(number):
        await asyncio.to_thread(filled.store, f"task/{number}", memories.make(number))
        hits = await asyncio.to_thread(filled.search, memories.make(number), k=1)
        return await asyncio.to_thread(filled.retrieve, f"task/{number}"), hits[0].similarity

    async def run_all():
        return await asyncio.gather(*map(work, range(100, 108)))

    for number, (found, similarity) in zip(range(100, 108), asyncio.run(run_all())):
        assert found == memories.make(number).encode(memories.router).decode(memories.router)
        assert similarity > 0.99
    assert len(filled) == 38


def test_a_write_of_a_cancelled_task_is_whole_or_not_there(store, memories):
    async def run_all():
        for number in range(20):
            items = [(10 * number + i, memories.make(i)) for i in range(10)]
            with suppress(TimeoutError):
                async with asyncio.timeout(0.0005 * number):
                    await asyncio.to_thread(store.store_many, items)

    asyncio.run(run_all())
    ids = list(store)
    assert {sum(1 for one in ids if one // 10 == number) for number in range(20)} <= {0, 10}
    assert store.verify().records == len(ids) > 0
