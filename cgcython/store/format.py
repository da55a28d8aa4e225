"""The format version of a store, and what asks for the next one."""

from collections.abc import Iterable

from cgcython.errors import StoreUnavailable
from cgcython.store.copies import CopiedRow, both_copies, read_row
from cgcython.store.ids import UUID_BYTES
from cgcython.store.keepers.rocksdb import Put, Tables

KEY, FORMAT = b"format", b"cgcython store "
FIRST, PLAIN, FREE = 1, 2, 3  # without a journal; UUIDs and E1 to E13 alone; any id, any embedder
READS = (FIRST, PLAIN, FREE)
FIRST_OWN = 32  # the least number of an embedder of the user's own


def needs_format_3(keys: Iterable[bytes], numbers: Iterable[int]) -> bool:
    """Return whether an older format cannot keep some keys, or embedders of some numbers.

    >>> needs_format_3([bytes(16)], [0, 12]), needs_format_3([b"\\x03a"], [])
    (False, True)
    """
    if any(len(key) != UUID_BYTES for key in keys):
        return True
    return any(int(number) >= FIRST_OWN for number in numbers)


def version_value(version: int) -> bytes:
    """Return the value that says which format a store has."""
    return FORMAT + str(version).encode()


def version_puts(version: int) -> list[Put]:
    """Return what to write into a store that has, from now on, another format."""
    return both_copies(KEY, version_value(version))


def version_row(files: Tables) -> CopiedRow:
    """Return the row that says which format a store has."""
    return CopiedRow(KEY, _where(files), bytes)


def read_version(files: Tables) -> int:
    """Return the format version of a store, or raise StoreUnavailable for one not read here."""
    form = read_row(files, KEY, bytes, _where(files)) or b""
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
