"""Records in a keyspace of Cassandra or ScyllaDB: only this package knows it.

What others need is named here:

- `exists` and `create`: whether a keyspace has a store, and a new one.
- `Keyspace` and `CqlKeeper`: the Place and the Keeper of a store.
- `SCHEMES`: how its URLs begin. `PACKAGE`: what has to be installed.
"""

from cgcython.store.keepers.cql.address import SCHEMES
from cgcython.store.keepers.cql.creation import create, exists
from cgcython.store.keepers.cql.keeper import CqlKeeper, Keyspace
from cgcython.store.keepers.cql.library import PACKAGE

NAME = "Cassandra"

__all__ = ["NAME", "PACKAGE", "SCHEMES", "CqlKeeper", "Keyspace", "create", "exists"]
