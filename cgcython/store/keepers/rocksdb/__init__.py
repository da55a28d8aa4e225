"""Records in a folder, kept by RocksDB: only this package knows it.

What others need is named here:

- `exists` and `create`: whether a folder has a database, and a new one for a store.
- `COPIES`: the family of second copies.
- `Database`: the open database of a store. `Tables` is what it and a frozen moment of it, or what
  is left of a damaged one, have in common: families of keys and values that can be read.
- `owned` and `salvage`: keep others out of a damaged database, and read what is left of it.
- `Foreign`, `is_store`, `locked` and `NAME`: a database that this package did not write, for
  migrations.
- `real_path`: the path of a folder as its database needs it.
- `PACKAGE`: what has to be installed.
"""

from cgcython.store.keepers.rocksdb.creation import create
from cgcython.store.keepers.rocksdb.database import Database, Delete, Put
from cgcython.store.keepers.rocksdb.foreign import Foreign
from cgcython.store.keepers.rocksdb.layout import COPIES, exists, is_store
from cgcython.store.keepers.rocksdb.library import PACKAGE, real_path
from cgcython.store.keepers.rocksdb.ownership import locked, owned
from cgcython.store.keepers.rocksdb.salvage import Salvaged, salvage
from cgcython.store.keepers.rocksdb.tables import Row, Tables

NAME = "RocksDB"

__all__ = [
    "COPIES",
    "NAME",
    "PACKAGE",
    "Database",
    "Delete",
    "Foreign",
    "Put",
    "Row",
    "Salvaged",
    "Tables",
    "create",
    "exists",
    "is_store",
    "locked",
    "owned",
    "real_path",
    "salvage",
]
