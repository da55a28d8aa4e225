"""Filters: some records, of which alone a search finds any, and where they are in columns."""

from collections.abc import Callable
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from cgcython.search.keys import found_among
from cgcython.search.scan import Scan
from cgcython.types import BoolArray, Int64Array, KeyArray


class Members(NamedTuple):
    """Which rows of a scan are of some records, twice."""

    mask: BoolArray  # [rows of the scan]
    rows: Int64Array  # ascending


class Filter:
    """The keys of some records, which ascend; it never changes.

    What it found of a scan is kept as long as there is that scan: after a write, only the rows that
    are new are looked up.
    """

    def __init__(self, keys: KeyArray) -> None:
        self.keys = keys
        self._members: WeakKeyDictionary[Scan, Members] = WeakKeyDictionary()

    def __reduce__(self) -> tuple[type["Filter"], tuple[KeyArray]]:
        """Travel as keys alone: scans stay where they are."""
        return Filter, (self.keys,)

    def members(self, scan: Scan, keys: KeyArray, rows: Int64Array) -> Members:
        """Return the Members of a scan, of which some rows have keys, which ascend."""
        found = self._members.get(scan)
        if found is None:
            mask = np.zeros(len(scan), np.bool_)
            mask[self._rows_of(keys, rows)] = True
            found = self._members[scan] = Members(mask, mask.nonzero()[0])
        return found

    def _rows_of(self, keys: KeyArray, rows: Int64Array) -> Int64Array:
        if not len(self.keys) or not len(keys):
            return rows[:0]
        if len(self.keys) > len(keys):
            return rows[found_among(self.keys, keys)[1]]
        places, known = found_among(keys, self.keys)
        return rows[places[known]]

    def has(self, keys: KeyArray) -> BoolArray:
        """Return whether each of some keys is one of these."""
        if not len(self.keys):
            return np.zeros(len(keys), np.bool_)
        known: BoolArray = found_among(self.keys, keys)[1]
        return known


class PreparedFilter:
    """Records of a store that many searches are to find any of alone: `among=` takes it.

    Conditions on metadata are asked again when the store has changed; ids stay as they were given.
    """

    def __init__(self, find_keys: Callable[[], KeyArray], position: Callable[[], int]) -> None:
        """Keys are found again when the `position` of the store's journal has moved."""
        self._find_keys, self._position = find_keys, position
        self._last = self._found()

    def __len__(self) -> int:
        """Return the number of ids, whether the store has them or not."""
        return len(self.now().keys)

    def __repr__(self) -> str:
        found, _ = self._last  # as last asked: a closed store answers no more
        return f"PreparedFilter({len(found.keys)} ids)"

    def now(self) -> Filter:
        """Return the Filter of the store as it is."""
        found, position = self._last
        if self._position() != position:
            latest = self._found()
            same = np.array_equal(latest[0].keys, found.keys)
            self._last = found, _ = (found, latest[1]) if same else latest
        return found

    def _found(self) -> tuple[Filter, int]:
        position = self._position()  # first: what changes meanwhile is then found again
        return Filter(self._find_keys()), position
