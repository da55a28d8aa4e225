"""The index answers as the plain definition does, and stays in step with every write."""

import json
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from search.metadata.memory_store import MemoryStore
from search.metadata.plain_where import holds
from search.metadata.strategies import (
    FEW_METADATA,
    FEW_WHERE,
    LONG,
    METADATA,
    WHERE,
)

from cgcython.search.keys import whole_keys
from cgcython.search.metadata import filling
from cgcython.search.metadata import index as index_module
from cgcython.search.metadata.index import MetadataIndex
from cgcython.store.ids import as_key
from cgcython.store.where.conditions import parsed
from cgcython.store.where.entries import KEPT


def key_of(number):
    """Return the key of an id of one of the kinds that there are."""
    kinds = UUID(int=number << 8), number, f"doc-{number}", "zeros" + "\0" * number
    return as_key(kinds[number % len(kinds)])


def expected(store, where):
    texts = {key: json.loads(text) if text else {} for key, text in store.texts.items()}
    return sorted(key for key, metadata in texts.items() if holds(where, metadata))


def answer(index, where):
    keys = index.keys(parsed(where))
    assert np.all(keys[1:] > keys[:-1])
    return sorted(whole_keys(keys))


def require_as_defined(records, conditions):
    store = MemoryStore()
    for number, metadata in enumerate(records):
        store.put(key_of(number), metadata)
    index = MetadataIndex(store, Path("nowhere"), is_writable=False)
    for where in conditions:
        assert answer(index, where) == expected(store, where)
    index.close()


@settings(max_examples=60, deadline=None)
@given(st.lists(METADATA, max_size=12), st.lists(WHERE, min_size=1, max_size=6))
def test_every_condition_means_what_the_definition_says(records, conditions):
    require_as_defined(records, conditions)


@settings(max_examples=100, deadline=None)
@given(st.lists(FEW_METADATA, min_size=6, max_size=12), st.lists(FEW_WHERE, min_size=8, max_size=8))
def test_conditions_on_few_values_mean_what_the_definition_says(records, conditions):
    require_as_defined(records, conditions)


def test_all_of_some_conditions_is_not_taken_for_any_of_them():
    both = [{"a": 1}, {"b": 1}]
    require_as_defined([{"a": 1}, {"b": 1}, {"a": 1, "b": 1}], [{"$and": both}, {"$or": both}])


@pytest.mark.parametrize(
    ("where", "held", "not_held"),
    [
        ({"a": {"$gt": 1, "$lt": 3}}, [2, [0, 5], [2, 9]], [1, 3, [0, 1], [], "2", None]),
        ({"a": {"$gt": 1, "$lt": "b"}}, [[2, "a"]], [2, "a", [2, "c"], [1, "a"]]),
        ({"a": {"$gte": "a", "$lte": "a"}}, ["a", ["b", "a"]], ["b", 1, True]),
        ({"a": LONG[4]}, [LONG[4], [LONG[4]]], [LONG[5], LONG[4][:KEPT], LONG[4][:-1]]),
        ({"a": [1]}, [[1], [1.0], [[1], 2]], [1, [True], [1, 1]]),
        ({"a": {"b": 1}}, [{"b": 1}, {"b": 1.0}, [{"b": 1}]], [{"b": 1, "c": 2}, {"b": True}]),
        ({"a.b": 1}, [{"b": 1}, {"b": [1]}, [{"c": 1}, {"b": 1}]], [[[{"b": 1}]], {"b": "1"}, 1]),
        ({"a": True}, [True, [True]], [1, 1.0, "true"]),
        ({"a": None}, [None, [None]], [0, "", []]),
        ({"a": {"$in": [2**64, "x"]}}, [2**64, 2.0**64, "x"], [2**63]),
        ({"a": {"$exists": True}}, [None, [], {}, 0], []),
        ({"a": {"$ne": 1}}, [2, None, "1", []], [1, [1, 2], 1.0]),
        ({"a": {"$not": {"$gte": 1}}}, [0, "x", None], [1, [0, 1]]),
    ],
    ids=str,
)
def test_examples_hold_as_they_are_documented(where, held, not_held):
    for value in held:
        assert holds(where, {"a": value})
    for value in not_held:
        assert not holds(where, {"a": value})
    records = [{"a": value} for value in [*held, *not_held]]
    require_as_defined(records, [where])
    require_as_defined([one for one in records if not isinstance(one["a"], list)], [where])


class Following(RuleBasedStateMachine):
    """Writes of all kinds, between filters that are asked again and again."""

    @initialize(batch=st.integers(1, 3))
    def begin(self, batch):
        self.store = MemoryStore()
        self.index = MetadataIndex(self.store, Path("nowhere"), is_writable=False)
        self.asked = [{}]

    @rule(number=st.integers(0, 9), metadata=METADATA)
    def put(self, number, metadata):
        self.store.put(key_of(number), metadata)

    @rule(number=st.integers(0, 9))
    def delete(self, number):
        self.store.delete(key_of(number))

    @rule(where=WHERE)
    def ask(self, where):
        self.asked.append(where)

    @invariant()
    def every_filter_is_as_defined(self):
        for where in self.asked[-3:]:
            assert answer(self.index, where) == expected(self.store, where)

    def teardown(self):
        self.index.close()


TestFollowing = Following.TestCase
TestFollowing.settings = settings(max_examples=20, stateful_step_count=20, deadline=None)


@pytest.fixture
def store():
    made = MemoryStore()
    for number in range(50):
        made.put(key_of(number), {"n": number, "even": number % 2 == 0})
    return made


@pytest.fixture
def index(store):
    with_store = MetadataIndex(store, Path("nowhere"), is_writable=False)
    yield with_store
    with_store.close()


def test_writes_are_followed_without_reading_everything_again(index, store):
    assert len(answer(index, {"even": True})) == 25
    store.put(key_of(3), {"even": True})
    store.delete(key_of(4))
    store.put(key_of(99), {"even": True})
    assert answer(index, {"even": True}) == expected(store, {"even": True})
    assert store.reads_of_all == 1


def test_many_changes_are_read_with_everything_else(index, store, monkeypatch):
    monkeypatch.setattr(index_module, "MOST_CHANGES", 5)
    answer(index, {})
    for number in range(6):
        store.put(key_of(number), {"n": -1})
    assert len(answer(index, {"n": -1})) == 6
    assert store.reads_of_all == 2


def test_a_journal_that_cannot_tell_has_everything_read_again(index, store, monkeypatch):
    answer(index, {})
    store.put(key_of(1), {"n": -1})
    monkeypatch.setattr(store, "changes_since", lambda _: None)
    assert answer(index, {"n": -1}) == [key_of(1)]
    assert store.reads_of_all == 2


def test_rows_of_no_record_are_given_up_in_time(index, store, monkeypatch):
    monkeypatch.setattr("cgcython.search.metadata.rows.SLACK", 10)
    for turn in range(8):
        for number in range(30):
            store.put(key_of(number), {"turn": turn})
        assert len(answer(index, {"turn": turn})) == 30
    assert index._rows.given <= 2 * 50 + 10 + 30


def test_what_is_interrupted_is_taken_up_again(index, store, monkeypatch):
    answer(index, {})
    store.put(key_of(7), {"new": 1})

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("cgcython.search.metadata.rows.Rows.updated", interrupted)
        with pytest.raises(KeyboardInterrupt):
            answer(index, {"new": 1})
    store.put(key_of(8), {"other": 1})
    assert answer(index, {"new": 1}) == [key_of(7)]
    assert answer(index, {"other": 1}) == [key_of(8)]


def test_few_filters_are_remembered(index, monkeypatch):
    monkeypatch.setattr(index_module, "MOST_LEAVES", 3)
    for number in range(10):
        assert answer(index, {"n": number}) == [key_of(number)]
    assert len(index._known) == 3


def test_large_metadata_are_taken_in_small_batches(store, monkeypatch):
    monkeypatch.setattr(filling, "BATCH", 7)
    monkeypatch.setattr(filling, "BATCH_BYTES", 60)
    index = MetadataIndex(store, Path("nowhere"), is_writable=False)
    assert answer(index, {"n": {"$gte": 10}}) == expected(store, {"n": {"$gte": 10}})
    index.close()
