"""What docs/STORE.md promises, as tests of a store wherever its records lie.

The tests know stores by their public calls alone. `cases.KEEPERS` says which promises a keeper does
not make: there a test asserts what docs/STORE.md says it does in their place. A server's keeper
runs with `-m keepers`; its fixture `NAME_place` returns a function that makes the place of a new
store.
"""

from itertools import count

import pytest
from keepers.contract.cases import IDS, KEEPERS, PARAMS, SERVERS, about

import cgcython


@pytest.fixture(params=PARAMS)
def keeper(request):
    """Return the name of the keeper under test."""
    return request.param


@pytest.fixture
def promises(keeper):
    """Return what the keeper under test promises."""
    return KEEPERS[keeper]


@pytest.fixture
def new_place(keeper, request, tmp_path):
    """Return a function that makes the place of a new store."""
    if keeper in SERVERS:
        return request.getfixturevalue(f"{keeper}_place")
    numbers = count()
    return lambda: tmp_path / f"store-{next(numbers)}"


@pytest.fixture
def place(new_place):
    return new_place()


@pytest.fixture
def open_store(memories, place):
    """Return a function that opens the store at `place`, and close what it opened.

    A new store gets the codebooks and profile of `memories`.
    """
    opened = []

    def open_one(at=place, codebooks=memories.codebooks, profile=memories.profile, **options):
        store = cgcython.open_store(at, codebooks, profile, **options)
        opened.append(store)
        return store

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store):
    return open_store()


@pytest.fixture
def filled(store, memories):
    """Return the store with 30 records that have all embedders and metadata."""
    store.store_many((one, memories.make(n), about(n)) for n, one in enumerate(IDS))
    return store


@pytest.fixture
def beside(store, open_store, promises):
    """Return a function that opens a handle beside `store` as another reader would have it."""
    how = {"follow": True} if promises.one_writer else {}
    return lambda: open_store(codebooks=None, profile=None, **how)
