"""The servers that other tests need: they answer, and outlive what is done to them."""

import pytest

pytestmark = pytest.mark.keepers


def test_postgres_keeps_what_was_committed_before_it_was_killed(postgres):
    psycopg = pytest.importorskip("psycopg")
    with psycopg.connect(postgres.url) as connection:
        connection.execute("CREATE TABLE kept (n int)")
        connection.execute("INSERT INTO kept VALUES (7)")
    postgres.kill()
    assert postgres.pid() is None
    postgres.start()
    with psycopg.connect(postgres.url) as connection:
        assert connection.execute("SELECT n FROM kept").fetchall() == [(7,)]
        connection.execute("DROP TABLE kept")


def test_every_node_of_cassandra_has_the_others_as_its_peers(cassandra):
    from services.cassandra import count

    others = len(cassandra.hosts) - 1
    assert [count(host, "system.peers_v2") for host in cassandra.hosts] == [others] * (others + 1)
