"""What goes wrong with Cassandra is said in one sentence with a remedy, or tried again."""

import time
from contextlib import closing
from types import SimpleNamespace

import pytest
from keepers.cql_stores import NUMBERS, added, fill, head, key

from cgcython.errors import StoreUnavailable
from cgcython.store.keepers import cql as keepers
from cgcython.store.keepers.cql import library, opening
from cgcython.store.keepers.cql.address import Address
from cgcython.store.keepers.cql.connection import Connection
from cgcython.store.keepers.cql.failures import is_passing, translated

pytestmark = pytest.mark.keepers
cassandra = pytest.importorskip("cassandra", reason="not run: no scylla-driver")
library.require_library("tests")
ADDRESS = Address.of("cql://one/notes?user=ada", password="secret")
OVERLOADED = cassandra.protocol.OverloadedErrorMessage(0x1001, "overloaded", None)
MEANT = {
    cassandra.Unavailable("x", consistency=4, required_replicas=2): (
        "too few replicas.*QUORUM",
        True,
    ),
    cassandra.WriteTimeout("x", consistency=4, write_type=0): (
        "did not answer in 6 s.*repeating a call is harmless",
        True,
    ),
    cassandra.ReadTimeout("x", consistency=4): ("did not answer in 6 s", True),
    cassandra.OperationTimedOut(): ("did not answer in 6 s", True),
    cassandra.Unauthorized("x"): ("GRANT", False),
    cassandra.InvalidRequest("x"): ("not as they were made.*another keyspace", False),
    cassandra.UnsupportedOperation("x"): ("too old.*Cassandra 4", False),
    cassandra.AuthenticationFailed("x"): ("refuses the user.*CGCYTHON_CQL_PASSWORD", False),
    OVERLOADED: ("overloaded", True),
    cassandra.cluster.NoHostAvailable("x", {}): ("none of its hosts answered.*start", True),
    cassandra.cluster.NoHostAvailable("x", {"one": OSError("[SSL: WRONG] certificate")}): (
        "TLS.*tls=/path/of/ca.pem",
        False,
    ),
    cassandra.cluster.NoHostAvailable("x", {"one": cassandra.AuthenticationFailed("no")}): (
        "refuses the user.*CGCYTHON_CQL_PASSWORD",
        False,
    ),
}


@pytest.mark.parametrize("error", MEANT, ids=lambda one: type(one).__name__)
def test_an_error_of_the_driver_is_one_sentence_with_a_remedy(error):
    message, passes = MEANT[error]
    found = translated(error, ADDRESS)
    assert isinstance(found, StoreUnavailable)
    with pytest.raises(StoreUnavailable, match=message):
        raise found
    assert "\n" not in str(found)
    assert "secret" not in str(found)
    assert is_passing(error) is passes


def test_other_errors_stay_as_they_are():
    error = KeyError("x")
    assert translated(error, ADDRESS) is error
    assert not is_passing(error)


def refusal(url, **options):
    """Return what a keeper says of a URL that it refuses."""
    with pytest.raises(StoreUnavailable) as caught, closing(keepers.CqlKeeper(url, **options)):
        pass
    return str(caught.value)


def test_what_is_not_there_is_named(cql_url, cql_place, cassandra):
    host = cassandra.hosts[0]
    assert "none of its hosts answered" in refusal(f"cql://{host}:9/notes?timeout=1")
    assert "CREATE KEYSPACE nothing_here WITH" in refusal(f"cql://{host}/nothing_here")
    assert "there is no store" in refusal(cql_place())
    assert not keepers.exists(f"cql://{host}/nothing_here")
    assert "such as QUORUM to write" in refusal(f"{cql_place()}&consistency=ONE")
    assert "there is no file /nothing.pem" in refusal(f"cql://{host}/notes?tls=/nothing.pem")


def test_a_store_of_a_later_release_is_refused(cql_url, open_cql):
    keeper = open_cql()
    keeper._connection.run(
        "UPDATE @.cgcython_stores SET version = 2 WHERE tenant = ? IF version = 1",
        [keeper._tenant],
    )
    assert "its format version is 2, this release reads 1" in refusal(cql_url)


@pytest.mark.parametrize(
    ("told", "said"), [({"periodic"}, "it has periodic"), (None, "one that it does not tell")]
)
def test_durability_is_refused_where_servers_sync_later(cql_url, monkeypatch, told, said):
    monkeypatch.setattr(opening, "commitlog_sync", lambda _: told)
    found = refusal(cql_url, sync=True)
    assert "needs servers with commitlog_sync: batch or group" in found
    assert said in found
    with closing(keepers.CqlKeeper(cql_url)) as keeper:
        assert not keeper.promises.durable


def test_another_clock_is_refused(cql_url, monkeypatch):
    real = opening.time.time
    monkeypatch.setattr(opening, "time", SimpleNamespace(time=lambda: real() + 60))
    assert "differs from the cluster's by" in refusal(cql_url)
    with closing(keepers.CqlKeeper(cql_url + "&overlap=200")):
        pass


class Failing:
    """Lets the attempts to write some keys fail, for some times."""

    def __init__(self, monkeypatch, keys, times, pause_s=0.0):
        self.keys, self.times, self.pause_s = keys, times, pause_s
        self.attempt = Connection._attempt
        monkeypatch.setattr(Connection, "_attempt", lambda *given: self(*given))

    def __call__(self, connection, statement, all_values, places, found):
        failed = self.attempt(connection, statement, all_values, places, found)
        if statement.startswith("INSERT INTO @.cgcython_records") and self.times:
            self.times -= 1
            time.sleep(self.pause_s)
            hit = [at for at in places if all_values[at][2] in self.keys]
            failed |= {at: cassandra.WriteTimeout("x", consistency=4, write_type=0) for at in hit}
        return failed


def test_what_fails_for_a_moment_is_sent_again(open_cql, monkeypatch):
    keeper = open_cql()
    failing = Failing(monkeypatch, [key(2), key(3)], times=3)
    fill(keeper, range(5))
    assert failing.times == 0
    assert keeper.heads(list(map(key, range(5)))) == list(map(head, range(5)))


def test_what_fails_in_a_long_call_is_sent_again(cql_url, open_cql, monkeypatch):
    keeper = open_cql(cql_url + "&timeout=0.5")
    failing = Failing(monkeypatch, [key(2)], times=1, pause_s=0.6)
    fill(keeper, range(5))
    assert failing.times == 0


def test_an_error_names_the_records_that_are_not_acknowledged(cql_url, open_cql, monkeypatch):
    keeper = open_cql(cql_url + "&timeout=0.5")
    Failing(monkeypatch, [key(2), key(3)], times=-1)
    with pytest.raises(StoreUnavailable, match="2 of the records are not acknowledged") as caught:
        keeper.write([added(number) for number in range(100)])
    names = [f"{key(number).hex()[:8]}-" for number in (2, 3)]
    assert all(name in str(caught.value) for name in names)
    assert all(name in caught.value.__notes__[0] for name in names)


def test_a_store_that_another_process_left_unfinished_is_made_anew(cql_place, monkeypatch):
    url = cql_place()
    with monkeypatch.context() as context:
        context.setattr("cgcython.store.keepers.cql.creation.Notes", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            keepers.create(url, {b"a": b"1"}, NUMBERS)
    assert not keepers.exists(url)
    assert "there is no store" in refusal(url)
    monkeypatch.setattr("cgcython.store.keepers.cql.creation._MAKING_S", 0.3)
    keepers.create(url, {b"a": b"2"}, NUMBERS)
    with closing(keepers.CqlKeeper(url)) as keeper:
        assert dict(keeper.notes(b"")) == {b"a": b"2"}
