"""Shards that are opened, and their ids put in order, when they are first asked for."""

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cgcython.base import EmbedderId
from cgcython.errors import FileUnavailable
from cgcython.locks import ForkSafeLock
from cgcython.search.chosen_shards import ChosenShard
from cgcython.search.keys import END
from cgcython.search.shard_places import Places, SortedKeys
from cgcython.store.shard_file import ShardFile, ShardPart


class OpenShards:
    """Some shards of a folder, mapped. Threads may use them at the same time."""

    def __init__(self, chosen: Sequence[ChosenShard]) -> None:
        self._chosen, self._lock = chosen, ForkSafeLock()
        self._files: list[ShardFile] | None = None
        self._keys: list[SortedKeys] | None = None
        self._places: Places | None = None

    def __len__(self) -> int:
        return len(self._chosen)

    @property
    def paths(self) -> list[Path]:
        """Their files, in the order of memories."""
        return [one.path for one in self._chosen]

    @property
    def files(self) -> list[ShardFile]:
        """The files, mapped. Raises StorageCorruption and FileUnavailable."""
        with self._lock:
            if self._files is None:
                self._files = self._opened()
            return self._files

    def _opened(self) -> list[ShardFile]:
        try:
            return [one.open() for one in self._chosen]
        except FileUnavailable as error:
            if error.reason == os.strerror(errno.EMFILE):
                error.add_note(
                    f"(each of {len(self)} shards keeps a file open: raise the limit, `ulimit -n`, "
                    "or search some at a time, `numbers=`)"
                )
            raise

    @property
    def keys(self) -> list[SortedKeys]:
        """The keys of the memories of each."""
        with self._lock:
            if self._keys is None:
                self._keys = [SortedKeys.of(one.ids.padded(END)) for one in self.files]
            return self._keys

    @property
    def places(self) -> Places:
        """Where the memory of each key lies."""
        with self._lock:
            if self._places is None:
                self._places = Places.of(self.keys)
            return self._places

    def part(self, number: int, model_id: EmbedderId) -> ShardPart | None:
        """Return an embedder's part of a shard, without memories that a later one replaces.

        None where no memory has it. Raises StorageCorruption.
        """
        part, replaced = self.files[number].part(model_id), self.places.replaced.get(number)
        if part is None or replaced is None:
            return part
        memories = np.arange(len(part.batch)) if part.rows is None else part.rows
        kept = np.flatnonzero(~replaced[memories])
        return ShardPart(part.batch[kept], memories[kept])

    def release(self) -> None:
        """Let the files go; they are opened anew when they are asked for."""
        with self._lock:
            self._files = self._keys = self._places = None
