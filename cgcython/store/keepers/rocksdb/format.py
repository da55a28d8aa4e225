"""The format version of a store, and what asks for the next one."""

from cgcython.errors import StoreUnavailable
from cgcython.store.keeper import Note
from cgcython.store.keepers.rocksdb.copies import both_copies, read_row
from cgcython.store.keepers.rocksdb.database import Put
from cgcython.store.keepers.rocksdb.tables import Tables

VERSION, FORMAT = b"format", b"cgcython store "
FIRST, PLAIN, FREE = 1, 2, 3  # without a journal; UUIDs and E1 to E13 alone; any id, any embedder
READS = (FIRST, PLAIN, FREE)


def version_value(version: int) -> bytes:
    """Return the value that says which format a store has."""
    return FORMAT + str(version).encode()


def version_puts(version: int) -> list[Put]:
    """Return what to write into a store that has, from now on, another format."""
    return both_copies(VERSION, version_value(version))


def version_row(files: Tables) -> Note:
    """Return the row that says which format a store has."""
    return Note(VERSION, _where(files), bytes)


def read_version(files: Tables) -> int:
    """Return the format version of a store, or raise StoreUnavailable for one not read here."""
    form = read_row(files, VERSION, bytes, _where(files)) or b""
    for version in READS:
        if form == version_value(version):
            return version
    written = form.removeprefix(FORMAT).decode(errors="replace") or "unknown"
    *others, last = map(str, READS)
    raise StoreUnavailable(
        path=files.path,
        reason=f"its format version is {written}, this release reads "
        f"{', '.join(others)} and {last}; use the release that wrote it",
    )


def _where(files: Tables) -> str:
    return f"format of store {files.path}"
