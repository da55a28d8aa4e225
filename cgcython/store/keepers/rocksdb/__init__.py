"""Records in a folder, kept by RocksDB: only this package knows it.

What others need is named here:

- `Folder`: whether a folder has a database, and a new one for a store.
- `FolderKeeper`: the Keeper of a folder. Its `files` are a `Database`; `Tables` is what that and a
  frozen moment of it, or what is left of a damaged one, have in common: families of keys and values
  that can be read.
- `owned` and `salvage`: keep others out of a damaged database, and read what is left of it.
- `Foreign`, `is_store`, `locked` and `NAME`: a database that this package did not write, for
  migrations.
- `real_path`: the path of a folder as its database needs it.
- `PACKAGE`: what has to be installed.
"""

from cgcython.store.keepers.rocksdb.around_damage import ids_of_sections, manifests
from cgcython.store.keepers.rocksdb.copies import read_row
from cgcython.store.keepers.rocksdb.database import Database
from cgcython.store.keepers.rocksdb.foreign import Foreign
from cgcython.store.keepers.rocksdb.keeper import Folder, FolderKeeper
from cgcython.store.keepers.rocksdb.layout import is_store
from cgcython.store.keepers.rocksdb.library import PACKAGE, real_path
from cgcython.store.keepers.rocksdb.ownership import locked, owned
from cgcython.store.keepers.rocksdb.salvage import Salvaged, salvage
from cgcython.store.keepers.rocksdb.tables import Row, Tables

NAME = "RocksDB"

__all__ = [
    "NAME",
    "PACKAGE",
    "Database",
    "Folder",
    "FolderKeeper",
    "Foreign",
    "Row",
    "Salvaged",
    "Tables",
    "ids_of_sections",
    "is_store",
    "locked",
    "manifests",
    "owned",
    "read_row",
    "real_path",
    "salvage",
]
