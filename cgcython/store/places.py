"""Finds the keeper of a place by how it is named: a folder, or the address of a database.

Each kind of keeper is a package under `cgcython.store.keepers`, imported when it is needed. It has
`exists(place)`, `create(place, notes, numbers)` and a Keeper class.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol

from cgcython.errors import InvalidInput
from cgcython.store.keeper import Keeper, Numbers
from cgcython.types import StrPath

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://")


class Place(Protocol):
    """Where records may be kept: whether there is a store, a new one, and the Keeper of it."""

    @property
    def name(self) -> str:
        """How messages name it, without a password."""

    def exists(self) -> bool:
        """Return whether there is a store, whatever state it is in."""

    def create(self, notes: Mapping[bytes, bytes], numbers: Numbers) -> None:
        """Make an empty store of some embedders, whole or not at all."""

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
    raise InvalidInput(what="place of a store", expected="a folder", actual=f"{scheme}://...")


def is_address(place: StrPath) -> bool:
    """Return whether a place is named by an address, and not by a path."""
    return isinstance(place, str) and _ADDRESS.match(place) is not None
