"""Records in a schema of PostgreSQL: only this package knows it.

What others need is named here:

- `Schema`: whether a schema of a database has a store, and a new one.
- `PostgresKeeper`: the Keeper of a store.
- `SCHEMES`: how its URLs begin. `PACKAGE`: what has to be installed.
"""

from cgcython.store.keepers.postgres.address import SCHEMES
from cgcython.store.keepers.postgres.keeper import PostgresKeeper
from cgcython.store.keepers.postgres.library import PACKAGE
from cgcython.store.keepers.postgres.place import Schema

__all__ = ["PACKAGE", "SCHEMES", "PostgresKeeper", "Schema"]
