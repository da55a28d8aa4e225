"""How RocksDB is told to keep a store, and how to read what is left of a damaged one."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from cgcython.store.keepers.rocksdb import library

if TYPE_CHECKING:
    from rocksdict import Options

_MIB = 1 << 20


def tracking() -> Options:
    """Return options that note in the catalogue which logs are needed, and how long they are.

    rocksdict sets them from a file only.
    """
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "OPTIONS-000001").write_bytes(_TRACKING.encode())
        Path(folder, "rocksdict-config.json").write_bytes(
            b'{"raw_mode":true,"prefix_extractors":{}}'
        )
        return library.rocksdict.Options.load_latest(folder)[0]


_TRACKING = """
[Version]
  rocksdb_version=9.0.0
  options_file_version=1.1
[DBOptions]
  track_and_verify_wals_in_manifest=true
[CFOptions "default"]
[TableOptions/BlockBasedTable "default"]
"""


def options(given: Options | None = None) -> Options:
    """Return the options of a store's tables; with `given`, those are completed."""
    options = given or library.rocksdict.Options(raw_mode=True)
    options.create_if_missing(False)
    options.set_paranoid_checks(True)
    uncompressed = library.rocksdict.DBCompressionType.none()  # codes do not compress
    options.set_compression_type(uncompressed)
    options.set_keep_log_file_num(4)
    table = library.rocksdict.BlockBasedOptions()
    table.set_bloom_filter(10, False)
    table.set_block_size(16 * 1024)
    table.set_block_cache(library.rocksdict.Cache(32 * _MIB))
    options.set_block_based_table_factory(table)
    return options


def salvaging() -> Options:
    """Return options that read what there is, whatever is damaged beside it."""
    found = options()
    found.set_paranoid_checks(False)
    found.set_disable_auto_compactions(True)
    found.set_wal_recovery_mode(library.rocksdict.DBRecoveryMode.skip_any_corrupted_record())
    return found
