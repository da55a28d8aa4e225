"""Links to the files of a store, to read it where nothing can be written.

rocksdict writes a file of its own beside every database that it opens, to read as well.
"""

import os
from collections.abc import Collection
from pathlib import Path

from cgcython.folders import TemporaryFolder
from cgcython.store.keepers.rocksdb import acknowledged

# RocksDB and rocksdict make their own of these.
_LEFT_OUT = ("LOG", "LOCK", "rocksdict-config.json", acknowledged.NAME)


def linked(path: Path, without: Collection[str] = ()) -> TemporaryFolder:
    """Return a temporary folder of links to the files of a database, but some, as they are now."""
    folder = TemporaryFolder("cgcython-read-")
    for one in Path(os.path.realpath(path)).iterdir():
        if not one.name.startswith(_LEFT_OUT) and one.name not in without:
            os.symlink(one, folder.path / one.name)
    return folder
