"""What a keeper asks when it opens: what store is there, and how its server keeps it."""

from hashlib import blake2b
from pathlib import Path

from cgcython.errors import StoreUnavailable
from cgcython.store.keepers.cache import cache_folder
from cgcython.store.keepers.postgres.address import Address
from cgcython.store.keepers.postgres.connections import Link
from cgcython.store.keepers.postgres.creation import is_there
from cgcython.store.keepers.postgres.layout import LAYOUT, Tables


def read_about(link: Link, tables: Tables, address: Address) -> dict[str, str]:
    """Return what a keeper noted about a store; raises StoreUnavailable where there is none."""
    if not is_there(link, tables):
        raise StoreUnavailable(path=address.place, reason="there is no store; check the URL")
    about: dict[str, str] = dict(link.rows(f"SELECT name, value FROM {tables.about}"))
    if about.get("layout") != LAYOUT:
        reason = (
            f"its tables have the layout {about.get('layout')}, this release reads {LAYOUT}; "
            "use the release that wrote it"
        )
        raise StoreUnavailable(path=address.place, reason=reason)
    return about


def is_durable(link: Link, address: Address, sync: bool) -> bool:
    """Return whether what is acknowledged is on the disk; raises where that was asked for."""
    names = ("synchronous_commit", "fsync")
    ((commit, fsync),) = link.rows("SELECT current_setting(%s), current_setting(%s)", names)
    if sync and fsync == "off":
        reason = "durability='sync' needs a server with fsync = on; set it in postgresql.conf"
        raise StoreUnavailable(path=address.place, reason=reason)
    return "off" not in (commit, fsync)


def folder_of(identity: str, era: int) -> Path:
    """Return a folder of the user's cache for one store, and for no copy of it."""
    name = blake2b(f"{identity}/{era}".encode(), digest_size=16).hexdigest()
    return cache_folder(name)
