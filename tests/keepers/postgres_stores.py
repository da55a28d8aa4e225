"""Stores in PostgreSQL for tests: a schema of its own for each, and rows to fill it with."""

from contextlib import contextmanager
from itertools import count

from cgcython.manifest import Manifest
from cgcython.store.keeper import Change

NUMBERS = (0, 1, 12)
SCHEMAS = count()


def key(number):
    """Return the key of a record: of a UUID, spread over all stripes."""
    return bytes([number * 37 % 256]) + number.to_bytes(15, "big")


def head(number, metadata=None):
    """Return a head that is like no other number's."""
    return Manifest({}, number + 1, number + 1).with_info(metadata=metadata).to_bytes()


def added(number, **changed):
    """Return the change that makes a record of two sections."""
    sections = {0: b"zero %d" % number, 12: bytes([number % 256]) * 3000}
    new = Change(key(number), head(number), sections, None, (0, 12))
    return new._replace(**changed)


def fill(keeper, numbers):
    """Make records, and return their keys in order."""
    keeper.write([added(number) for number in numbers])
    return sorted(map(key, numbers))


def new_url(server):
    """Return the URL of a schema that is not there."""
    return f"{server.url}&schema=test%20{next(SCHEMAS)}"


@contextmanager
def superuser(server):
    """Connect to the server beside the keepers."""
    import psycopg  # not everywhere where tests are collected

    with psycopg.connect(server.url, autocommit=True) as connection:
        yield connection


def end_connections(server):
    """End all connections of others, as a server does that is started again."""
    with superuser(server) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
