"""Positions in PostgreSQL leave out no change, in whatever order transactions end."""

import pytest
from keepers.postgres_stores import NUMBERS, added, fill, head, key, superuser

from cgcython.store.keeper import Change
from cgcython.store.keepers import postgres as keepers
from cgcython.store.keepers.postgres import journal

pytestmark = pytest.mark.keepers


@pytest.fixture
def keeper(open_postgres):
    return open_postgres()


def test_changes_after_a_position_are_reported(keeper, open_postgres):
    position = keeper.position()
    keys = fill(keeper, range(5))
    assert keeper.changes_since(position) == open_postgres().changes_since(position) == keys
    assert keeper.changes_since(position, 12) == keys
    assert keeper.changes_since(position, 1) == []
    assert keeper.position() > position
    assert keeper.changes_since(keeper.position()) == []


def test_each_record_has_its_own_embedders(keeper):
    position = keeper.position()
    keeper.write([added(1, changed=(0,)), added(2, changed=(1, 12)), added(3, changed=())])
    assert keeper.changes_since(position, 0) == [key(1)]
    assert keeper.changes_since(position, 12) == [key(2)]
    assert keeper.changes_since(position) == sorted(map(key, [1, 2, 3]))


def test_the_beginning_is_known_until_entries_are_forgotten(keeper, monkeypatch):
    keys = fill(keeper, range(3))
    assert keeper.changes_since(0) == keys
    for module in (journal, keepers.keeper):
        monkeypatch.setattr(module, "KEPT_CHANGES", 1)
    fill(keeper, range(3, 9))
    assert keeper.changes_since(0) is None


def test_a_transaction_that_ends_late_is_reported(keeper):
    with keeper._session.lent() as link, link.connection.transaction():
        keeper._write_all(link, [added(1)], {})
        fill(keeper, [2])  # begun later, ended earlier
        position = keeper.position()
        assert keeper.changes_since(position) == [key(2)]
    assert keeper.changes_since(position) == sorted([key(1), key(2)])
    assert keeper.changes_since(keeper.position()) == []


def test_what_was_not_written_is_not_reported(keeper):
    position = keeper.position()
    with pytest.raises(ZeroDivisionError):
        keeper._session.write(lambda link: (keeper._write_all(link, [added(1)], {}), 1 / 0))
    assert keeper.changes_since(position) == []
    assert keeper.heads([key(1)]) == [None]


def test_positions_of_another_store_are_not_known(keeper, postgres_place, open_postgres):
    keepers.Schema(url := postgres_place()).create({}, NUMBERS)
    other = open_postgres(url).position()
    for position in (5, other, keeper.position() ^ 1, 2**63 - 1, 2**64 - 1):
        assert keeper.changes_since(position) is None


def test_positions_of_a_server_that_was_restored_are_not_known(keeper, monkeypatch, open_postgres):
    position = keeper.position()
    monkeypatch.setattr(journal, "_ERA", journal._ERA.replace("timeline_id", "timeline_id + 1"))
    restored = open_postgres()
    assert restored.changes_since(position) is None
    assert restored.changes_since(0) is None
    position = restored.position()
    fill(restored, [1])
    assert restored.changes_since(position) == [key(1)]


def test_old_entries_are_forgotten(keeper, monkeypatch):
    for module in (journal, keepers.keeper):
        monkeypatch.setattr(module, "KEPT_CHANGES", 8)
    positions = []
    for number in range(30):
        positions.append(keeper.position())
        keeper.write([added(number)])
    found = [keeper.changes_since(position) for position in positions]
    known = [n for n, one in enumerate(found) if one is not None]
    assert known == list(range(known[0], 30))
    assert 8 <= len(known) <= 12
    assert all(len(found[n]) == 30 - n for n in known)


def test_positions_go_on_while_others_use_the_server(keeper, postgres):
    fill(keeper, [1])
    position = keeper.position()
    with superuser(postgres) as connection:
        for _ in range(3):
            connection.execute("SELECT pg_current_xact_id()")
    assert keeper.position() > position
    assert keeper.changes_since(position) == []


def test_removed_records_are_reported(keeper):
    fill(keeper, [1])
    position = keeper.position()
    keeper.write([Change(key(1), None, {}, head(1), (0, 12))])
    assert keeper.changes_since(position, 0) == [key(1)]
