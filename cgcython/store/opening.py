"""Opens or makes the database of a store: its format version and its profile."""

from pathlib import Path

from cgcython.base import Profile
from cgcython.errors import InvalidInput, StorageCorruption, StoreUnavailable
from cgcython.store.journal import Journal
from cgcython.store.keepers.rocksdb import database

FORMAT = b"cgcython store "
VERSION = 2
READS = (1, VERSION)


def open_files(path, profile, read_only, create, sync, follow=False):
    """Return the Database in a folder, made when there is none, and the profile it was made with.

    Raises StoreUnavailable and StorageCorruption.
    """
    path = Path(path)
    if not database.exists(path):
        if read_only or not create:
            raise StoreUnavailable(path=path, reason="there is no store; check the path")
        database.create(path, meta_of(Profile.named(profile)))
    files = database.Database(path, read_only, sync, follow)
    try:
        found = _profile(files, profile)
        if _version(files) != VERSION and not read_only:
            _upgrade(files)
        return files, found
    except BaseException:
        files.close()
        raise


def meta_of(profile):
    return {b"format": FORMAT + str(VERSION).encode(), b"profile": profile.to_toml().encode()}


def _upgrade(files):
    """Bring a store of an earlier format to this one: its records stay as they are."""
    files.add_families()
    Journal(files).reset([("meta", b"format", FORMAT + str(VERSION).encode())])


def _version(files):
    """Return the format version of a store, or raise StoreUnavailable for one not read here."""
    form = files.get("meta", b"format") or b""
    for version in READS:
        if form == FORMAT + str(version).encode():
            return version
    written = form.removeprefix(FORMAT).decode(errors="replace") or "unknown"
    raise StoreUnavailable(
        path=files.path,
        reason=f"its format version is {written}, this release reads "
        f"{' and '.join(map(str, READS))}; use the release that wrote it",
    )


def _profile(files, wanted):
    """Return the profile a store was made with.

    Raises StoreUnavailable for a format this release does not read and for another profile.
    """
    _version(files)
    try:
        found = Profile.from_toml(files.get("meta", b"profile").decode())
    except (InvalidInput, UnicodeDecodeError, AttributeError) as error:
        raise StorageCorruption(where=f"profile of {files.path}", reason=str(error)) from error
    if wanted is not None and Profile.named(wanted) != found:
        raise StoreUnavailable(
            path=files.path, reason="it was made with another profile; open it without one"
        )
    return found
