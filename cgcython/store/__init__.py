"""Keeps records: a RocksDB store and columnar shards."""

from cgcython.store.records import RecordStore
from cgcython.store.verify import VerifyReport

__all__ = ["RecordStore", "VerifyReport"]
