"""Turns float32 of the old system into records of a store."""

from cgcython.store.migration.legacy_database import LegacyDatabase, require_all_there
from cgcython.store.migration.legacy_values import LegacyRecord, LegacyValue, decode_value
from cgcython.store.migration.run import MigrationReport, migrate
from cgcython.store.migration.swap import InPlace

__all__ = [
    "InPlace",
    "LegacyDatabase",
    "LegacyRecord",
    "LegacyValue",
    "MigrationReport",
    "decode_value",
    "migrate",
    "require_all_there",
]
