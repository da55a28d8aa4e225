"""Opens or makes the keeper of a store, and keeps the store's profile."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from cgcython.base import Profile, ProfileName
from cgcython.errors import InvalidInput, StorageCorruption, StoreUnavailable, UnknownMethod
from cgcython.store.copy_state import require_whole_copy
from cgcython.store.keeper import Keeper, Note, Outdated
from cgcython.store.places import place_of
from cgcython.types import StrPath

PROFILE = b"profile"


def open_keeper(
    place: StrPath,
    profile: ProfileName | None,
    *,
    read_only: bool,
    create: bool,
    sync: bool = False,
    follow: bool = False,
) -> tuple[Keeper, Profile]:
    """Return the Keeper of a place, made when there is none, and its profile.

    That is the kept one with the rows of `profile` that it lacks, for `keep_profile`. Raises
    StoreUnavailable and StorageCorruption.
    """
    found = place_of(place)
    if not found.exists():
        if read_only or not create:
            raise StoreUnavailable(path=found.name, reason="there is no store; check the path")
        made = Profile.named(profile)
        found.create(notes_of(made), [*map(int, made.storable)])
    keeper = found.open(read_only=read_only, sync=sync, follow=follow)
    try:
        require_whole_copy(keeper)
        kept = read_profile(keeper)
        whole = kept if profile is None else _extended(keeper, kept, Profile.named(profile))
        return keeper, whole
    except BaseException:
        keeper.close()
        raise


def has_database(place: StrPath) -> bool:
    """Return whether a place has a database, a store's or another, whatever state it is in."""
    return place_of(place).exists()


def notes_of(profile: Profile) -> Mapping[bytes, bytes]:
    """Return what a new store of a profile keeps about itself."""
    return {PROFILE: profile.to_toml().encode()}


def profile_note(keeper: Keeper) -> Note:
    """Return the note that is the profile of a store."""
    where = f"profile of {keeper.place}"
    return Note(PROFILE, where, lambda value: parsed_profile(value, where))


def read_profile(keeper: Keeper) -> Profile:
    """Return the profile that a store keeps. Raises StorageCorruption."""
    _, where, parse = profile_note(keeper)
    try:
        found: Profile | None = keeper.note(PROFILE, parse, where)
        if found is None:
            raise StorageCorruption(where=where, reason="it is gone")
    except StorageCorruption as error:
        remedy = f"cgcython verify {keeper.place} --repair --profile PROFILE"
        error.reason = f"{error.reason}; name the one it was made with: {remedy}"
        raise
    return found


def _extended(keeper: Keeper, found: Profile, wanted: Profile) -> Profile:
    """Return the profile of a store with the rows that are wanted besides.

    Raises StoreUnavailable where rows differ or are left out, and where none can be added.
    """
    whole = found.extended(wanted)
    differences = "; ".join(found.differences(wanted))
    if whole.differences(wanted):
        reason = f"it was made with another profile ({differences}); open it without one"
        raise StoreUnavailable(path=keeper.place, reason=reason)
    if len(whole) == len(found):
        return found
    if keeper.read_only:
        reason = f"it lacks embedders of the profile ({differences}); opening it to write adds them"
        raise StoreUnavailable(path=keeper.place, reason=reason)
    return whole


def keep_profile(keeper: Keeper, profile: Profile) -> None:
    """Keep a profile that may have more rows than the kept one."""
    keeper.add_embedders([*map(int, profile.storable)])
    if keeper.read_only:
        return
    before = read_profile(keeper)
    if len(profile) == len(before):
        return
    value, known = profile.to_toml().encode(), before.to_toml().encode()
    try:
        keeper.put_notes({PROFILE: value}, {PROFILE: known})
    except Outdated:
        reason = "another process added embedders at the same time; open it again"
        raise StoreUnavailable(path=keeper.place, reason=reason) from None


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
