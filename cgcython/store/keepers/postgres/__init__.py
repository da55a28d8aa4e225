"""Records in a schema of PostgreSQL: only this package knows it.

What others need is named here:

- `exists` and `create`: whether a schema has a store, and a new one.
- `PostgresKeeper`: the keeper of a store.
- `SCHEMES`: how its URLs begin. `PACKAGE`: what has to be installed.
"""

from cgcython.store.keepers.postgres.address import SCHEMES
from cgcython.store.keepers.postgres.creation import create, exists
from cgcython.store.keepers.postgres.keeper import PostgresKeeper
from cgcython.store.keepers.postgres.library import PACKAGE

NAME = "PostgreSQL"

__all__ = ["NAME", "PACKAGE", "SCHEMES", "PostgresKeeper", "create", "exists"]
