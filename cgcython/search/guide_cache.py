"""Where columns of shards are kept with their guides, so that other processes need not make them.

A cache is a folder beside the shards, never in theirs, with a folder for each selection of shards,
named by the hashes of their files: of other shards, nothing is found. It is derived from them and
safe to delete; files are checked when they are read, as those of a store's columns are.
"""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from cgcython.files import as_path
from cgcython.search.chosen_shards import ChosenShard
from cgcython.types import StrPath


def cache_folder(cache: StrPath | None, chosen: Sequence[ChosenShard]) -> Path | None:
    """Return the folder for the columns of some shards.

    None without a cache, and for shards that no manifest tells the hashes of.
    """
    hashes = [one.entry.sha256 for one in chosen if one.entry is not None]
    if cache is None or len(hashes) < len(chosen):
        return None
    return as_path(cache) / sha256(" ".join(hashes).encode()).hexdigest()
