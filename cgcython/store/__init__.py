"""Keeps records: a RocksDB store and columnar shards."""
