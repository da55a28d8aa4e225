"""Writers of one record in PostgreSQL never mix, and what its server acknowledged outlives it.

A tenth of what asv_bench/keeper_faults.py does.
"""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "asv_bench"))

import keeper_faults

from cgcython.store.keepers import postgres as keepers

pytestmark = pytest.mark.keepers


@pytest.fixture
def open_keeper(postgres_place):
    url = postgres_place()
    keepers.Schema(url).create({}, keeper_faults.NUMBERS)
    return lambda: keepers.PostgresKeeper(url)


def test_two_writers_never_mix_a_record_and_no_change_is_missed(open_keeper):
    found = keeper_faults.duel(open_keeper, 100)
    assert found.pop("times a writer was second") > 10
    assert found == {"unmixed and followed": 100}


def test_what_was_acknowledged_outlives_a_server_that_is_killed(open_keeper, postgres):
    found = keeper_faults.kills(postgres, open_keeper, 5)
    assert set(found) == {"kept"}
    assert found["kept"] > 100
