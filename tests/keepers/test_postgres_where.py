"""PostgreSQL answers conditions on metadata as the index does, and as their definition says."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keepers.postgres_stores import added, fill, head, key
from search.metadata.memory_store import MemoryStore
from search.metadata.plain_where import holds
from search.metadata.strategies import FEW_METADATA, FEW_WHERE, METADATA, WHERE

from cgcython.search.keys import whole_keys
from cgcython.search.metadata.index import MetadataIndex
from cgcython.store.keeper import Change
from cgcython.store.where.conditions import parsed

pytestmark = pytest.mark.keepers
ONE_KEEPER = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def keeper(open_postgres):
    return open_postgres()


def replace_all(keeper, metadata):
    """Have a keeper keep records of some metadata, and no others."""
    there = list(keeper.scan_heads())
    keeper.write([Change(one, None, {}, before, ()) for one, before in there])
    keeper.write(
        [added(n, head=head(n, one), sections={0: b"a section"}) for n, one in enumerate(metadata)]
    )


def by_index(metadata, where):
    """Return the keys that the index of a folder answers with."""
    store = MemoryStore()
    for number, one in enumerate(metadata):
        store.put(key(number), one)
    index = MetadataIndex(store, Path("nowhere"), is_writable=False)
    keys = list(whole_keys(index.keys(parsed(where))))
    index.close()
    return keys


def require_as_defined(keeper, metadata, conditions):
    replace_all(keeper, metadata)
    for where in conditions:
        expected = sorted(key(n) for n, one in enumerate(metadata) if holds(where, one))
        assert keeper.keys_where(parsed(where)) == expected == by_index(metadata, where)


@ONE_KEEPER
@given(st.lists(METADATA, max_size=12), st.lists(WHERE, min_size=1, max_size=6))
def test_every_condition_means_what_it_means_to_an_index(keeper, metadata, conditions):
    require_as_defined(keeper, metadata, conditions)


@ONE_KEEPER
@given(st.lists(FEW_METADATA, min_size=6, max_size=12), st.lists(FEW_WHERE, min_size=8, max_size=8))
def test_conditions_on_few_values_mean_what_they_mean_to_an_index(keeper, metadata, conditions):
    require_as_defined(keeper, metadata, conditions)


@pytest.mark.parametrize(
    "values", [[1, 2.5, "a", "a\0", None, True], [*range(50), "b", 1e300, 10**400], []]
)
def test_one_of_few_and_of_many_values_is_found_as_by_an_index(keeper, values):
    found = [1, 2.5, 3.5, "a", "a\0b", None, True, 49, [7, "x"], {"b": 1}]
    metadata = [{}, *({"a": one} for one in [*found, 1e300, 10**401, -(10**401)])]
    replace_all(keeper, metadata)
    for where in ({"a": {"$in": values}}, {"a": {"$nin": values}}, {"a": {"$gt": 1e300}}):
        assert keeper.keys_where(parsed(where)) == by_index(metadata, where)


def test_metadata_of_a_record_that_is_replaced_or_gone_count_no_more(keeper):
    fill(keeper, [1])
    keeper.write([added(1, head=head(2, {"a": 1}), before=head(1))])
    assert keeper.keys_where(parsed({"a": 1})) == [key(1)]
    removed = Change(key(1), None, {}, head(2, {"a": 1}), (), gone=b"trash")
    keeper.write([removed])
    assert keeper.keys_where(parsed({"a": 1})) == keeper.keys_where(parsed({})) == []


def test_a_head_that_cannot_be_read_is_left_to_an_index(keeper):
    keeper.write([added(1, head=b"no manifest"), added(2, head=head(2, {"a": 1}))])
    assert keeper.keys_where(parsed({"a": 1})) is None
    keeper.write([added(1, before=b"no manifest")])
    assert keeper.keys_where(parsed({"a": 1})) == [key(2)]


def test_a_moment_answers_for_its_records(keeper):
    with keeper.moment() as then:
        keeper.write([added(1, head=head(1, {"a": 1}))])
        assert then.keys_where(parsed({"a": 1})) == []
