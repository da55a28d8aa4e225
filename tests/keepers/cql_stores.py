"""Stores in Cassandra for tests: a tenant of its own for each, and rows to fill it with."""

from uuid import uuid4

from cgcython.store.keeper import Change

NUMBERS = (0, 1, 12)


def new_url(cluster, **options):
    """Return the URL of a tenant that is not there; options stand in it."""
    given = {"tenant": uuid4().hex, "replication": len(cluster.hosts), **options}
    query = "&".join(f"{name}={value}" for name, value in given.items())
    return f"cql://{','.join(cluster.hosts)}/cgcython_tests?{query}"


def key(number):
    """Return the key of a record, of a UUID."""
    return number.to_bytes(2, "big") * 8


def head(number):
    return b"head %d" % number


def added(number, **changed):
    """Return the change that makes a record of two sections."""
    sections = {0: b"zero %d" % number, 12: bytes([number % 256]) * 3000}
    return Change(key(number), head(number), sections, None, (0, 12))._replace(**changed)


def fill(keeper, numbers):
    """Make records, and return their keys in order."""
    keeper.write([added(number) for number in numbers])
    return sorted(map(key, numbers))
