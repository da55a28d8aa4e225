"""A store asks Cassandra for many records at a time, side by side."""

from collections import Counter

import pytest

from cgcython import open_store
from cgcython.store.keepers.cql.connection import Connection

pytestmark = pytest.mark.keepers


@pytest.fixture
def sent(monkeypatch):
    """Return how many requests were sent, and how often the store waited for some."""
    found = Counter()
    for name in ("_attempt", "run", "ask"):
        call = getattr(Connection, name)

        def counted(self, statement, *given, _call=call, _is_bulk=name == "_attempt"):
            found["waits"] += 1
            found["requests"] += len(given[1]) if _is_bulk else 1
            return _call(self, statement, *given)

        monkeypatch.setattr(Connection, name, counted)
    return found


@pytest.fixture
def store(cql_place, memories):
    with open_store(cql_place(), memories.codebooks, memories.profile) as store:
        store.store_many((number, memories.make(number % 20)) for number in range(1000))
        yield store


def test_many_records_are_retrieved_in_one_bulk(store, sent):
    assert len(store.retrieve_many(range(256))) == 256
    assert sent["waits"] <= 2
    assert sent["requests"] <= 32


def test_a_search_after_changes_asks_for_them_in_bulk(store, memories, sent):
    asked = {"E9": memories.make(7)["E9"]}
    store.search(asked)
    sent.clear()
    store.store_many((number, memories.make(number % 19)) for number in range(1000))
    sent.clear()
    assert store.search(asked, k=1)[0].similarity > 0.99
    assert sent["requests"] <= 20 * 1000 / 100
    assert sent["waits"] <= 40
