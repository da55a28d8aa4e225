"""Writers of one record in Cassandra never mix, and a node that is killed loses nothing.

A tenth of what asv_bench/cluster_faults.py does.
"""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "asv_bench"))

from cgcython.store.keepers import cql as keepers

pytestmark = pytest.mark.keepers


@pytest.fixture
def faults():
    import cluster_faults

    return cluster_faults


@pytest.fixture
def url(cql_place, faults):
    url = cql_place()
    keepers.create(url, {}, faults.NUMBERS)
    return url


def test_two_writers_never_mix_a_record_and_no_change_is_missed(url, faults):
    found = faults.duel(lambda: keepers.CqlKeeper(url), 100)
    found.pop("times a writer was second")
    assert found == {"unmixed and followed": 100}


def test_what_was_acknowledged_outlives_a_node_that_is_killed(url, faults, three_nodes):
    found = faults.one_node_killed(three_nodes, url, 2000)
    assert found["records written without the node"] > 500
    kept = found["kept"]
    assert kept > 1000
    assert found["kept by the node that was killed"] == kept
    assert not found.keys() & {"LOST", "WRONG"}
