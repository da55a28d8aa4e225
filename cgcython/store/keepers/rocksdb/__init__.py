"""Records in a folder, kept by RocksDB."""
