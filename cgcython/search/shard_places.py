"""The ids of shards in arrays: whose each row is, and where each memory lies."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

import numpy as np

from cgcython.search.keys import NO_KEYS, found_among
from cgcython.types import BoolArray, Int64Array, KeyArray


class SortedKeys(NamedTuple):
    """The keys of some rows, by row; the same ascending, equals by row, and the row of each."""

    row_keys: KeyArray
    keys: KeyArray
    rows: Int64Array

    @classmethod
    def of(cls, row_keys: KeyArray) -> Self:
        """Return the keys of rows, sorted unless they are."""
        if np.all(row_keys[1:] >= row_keys[:-1]):
            return cls(row_keys, row_keys, np.arange(len(row_keys)))
        rows = row_keys.argsort(kind="stable")
        return cls(row_keys, row_keys[rows], rows)

    def some(self, chosen: Int64Array) -> Self:
        """Return the keys of some rows, which ascend and count anew."""
        numbers = np.full(len(self.row_keys), -1)
        numbers[chosen] = np.arange(len(chosen))
        rows = numbers[self.rows]
        is_chosen = rows >= 0
        return type(self)(self.row_keys[chosen], self.keys[is_chosen], rows[is_chosen])


class Places(NamedTuple):
    """The keys of all memories, ascending and each once, and where each memory lies.

    Of memories with the same id, which shards of earlier releases may have, the last one counts:
    `replaced` tells of each shard that has some which rows are not the last.
    """

    keys: KeyArray
    shards: Int64Array
    rows: Int64Array
    replaced: Mapping[int, BoolArray]

    @classmethod
    def of(cls, shards: Sequence[SortedKeys]) -> Self:
        """Return the places of the memories of shards."""
        keys = np.concatenate([NO_KEYS, *(one.keys for one in shards)])
        rows = np.concatenate([_NO_ROWS, *(one.rows for one in shards)])
        owners = np.repeat(np.arange(len(shards)), [len(one.keys) for one in shards])
        if len(shards) > 1:
            order = keys.argsort(kind="stable")  # it finds the runs that ascend, and merges them
            keys, rows, owners = keys[order], rows[order], owners[order]
        is_last = np.append(keys[1:] != keys[:-1], True)[: len(keys)]
        if is_last.all():
            return cls(keys, owners, rows, {})
        replaced = {}
        for owner in set(owners[~is_last].tolist()):
            mask = np.zeros(len(shards[owner].keys), np.bool_)
            mask[rows[~is_last & (owners == owner)]] = True
            replaced[owner] = mask
        return cls(keys[is_last], owners[is_last], rows[is_last], replaced)

    def find(self, keys: KeyArray) -> dict[int, Int64Array]:
        """Return the rows of those of some keys that there are, ascending, by shard."""
        if not len(self.keys):
            return {}
        at, known = found_among(self.keys, keys)
        at = at[known]
        owners, rows = self.shards[at], self.rows[at]
        return {one: np.sort(rows[owners == one]) for one in sorted(set(owners.tolist()))}


_NO_ROWS = np.empty(0, np.int64)
