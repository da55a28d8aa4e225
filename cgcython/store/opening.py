"""Opens or makes the database of a store: its format version and its profile."""

from __future__ import annotations

from pathlib import Path

from cgcython.base import Profile, ProfileName
from cgcython.errors import InvalidInput, StorageCorruption, StoreUnavailable, UnknownMethod
from cgcython.files import as_path
from cgcython.store.copies import CopiedRow, read_row
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
    """Return the Database in a folder, made when there is none, and the profile it was made with.

    Raises StoreUnavailable and StorageCorruption.
    """
    path = as_path(path)
    if not _exists(path):
        if read_only or not create:
            raise StoreUnavailable(path=path, reason="there is no store; check the path")
        rocksdb.create(path, meta_of(Profile.named(profile)))
    files = Database(path, read_only, sync, follow)
    try:
        found = _profile(files, profile)
        if read_version(files) == FIRST and not read_only:
            _upgrade(files)
        return files, found
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


def _profile(files: Database, wanted: ProfileName | None) -> Profile:
    """Return the profile a store was made with.

    Raises StoreUnavailable for a format this release does not read and for another profile.
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
    differences = [] if wanted is None else found.differences(Profile.named(wanted))
    if differences:
        reason = f"it was made with another profile ({'; '.join(differences)}); open it without one"
        raise StoreUnavailable(path=files.path, reason=reason)
    return found


def parsed_profile(value: bytes, where: str = "profile") -> Profile:
    """Return the profile of a row's value; raises StorageCorruption or UnknownMethod."""
    try:
        return Profile.kept(value.decode())
    except UnknownMethod as error:
        error.what = f"{error.what} in the {where}"
        raise
    except (InvalidInput, UnicodeDecodeError) as error:
        raise StorageCorruption(where=where, reason=str(error)) from error
