"""The readers of bytes that are fuzzed, each a module of this folder.

A module has `seeds()`, the sound inputs; `fuzz_one(data)`, which reads bytes and lets only errors
pass that are no documented ones; and perhaps `mutate(data, rng)`, which changes bytes so that the
checksums in them hold.
"""

import importlib

READERS = (
    "embedding",
    "record",
    "manifest",
    "payloads",
    "codebook",
    "pq8c",
    "batch",
    "code_index",
    "token_array",
    "shard",
    "shard_folder",
    "columns",
    "corpora",
    "objects",
    "profile",
    "wal",
    "journal_entry",
    "acknowledged",
    "store",
)


def load(name):
    """Return the module of a reader."""
    return importlib.import_module(f"fuzz.{name}")
