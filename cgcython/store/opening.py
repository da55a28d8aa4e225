"""Opens or makes the database of a store: its format version and its profile."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from cgcython.base import Profile, ProfileName
from cgcython.errors import InvalidInput, StorageCorruption, StoreUnavailable, UnknownMethod
from cgcython.files import as_path
from cgcython.store.copies import CopiedRow, both_copies, read_row
from cgcython.store.format import (
    FIRST,
    FREE,
    KEY,
    PLAIN,
    needs_format_3,
    read_version,
    version_puts,
    version_row,
    version_value,
)
from cgcython.store.journal import WritableJournal
from cgcython.store.keepers import rocksdb
from cgcython.store.keepers.rocksdb import Database
from cgcython.types import StrPath


def has_database(path: StrPath) -> bool:
    """Return whether a folder has a database, a store's or another, whatever state it is in."""
    return rocksdb.exists(path)


def open_files(
    path: StrPath,
    profile: ProfileName | None,
    *,
    read_only: bool,
    create: bool,
    sync: bool = False,
    follow: bool = False,
) -> tuple[Database, Profile]:
    """Return the Database in a folder, made when there is none, and its profile.

    That is the kept one with the rows of `profile` that it lacks, for `keep_profile`. Raises
    StoreUnavailable and StorageCorruption.
    """
    path = as_path(path)
    if not _exists(path):
        if read_only or not create:
            raise StoreUnavailable(path=path, reason="there is no store; check the path")
        rocksdb.create(path, meta_of(Profile.named(profile)))
    files = Database(path, read_only, sync, follow)
    try:
        found = read_profile(files)
        whole = found if profile is None else _extended(files, found, Profile.named(profile))
        if read_version(files) == FIRST and not read_only:
            _upgrade(files)
        return files, whole
    except BaseException:
        files.close()
        raise


def _exists(path: Path) -> bool:
    try:
        return rocksdb.exists(path)
    except OSError as error:
        raise StoreUnavailable(path=path, reason=error.strerror) from error


def meta_of(profile: Profile) -> dict[bytes, bytes]:
    """Return what a new store keeps about itself: its format version and its profile."""
    version = FREE if needs_format_3((), profile) else PLAIN
    return {KEY: version_value(version), b"profile": profile.to_toml().encode()}


def _upgrade(files: Database) -> None:
    """Give a store of format 1 the families of format 2: its records stay as they are."""
    files.add_families()
    WritableJournal(files).reset(version_puts(PLAIN))


def own_rows(files: Database) -> list[CopiedRow]:
    """Return the rows that say what a store is."""
    where = f"profile of {files.path}"
    return [
        version_row(files),
        CopiedRow(b"profile", where, lambda value: parsed_profile(value, where)),
    ]


def read_profile(files: Database) -> Profile:
    """Return the profile that a store keeps.

    Raises StoreUnavailable for a format this release does not read, StorageCorruption.
    """
    read_version(files)
    where = f"profile of {files.path}"
    try:
        found = read_row(files, b"profile", lambda value: parsed_profile(value, where), where)
        if found is None:
            raise StorageCorruption(where=where, reason="it is gone")
    except StorageCorruption as error:
        remedy = f"cgcython verify {files.path} --repair --profile PROFILE"
        error.reason = f"{error.reason}; name the one it was made with: {remedy}"
        raise
    return found


def _extended(files: Database, found: Profile, wanted: Profile) -> Profile:
    """Return the profile of a store with the rows that are wanted besides.

    Raises StoreUnavailable where rows differ or are left out, and where none can be added.
    """
    whole = found.extended(wanted)
    differences = "; ".join(found.differences(wanted))
    if whole.differences(wanted):
        reason = f"it was made with another profile ({differences}); open it without one"
        raise StoreUnavailable(path=files.path, reason=reason)
    if len(whole) == len(found):
        return found
    if files.read_only:
        reason = f"it lacks embedders of the profile ({differences}); opening it to write adds them"
        raise StoreUnavailable(path=files.path, reason=reason)
    return whole


def keep_profile(files: Database, profile: Profile) -> None:
    """Keep a profile that has more rows than the kept one, in the format that it needs."""
    if len(profile) == len(read_profile(files)):
        return
    puts = both_copies(b"profile", profile.to_toml().encode())
    if needs_format_3((), profile):
        puts += version_puts(FREE)
    files.write(puts)


@lru_cache(maxsize=8)
def parsed_profile(value: bytes, where: str = "profile") -> Profile:
    """Return the profile of a row's value; raises StorageCorruption or UnknownMethod."""
    try:
        return Profile.kept(value.decode())
    except UnknownMethod as error:
        error.what = f"{error.what} in the {where}"
        raise
    except (InvalidInput, UnicodeDecodeError) as error:
        raise StorageCorruption(where=where, reason=str(error)) from error
