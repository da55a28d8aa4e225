"""Makes the database of a new store."""

from collections.abc import Mapping
from pathlib import Path

from cgcython.errors import StoreUnavailable
from cgcython.folders import whole_folder
from cgcython.store.keepers.rocksdb import settings
from cgcython.store.keepers.rocksdb.failures import translated
from cgcython.store.keepers.rocksdb.layout import FAMILIES, LATER_FAMILIES
from cgcython.store.keepers.rocksdb.library import require_library, rocksdict
from cgcython.types import StrPath


def create(path: StrPath, meta: Mapping[bytes, bytes]) -> None:
    """Make an empty database holding `meta`, whole or not at all."""
    require_library(path)
    path = Path(path)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise StoreUnavailable(path=path, reason="it is neither a store nor an empty folder")
    with whole_folder(path) as partial, translated(path):
        partial.mkdir()
        _make(partial, meta)


def _make(path: Path, meta: Mapping[bytes, bytes]) -> None:
    options = settings.options()
    families = {name: settings.options() for name in (*FAMILIES, *LATER_FAMILIES)}
    for each in (options, *families.values()):
        each.create_if_missing(True)
        each.create_missing_column_families(True)
    rdict = rocksdict.Rdict(str(path), options, column_families=families)
    family = rdict.get_column_family("meta")
    for key, value in meta.items():
        family[key] = value
    family.flush()
    family.close()
    rdict.close()
