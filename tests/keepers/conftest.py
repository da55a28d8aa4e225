"""Servers for the tests of keepers, started once for all of them and stopped at the end.

    pytest -m keepers              PostgreSQL, and Cassandra with three nodes
    pytest -m keepers --nodes 1    one node, which is quicker; tests that need three are not run
    pytest -m keepers --cassandra F    the cluster that services/cassandra.py started in a folder

Where a server cannot be had its tests are skipped, and the reason begins with "not run".
"""

import shutil
import tempfile
from contextlib import ExitStack, closing, contextmanager

import pytest
from services import cassandra as cassandra_service
from services import postgres as postgres_service


def pytest_addoption(parser):
    parser.addoption("--nodes", type=int, choices=[1, 3], default=3, help="of Cassandra, in tests")
    parser.addoption("--cassandra", help="the folder of a cluster that runs already")


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """Have what is made of stores on servers lie in a folder of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def postgres():
    """Return a running services.postgres.Postgres."""
    with folder() as path:
        yield from running(postgres_service.Postgres(path), postgres_service.NotRun, "psycopg")


@pytest.fixture
def postgres_place(postgres):
    """Return a function that makes the place of a new store in PostgreSQL."""
    from keepers.postgres_stores import new_url

    return lambda: new_url(postgres)


@pytest.fixture
def postgres_url(postgres_place):
    """Return the URL of a new store."""
    from keepers.postgres_stores import NUMBERS

    from cgcython.store.keepers import postgres as keepers

    url = postgres_place()
    keepers.Schema(url).create({b"profile": b"p"}, NUMBERS)
    return url


@pytest.fixture
def open_postgres(postgres_url):
    """Return a function that opens a keeper of the new store, and close what it opened."""
    from cgcython.store.keepers.postgres import PostgresKeeper

    with ExitStack() as stack:
        yield lambda url=postgres_url, **options: stack.enter_context(
            closing(PostgresKeeper(url, **options))
        )


@pytest.fixture(scope="session")
def cassandra(request):
    """Return a running services.cassandra.Cluster of as many nodes as --nodes says."""
    nodes, running_in = map(request.config.getoption, ("--nodes", "--cassandra"))
    if running_in:
        yield cassandra_service.Cluster(running_in, nodes)
        return
    with folder() as path:
        cluster = cassandra_service.Cluster(path, nodes, commitlog="group")
        yield from running(cluster, cassandra_service.NotRun, "cassandra.cluster")


@pytest.fixture(scope="session")
def three_nodes(cassandra):
    """Return the cluster, where it has three nodes."""
    if len(cassandra.hosts) < 3:
        pytest.skip("not run: it needs --nodes 3")
    return cassandra


@pytest.fixture
def cql_place(cassandra):
    """Return a function that makes the place of a new store in Cassandra."""
    from keepers.cql_stores import new_url

    return lambda **options: new_url(cassandra, **options)


@pytest.fixture
def cql_url(cql_place):
    """Return the URL of a new store."""
    from keepers.cql_stores import NUMBERS

    from cgcython.store.keepers import cql as keepers

    url = cql_place()
    keepers.create(url, {b"profile": b"p"}, NUMBERS)
    return url


@pytest.fixture
def open_cql(cql_url):
    """Return a function that opens a keeper of the new store, and close what it opened."""
    from cgcython.store.keepers.cql import CqlKeeper

    with ExitStack() as stack:
        yield lambda url=cql_url, **options: stack.enter_context(closing(CqlKeeper(url, **options)))


@contextmanager
def folder():
    """Make a folder with a short path: sockets allow about a hundred characters."""
    path = tempfile.mkdtemp(prefix="cgcython-", dir="/tmp")
    yield path
    shutil.rmtree(path, ignore_errors=True)


def running(server, not_run, driver):
    """Yield a server while it runs, or skip."""
    pytest.importorskip(driver, reason=f"not run: no {driver}")
    try:
        server.start()
    except not_run as error:
        pytest.skip(f"not run: {error}")
    try:
        yield server
    finally:
        server.stop()
