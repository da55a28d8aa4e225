"""Keeps records: a RocksDB store and columnar shards."""

from cgcython.store.records import RecordStore

__all__ = ["RecordStore"]
