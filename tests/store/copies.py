"""Stores to be copied, and all that they keep."""

from uuid import UUID

from cgcython.search import FingerprintStore
from cgcython.store.copy_tally import shared_notes
from cgcython.store.opening import open_keeper

COUNT = 300
KINDS = [lambda n: n, str, lambda n: UUID(int=n << 100), lambda n: "x" * 300 + str(n), lambda n: -n]


def fill(path, memories, count=COUNT, trashed=50):
    """Make a store of records of two generations, some of them in the trash, and close it."""
    with FingerprintStore.open(path, memories.codebooks, memories.profile) as store:
        ids = [KINDS[n % len(KINDS)](n + 1) for n in range(count)]
        rows = [(one, memories.make(n % 40), {"n": n}) for n, one in enumerate(ids)]
        store.store_many(rows[: count // 2])
        store.use_codebooks(memories.other_codebooks)
        store.store_many(rows[count // 2 :])
        store.delete_many(ids[: 6 * trashed : 6], soft=True)
        store.store(ids[0], memories.make(99), timestamp=5)  # there and in the trash
        store.update(ids[1], {"E9": None})
    return ids


def content(place):
    """Return all that a store keeps, read from its keeper."""
    keeper, profile = open_keeper(place, None, read_only=True, create=False)
    keeper.add_embedders([*map(int, profile.storable)])
    try:
        stripes = range(keeper.stripes())
        records = {key: one for n in stripes for key, one in keeper.scan_records(n)}
        gone = {key: one for n in stripes for key, one in keeper.scan_gone(n)}
        return records, gone, shared_notes(keeper)
    finally:
        keeper.close()
