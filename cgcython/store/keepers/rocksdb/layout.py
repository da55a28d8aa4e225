"""Which column families a store has, and which files show that a folder has a database."""

from pathlib import Path

from cgcython.errors import StoreUnavailable
from cgcython.store.keepers.rocksdb import library
from cgcython.store.keepers.rocksdb.failures import translated
from cgcython.store.keepers.rocksdb.library import require_library
from cgcython.types import StrPath

FAMILIES = ("records", "sections", "meta")
LATER_FAMILIES = ("journal", "trash")  # of format 2
# RocksDB's own family, which every release opens and none used before: second copies of rows of
# `meta` lie there, in tables of their own.
COPIES = "default"
UNFINISHED = "UNFINISHED"  # the file in a folder whose database is not whole yet


def exists(path: StrPath) -> bool:
    """Return whether a database was created at a path, whatever state it is in."""
    path = Path(path)
    if (path / UNFINISHED).exists():
        return False
    return (path / "CURRENT").exists() or any(path.glob("*.sst")) or any(path.glob("MANIFEST-*"))


def is_store(path: StrPath) -> bool:
    """Return whether a folder holds a store, and not another database."""
    return exists(path) and list_families(path) >= set(FAMILIES)


def list_families(path: StrPath) -> set[str]:
    """Return the names of the column families of any database."""
    require_library(path)
    with translated(path):
        return set(library.rocksdict.Rdict.list_cf(str(path)))


def require_ours(path: StrPath, complete: bool = True) -> list[str]:
    """Return the names of the families in a store, or raise; of some, unless `complete`.

    `meta` may be missing: a process that made it anew was killed, and the next one goes on.
    """
    found = list_families(path)
    if complete and not found >= set(FAMILIES) - {"meta"}:
        raise StoreUnavailable(path=path, reason="it is a RocksDB database, but not a store")
    unknown = found - {"default", *FAMILIES, *LATER_FAMILIES}
    if unknown:
        raise StoreUnavailable(
            path=path,
            reason=f"it has the unknown families {', '.join(sorted(unknown))}; "
            "use the release that wrote it",
        )
    return sorted(found - {"default"})
