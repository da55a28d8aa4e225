"""Connections to PostgreSQL that are lost, forked, closed: what was acknowledged stays."""

import os

import pytest
from keepers.postgres_stores import added, end_connections, fill, head, key, superuser

from cgcython.errors import StoreUnavailable
from cgcython.store.keepers.postgres import scans

pytestmark = pytest.mark.keepers


@pytest.fixture
def keeper(open_postgres):
    return open_postgres()


def test_reads_are_tried_once_more_and_writes_are_not(keeper, postgres):
    keys = fill(keeper, range(3))
    end_connections(postgres)
    assert keeper.heads(keys[:1])[0] is not None
    end_connections(postgres)
    with pytest.raises(StoreUnavailable, match="not acknowledged; call it again"):
        keeper.write([added(9)])
    keeper.write([added(9)])
    assert keeper.heads([key(9)]) == [head(9)]


def test_a_scan_goes_on_after_its_connection_was_lost(keeper, postgres, monkeypatch):
    keys = fill(keeper, range(9))
    monkeypatch.setattr(scans, "_HEADS", 2)
    found = []
    for one, _ in keeper.scan_heads():
        found.append(one)
        end_connections(postgres)
    assert found == keys


def test_a_moment_is_over_with_its_connection(keeper, postgres):
    with keeper.moment() as then:
        end_connections(postgres)
        with pytest.raises(StoreUnavailable, match="was lost"):
            then.heads([key(1)])
    assert keeper.heads([key(1)]) == [None]


def test_a_server_that_is_gone_is_missed_until_it_is_back(keeper, postgres):
    fill(keeper, [1])
    postgres.stop()
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        keeper.heads([key(1)])
    postgres.start()
    assert keeper.heads([key(1)]) == [head(1)]


def test_the_child_of_a_fork_is_refused_and_harms_nothing(keeper):
    fill(keeper, [1])
    with keeper.moment() as then:
        child = os.fork()
        if not child:
            calls = (keeper.position, then.position, lambda: keeper.write([added(2)]), keeper.close)
            os._exit(all(map(is_refused, calls[:3])) and not calls[3]())
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
        assert then.heads([key(1)]) == keeper.heads([key(1)]) == [head(1)]


def is_refused(call):
    try:
        call()
    except StoreUnavailable as error:
        return "opened before a fork" in str(error)
    return False


def test_everything_is_refused_once_it_is_closed(keeper):
    keeper.close()
    keeper.close()
    calls = [keeper.position, keeper.require_open, lambda: keeper.write([]), keeper.compact]
    calls += [lambda: next(keeper.scan_heads()), lambda: keeper.moment().__enter__()]
    for call in calls:
        with pytest.raises(StoreUnavailable, match="it was closed; open it again"):
            call()
    assert not keeper.is_open


def test_connections_are_given_back(postgres, postgres_url, open_postgres):
    keeper = open_postgres()
    with keeper._session.lent(), keeper._session.lent() as link:
        pid = link.connection.info.backend_pid
    keeper.close()
    with superuser(postgres) as connection:
        found = connection.execute("SELECT pid FROM pg_stat_activity WHERE pid = %s", [pid])
        assert found.fetchall() in ([], [(pid,)])
    assert link.is_lost


def test_connections_do_not_hang_and_have_a_name(open_postgres, postgres_url):
    asked = "SELECT current_setting('application_name')"
    assert open_postgres()._rows(asked, []) == [("cgcython",)]
    keeper = open_postgres(postgres_url + "&connect_timeout=3&application_name=mine")
    assert keeper._rows(asked, []) == [("mine",)]
    with keeper._session.lent() as link:
        found = link.connection.info.get_parameters()
    assert (found["connect_timeout"], found["tcp_user_timeout"]) == ("3", "30000")
