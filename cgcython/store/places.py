"""Finds the keeper of a place by how it is named: a folder, or the address of a database.

Each kind of keeper is a package under `cgcython.store.keepers`, imported when it is needed, and has
a Place and a Keeper.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from cgcython.errors import InvalidInput, UsageError
from cgcython.files import as_path
from cgcython.store.keeper import Keeper, Numbers
from cgcython.types import StrPath

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


class Place(Protocol):
    """Where records may be kept: whether there is a store, a new one, and the Keeper of it."""

    @property
    def name(self) -> str:
        """How messages name it, without a password."""

    def exists(self) -> bool:
        """Return whether there is a store, whatever state it is in."""

    def create(self, notes: Mapping[bytes, bytes], numbers: Numbers) -> None:
        """Make an empty store of some embedders, whole or not at all."""

    def remove(self) -> None:
        """Remove an empty, closed store, so that nothing is left of it."""

    def open(self, *, read_only: bool, sync: bool, follow: bool) -> Keeper:
        """Return the Keeper of the store that is there."""


def place_of(place: StrPath) -> Place:
    """Return the Place that a path or an address names. Raises InvalidInput."""
    if not is_address(place):
        from cgcython.store.keepers.rocksdb import Folder

        return Folder(place)
    scheme = str(place).partition("://")[0]
    if scheme in ("postgresql", "postgres"):
        from cgcython.store.keepers.postgres import Schema

        return Schema(str(place))
    if scheme == "cql":
        from cgcython.store.keepers.cql import Keyspace

        return Keyspace(str(place))
    expected = "a folder, postgresql://... or cql://..."
    raise InvalidInput(what="place of a store", expected=expected, actual=f"{scheme}://...")


def is_address(place: StrPath) -> bool:
    """Return whether a place is named by an address, and not by a path."""
    return isinstance(place, str) and _ADDRESS.match(place) is not None


def require_servers(place: StrPath, instead: str) -> None:
    """Raise UsageError for a folder, to which one process writes; `instead` tells what else to do.

    >>> require_servers("cql://localhost/memories", "leave out --scheduler")
    """
    if not is_address(place):
        raise UsageError(f"{place} is a folder, to which one process writes: {instead}")


def as_place(place: StrPath) -> str | Path:
    """Return an address as it is, and anything else as a path. Raises InvalidInput.

    >>> as_place("cql://localhost/memories")
    'cql://localhost/memories'
    """
    return place if isinstance(place, str) and is_address(place) else as_path(place)


def name_of_place(place: StrPath) -> str:
    """Return how messages name a place: an address without its password."""
    return place_of(place).name if is_address(place) else str(place)
