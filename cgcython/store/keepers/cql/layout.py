"""The tables of a keyspace, which many stores share: each store is a tenant.

- `cgcython_records`: a row per record, of a key that is spread over the store's buckets; its head,
  a column per embedder, and what the trash keeps of it. Empty bytes stand for nothing: they need
  no tombstone.
- `cgcython_changes`: which records changed, by the hour.
- `cgcython_notes`, and in parts those too long for a row.
- `cgcython_stores`: one row per tenant.
"""

from collections.abc import Iterable

from cgcython.errors import StoreUnavailable
from cgcython.store.keepers.cql.connection import HERE, Connection

RECORDS, CHANGES = f"{HERE}cgcython_records", f"{HERE}cgcython_changes"
NOTES, PARTS = f"{HERE}cgcython_notes", f"{HERE}cgcython_note_parts"
STORES = f"{HERE}cgcython_stores"
DAY_S = 24 * 3600
CHANGES_KEPT_S = 7 * DAY_S
_COLUMN = "section_"

_TABLES = {
    RECORDS: (
        "tenant text, bucket int, id blob, head blob, gone blob, PRIMARY KEY ((tenant, bucket), id)"
    ),
    CHANGES: (
        "tenant text, hour bigint, stripe int, stamp bigint, writer int, changed blob, "
        "PRIMARY KEY ((tenant, hour, stripe), stamp, writer)"
    ),
    NOTES: (
        "tenant text, name blob, digest blob, value blob, place blob, parts int, "
        "PRIMARY KEY ((tenant), name)"
    ),
    PARTS: "tenant text, place blob, part int, value blob, PRIMARY KEY ((tenant, place), part)",
    STORES: (
        "tenant text PRIMARY KEY, version int, identity blob, buckets int, begun bigint, "
        "writers int, is_whole boolean"
    ),
}
_EXISTING = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?"
_COLUMNS = (
    "SELECT column_name FROM system_schema.columns WHERE keyspace_name = ? AND table_name = ?"
)


def column(number: int) -> str:
    """Return the name of the column of an embedder's sections.

    >>> column(12)
    'section_12'
    """
    return f"{_COLUMN}{int(number)}"


def tables(connection: Connection) -> set[str]:
    """Return the tables of the keyspace."""
    rows = connection.run(_EXISTING, [connection.address.keyspace])
    return {f"{HERE}{name}" for (name,) in rows}


def numbers(connection: Connection) -> list[int]:
    """Return the embedders that have a column, of any store."""
    rows = connection.run(_COLUMNS, [connection.address.keyspace, RECORDS.removeprefix(HERE)])
    found = [name.removeprefix(_COLUMN) for (name,) in rows if name.startswith(_COLUMN)]
    return sorted(map(int, found))


def make_keyspace(connection: Connection) -> None:
    """Make the keyspace of an address that says how often it replicates."""
    address = connection.address
    place = f"'class': 'NetworkTopologyStrategy', 'replication_factor': {address.replication}"
    connection.change_schema(
        f"CREATE KEYSPACE IF NOT EXISTS {address.keyspace} WITH replication = {{{place}}}"
    )


def make_tables(connection: Connection, wanted: Iterable[int]) -> None:
    """Make the tables that are missing, and columns for some embedders."""
    existing = tables(connection)
    if existing.issuperset(_TABLES):
        return add_columns(connection, wanted)
    options, sections = (
        _options(connection),
        "".join(f"{one} blob, " for one in map(column, wanted)),
    )
    for name, columns in _TABLES.items():
        if name not in existing:
            kept = f" AND default_time_to_live = {CHANGES_KEPT_S + DAY_S}" * (name == CHANGES)
            columns = sections * (name == RECORDS) + columns
            connection.change_schema(
                f"CREATE TABLE IF NOT EXISTS {name} ({columns}) WITH {options}{kept}"
            )
    add_columns(connection, wanted)  # to tables of other stores, or of who was faster


def add_columns(connection: Connection, wanted: Iterable[int]) -> None:
    """Make columns for the embedders that have none."""
    new = sorted(set(map(int, wanted)) - set(numbers(connection)))
    if not new:
        return
    columns = ", ".join(f"{column(number)} blob" for number in new)
    try:
        connection.change_schema(f"ALTER TABLE {RECORDS} ADD ({columns})")
    except StoreUnavailable:
        if left := set(new) - set(numbers(connection)):  # another process was faster
            if left == set(new):
                raise
            add_columns(connection, left)


def _options(connection: Connection) -> str:
    """Return the options of tables: not compressed, and compacted as the server does it best."""
    (release,) = connection.run("SELECT release_version FROM system.local")[0]
    named = connection.run(_EXISTING, ["system"])
    if ("scylla_local",) in named:
        compaction, compression = "IncrementalCompactionStrategy", "'sstable_compression': ''"
    else:
        is_new = int(release.partition(".")[0]) >= 5
        compaction = "UnifiedCompactionStrategy" if is_new else "SizeTieredCompactionStrategy"
        compression = "'enabled': 'false'"
    return f"compaction = {{'class': '{compaction}'}} AND compression = {{{compression}}}"
