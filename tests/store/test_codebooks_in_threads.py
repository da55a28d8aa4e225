"""Threads that write, search and follow go on while others change, use up and drop codebooks."""

import sys
import threading
import time
from uuid import UUID

import pytest

from cgcython.errors import CodebookMissing
from cgcython.search import FingerprintStore

COUNT, SECONDS = 40, 1.5


@pytest.fixture
def store(memories, tmp_path):
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    with FingerprintStore.open(tmp_path / "s", memories.codebooks, memories.profile) as store:
        store.store_many((UUID(int=i + 1), memories.make(i)) for i in range(COUNT))
        yield store
    sys.setswitchinterval(before)


def failures(*calls):
    """Return what comes of calls that threads make again and again for a while."""
    until, found = time.monotonic() + SECONDS, []

    def work(call):
        number = 0
        try:
            while time.monotonic() < until and not found:
                call(number)
                number += 1
        except BaseException as error:
            found.append(repr(error))

    threads = [threading.Thread(target=work, args=(call,), daemon=True) for call in calls]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    return found + ["hangs" for one in threads if one.is_alive()]


def test_nothing_is_lost_and_nothing_hangs(store, memories):
    books = [memories.codebooks, memories.other_codebooks]
    found = failures(
        lambda n: store.use_codebooks(books[n % 2]),
        lambda n: store.reencode("E1", *books[n % 2].values()),
        lambda n: store.drop_codebooks(),
        lambda n: store.store(UUID(int=n % COUNT + 1), memories.make(n % 9)),
        lambda n: store.store_many([(UUID(int=n % COUNT + 1), memories.make(n % 9))]),
        lambda n: store.update(UUID(int=n % COUNT + 1), memories.make(n % 9, ["E1"])),
        lambda n: store.search(memories.make(n % 9), k=3),
        lambda n: store.retrieve(UUID(int=n % COUNT + 1)),
    )
    assert found == []
    assert store.verify().records == COUNT
    assert all(store.retrieve_many(list(store)))


def test_a_follower_searches_while_it_catches_up(store, memories):
    books = [memories.codebooks, memories.other_codebooks]
    with FingerprintStore.open(store.path, follow=True) as follower:
        found = failures(
            lambda n: store.use_codebooks(books[n % 2]),
            lambda n: store.store(UUID(int=n % COUNT + 1), memories.make(n % 9)),
            lambda n: follower.catch_up(),
            lambda n: follower.search(memories.make(n % 9), k=3),
        )
        assert found == []


def test_a_record_whose_codebook_is_gone_is_refused_for_ever(store, memories):
    record = memories.make(1).encode(store.router)
    store.reencode("E1", *memories.other_codebooks.values())
    store.drop_codebooks()
    with pytest.raises(CodebookMissing):
        store.store_quantized([(UUID(int=1), record)])


def test_a_record_is_encoded_anew_where_its_codebook_was_dropped_meanwhile(store, memories):
    kept = store.store_quantized

    def drop_first(*arguments, **named):
        store.store_quantized = kept
        records = [list(items) for items in arguments]
        store.reencode("E1", *memories.other_codebooks.values())
        store.drop_codebooks()
        kept(*records, **named)

    for write in (
        lambda: store.store(UUID(int=1), memories.make(1)),
        lambda: store.store_many([(UUID(int=1), memories.make(1))]),
    ):
        store.use_codebooks(memories.codebooks)
        store.store_quantized = drop_first
        write()
        assert store.retrieve(UUID(int=1)) is not None


def test_a_reencoding_ends_where_another_codebook_takes_over(store, memories):
    (other,), (first,) = memories.other_codebooks.values(), memories.codebooks.values()

    def take_over(_):
        store.use_codebooks({"E1": first})

    assert store.reencode("E1", other, batch_size=10, progress=take_over).records == 10
    store.verify()
